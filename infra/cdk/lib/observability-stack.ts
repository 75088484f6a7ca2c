import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { StageConfig } from './config.ts';
import { Alerts } from './constructs/alerts.ts';
import { LiveDashboard } from './constructs/dashboard.ts';
import { Ingest } from './constructs/ingest.ts';
import { Network } from './constructs/network.ts';
import { Processor } from './constructs/processor.ts';
import { Reports } from './constructs/reports.ts';
import { PREFIX, Storage } from './constructs/storage.ts';
import { TelemetryApi } from './constructs/telemetry-api.ts';
import { dashboardUrl } from './links.ts';

export interface ObservabilityStackProps extends StackProps {
  readonly config: StageConfig;
}

/** Wires the constructs and says where things are; it has no resource of its own. */
export class ObservabilityStack extends Stack {
  constructor(scope: Construct, id: string, props: ObservabilityStackProps) {
    super(scope, id, props);
    const { config } = props;
    const { protectData } = config;
    const storage = new Storage(this, 'Storage', { storage: config.storage, protectData });
    const ingest = new Ingest(this, 'Ingest', {
      stream: config.stream,
      eventArchiveDays: config.storage.eventArchiveDays,
      protectData,
    });
    const { vpc } = new Network(this, 'Network', config.network);
    const processor = new Processor(this, 'Processor', { config, vpc, ingest, storage });
    const reports = new Reports(this, 'Reports', { config, storage });
    const alerts = new Alerts(this, 'Alerts', {
      alerts: config.alerts,
      switches: { 'reconcile.enabled': config.worker.reconcile },
      protectData,
      ingest,
      storage,
      reports,
    });
    new LiveDashboard(this, 'Dashboard', {
      alerts,
      ingest,
      processor,
      storage,
      ...(config.alerts.runbookBase && { runbookBase: config.alerts.runbookBase }),
    });
    this.names(ingest, storage, alerts);
    this.output('EventDeadLettersUrl', 'IVS events that EventBridge gave up', ingest.deadLetters.queueUrl);
    this.output('ReportDeadLettersUrl', 'Requests of reports that failed', reports.deadLetters.queueUrl);
    this.commands(ingest, storage, processor, reports);
    if (config.telemetryApi !== undefined) {
      this.telemetry(new TelemetryApi(this, 'TelemetryApi', { config, api: config.telemetryApi, ingest }));
    }
  }

  private names(ingest: Ingest, storage: Storage, alerts: Alerts): void {
    this.output('StreamName', 'Event stream', ingest.stream.streamName);
    this.output('EventArchiveArn', 'Archive of IVS events', ingest.archive.archiveArn);
    this.output('DomainBusName', 'Bus of domain events', ingest.domainBus.eventBusName);
    this.output('SessionsTableName', 'Sessions', storage.sessions.tableName);
    this.output('MetricsTableName', 'Rows per session and minute', storage.metrics.tableName);
    this.output('LeaseTableName', 'Leases of shards', storage.leases.tableName);
    this.output('BucketName', 'Archive, rejects and reports', storage.bucket.bucketName);
    this.output('TopicArn', 'Alarm notifications', alerts.topic.topicArn);
    this.output('DashboardUrl', 'Dashboard', dashboardUrl(this));
  }

  private commands(ingest: Ingest, storage: Storage, processor: Processor, reports: Reports): void {
    const { archive, rules } = ingest;
    const ruleArns = rules.map((rule) => `"${rule.ruleArn}"`).join(',');
    const bus = this.formatArn({ service: 'events', resource: 'event-bus', resourceName: 'default' });
    this.output(
      'ReplayCommand',
      'Send archived IVS events through the stream again (set the two times)',
      `aws events start-replay --replay-name again-1 --event-source-arn ${archive.archiveArn}` +
        ' --event-start-time 2026-01-01T00:00:00Z --event-end-time 2026-01-01T01:00:00Z' +
        ` --destination '{"Arn":"${bus}","FilterArns":[${ruleArns}]}'`,
    );
    this.output(
      'AuditCommand',
      'Prove the rows against the archive',
      `ivs-processor audit s3://${storage.bucket.bucketName}/${PREFIX.archive}`,
    );
    this.output(
      'LogsCommand',
      'Follow the workers',
      `aws logs tail ${processor.logGroup.logGroupName} --follow`,
    );
    this.output(
      'ReportCommand',
      'Make a report now (set the channel)',
      `aws lambda invoke --function-name ${reports.function.functionName} --cli-binary-format raw-in-base64-out` +
        ` --payload '{"reportType":"daily","channelId":"CHANNEL"}' /dev/stdout`,
    );
  }

  private telemetry({ api, keyId }: TelemetryApi): void {
    this.output('TelemetryUrl', 'Players post here', api.urlForPath('/telemetry'));
    this.output('QosUrl', "Players of AWS's QoS sample post here", api.urlForPath('/streams'));
    this.output(
      'TelemetryKeyCommand',
      'Show the API key',
      `aws apigateway get-api-key --api-key ${keyId} --include-value --query value --output text`,
    );
  }

  private output(id: string, description: string, value: string): void {
    new CfnOutput(this, id, { description, value });
  }
}
