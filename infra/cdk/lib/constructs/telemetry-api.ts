import { RemovalPolicy } from 'aws-cdk-lib';
import {
  AccessLogFormat,
  AwsIntegration,
  type JsonSchema,
  LogGroupLogDestination,
  MethodLoggingLevel,
  type MethodOptions,
  PassthroughBehavior,
  Period,
  type RequestValidator,
  ResponseType,
  RestApi,
} from 'aws-cdk-lib/aws-apigateway';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { acknowledge } from '../acknowledge.ts';
import type { StageConfig, TelemetryApiConfig } from '../config.ts';
import {
  cmcdRequest,
  FAILED_REPLY,
  PUT_RECORDS_REPLY,
  QOS_SCHEMA,
  qosRequest,
  REFUSED_REPLY,
  TELEMETRY_SCHEMA,
  telemetryRequest,
} from '../telemetry-mapping.ts';
import type { Ingest } from './ingest.ts';

const LOG_POLICY = 'service-role/AmazonAPIGatewayPushToCloudWatchLogs';

/** How the bodies of a path are taken. */
interface Input {
  /** By content type. */
  readonly requestTemplates: Record<string, string>;
  readonly options: Pick<MethodOptions, 'apiKeyRequired' | 'requestModels' | 'requestValidator'>;
}

export interface TelemetryApiProps {
  readonly config: StageConfig;
  readonly api: TelemetryApiConfig;
  readonly ingest: Ingest;
}

/**
 * `POST /telemetry` with `{"records": [...]}`, and `POST /streams` with the batches of AWS's QoS sample:
 * player telemetry straight into the stream, without code of ours on the way. Keyed by player, so that a
 * popular stream does not heat one shard. `POST /cmcd` takes what hls.js, Shaka Player and dash.js report by
 * configuration alone, which cannot send a key: the stage's throttle is its bound.
 */
export class TelemetryApi extends Construct {
  readonly api: RestApi;
  readonly keyId: string;
  private readonly validator: RequestValidator;

  constructor(scope: Construct, id: string, props: TelemetryApiProps) {
    super(scope, id);
    this.api = this.restApi(props);
    this.validator = this.api.addRequestValidator('Body', {
      validateRequestBody: true,
      validateRequestParameters: true,
    });
    const { streamName } = props.ingest.stream;
    const role = this.writer(props.ingest);
    this.post(props, role, 'telemetry', this.batches(TELEMETRY_SCHEMA, telemetryRequest(streamName)));
    this.post(props, role, 'streams', this.batches(QOS_SCHEMA, qosRequest(streamName)));
    this.post(props, role, 'cmcd', {
      requestTemplates: { 'application/cmcd': cmcdRequest(streamName) },
      options: { apiKeyRequired: false },
    });
    this.keyId = this.usagePlan(props.api);
    this.acknowledgements();
  }

  private restApi({ api, config }: TelemetryApiProps): RestApi {
    const accessLogs = new LogGroup(this, 'AccessLogs', {
      retention: config.worker.logDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const rest = new RestApi(this, 'Api', {
      description: 'Player telemetry into the event stream',
      deployOptions: {
        stageName: 'v1',
        throttlingRateLimit: api.requestsPerSecond,
        throttlingBurstLimit: api.burst,
        loggingLevel: MethodLoggingLevel.ERROR,
        // Payloads carry session ids of viewers.
        dataTraceEnabled: false,
        metricsEnabled: true,
        accessLogDestination: new LogGroupLogDestination(accessLogs),
        accessLogFormat: AccessLogFormat.jsonWithStandardFields(),
      },
      cloudWatchRole: true,
      cloudWatchRoleRemovalPolicy: RemovalPolicy.DESTROY,
      defaultCorsPreflightOptions: {
        allowOrigins: [api.allowedOrigin],
        allowMethods: ['POST'],
        allowHeaders: ['Content-Type', 'x-api-key'],
      },
    });
    // Refusals must reach the page's script too, or it sees a network error and retries for ever.
    for (const type of [ResponseType.DEFAULT_4XX, ResponseType.DEFAULT_5XX]) {
      rest.addGatewayResponse(type.responseType, {
        type,
        responseHeaders: { 'Access-Control-Allow-Origin': `'${api.allowedOrigin}'` },
      });
    }
    return rest;
  }

  private writer({ stream, key }: Ingest): Role {
    const role = new Role(this, 'Role', { assumedBy: new ServicePrincipal('apigateway.amazonaws.com') });
    role.addToPolicy(new PolicyStatement({ actions: ['kinesis:PutRecords'], resources: [stream.streamArn] }));
    role.addToPolicy(new PolicyStatement({ actions: ['kms:GenerateDataKey'], resources: [key.keyArn] }));
    return role;
  }

  /** Batches of JSON, checked against `schema`, of those who have a key. */
  private batches(schema: JsonSchema, requestTemplate: string): Input {
    const contentType = 'application/json';
    return {
      requestTemplates: { [contentType]: requestTemplate },
      options: {
        apiKeyRequired: true,
        requestModels: { [contentType]: this.api.addModel(schema.title ?? '', { contentType, schema }) },
        requestValidator: this.validator,
      },
    };
  }

  private post({ api }: TelemetryApiProps, role: Role, path: string, input: Input): void {
    const origin = 'method.response.header.Access-Control-Allow-Origin';
    // Every answer, or the page's script sees a network error instead of the status.
    const reply = (statusCode: string, template: string, selectionPattern?: string) => ({
      statusCode,
      ...(selectionPattern !== undefined && { selectionPattern }),
      responseTemplates: { 'application/json': template },
      responseParameters: { [origin]: `'${api.allowedOrigin}'` },
    });
    const integration = new AwsIntegration({
      service: 'kinesis',
      action: 'PutRecords',
      integrationHttpMethod: 'POST',
      options: {
        credentialsRole: role,
        passthroughBehavior: PassthroughBehavior.NEVER,
        requestParameters: { 'integration.request.header.Content-Type': "'application/x-amz-json-1.1'" },
        requestTemplates: input.requestTemplates,
        integrationResponses: [
          reply('200', PUT_RECORDS_REPLY),
          reply('400', REFUSED_REPLY, '4\\d{2}'),
          reply('503', FAILED_REPLY, '5\\d{2}'),
        ],
      },
    });
    this.api.root.addResource(path).addMethod('POST', integration, {
      ...input.options,
      methodResponses: ['200', '400', '503'].map((statusCode) => ({
        statusCode,
        responseParameters: { [origin]: true },
      })),
    });
  }

  private usagePlan(api: TelemetryApiConfig): string {
    const key = this.api.addApiKey('Key', { description: 'Players and backends that send telemetry' });
    const plan = this.api.addUsagePlan('Plan', {
      throttle: { rateLimit: api.requestsPerSecond, burstLimit: api.burst },
      quota: { limit: api.requestsPerDay, period: Period.DAY },
    });
    plan.addApiStage({ stage: this.api.deploymentStage });
    plan.addApiKey(key);
    return key.keyId;
  }

  private acknowledgements(): void {
    acknowledge(
      this.api,
      'AwsSolutions-APIG4',
      'anonymous viewers send telemetry; the API key meters them and can be revoked, it is no secret',
    );
    acknowledge(this.api, 'AwsSolutions-COG4', 'viewers have no accounts here; see APIG4');
    acknowledge(
      this.api,
      'AwsSolutions-APIG3',
      'optional by cost: attach a web ACL to the stage where the API is open to the public',
    );
    acknowledge(
      this.api,
      `AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/${LOG_POLICY}]`,
      'API Gateway writes its error log through the managed policy AWS prescribes for that',
    );
  }
}
