import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { Archive, EventBus, type EventPattern, type IEventBus, Rule } from 'aws-cdk-lib/aws-events';
import { KinesisStream } from 'aws-cdk-lib/aws-events-targets';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Stream, StreamEncryption, StreamMode } from 'aws-cdk-lib/aws-kinesis';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { acknowledge } from '../acknowledge.ts';
import type { StreamConfig } from '../config.ts';
import { type PatternSpec, type RuleSpec, resources } from '../schemas.ts';

export interface IngestProps {
  readonly stream: StreamConfig;
  readonly eventArchiveDays: number;
  readonly protectData: boolean;
}

/** How events come in: rules on the default bus, their dead letters, the archive, the stream. */
export class Ingest extends Construct {
  readonly stream: Stream;
  readonly key: Key;
  readonly rules: readonly Rule[];
  /** Events that EventBridge could not put into the stream for a whole day. */
  readonly deadLetters: Queue;
  readonly archive: Archive;
  /** Bus for the events the workers derive. */
  readonly domainBus: EventBus;

  constructor(scope: Construct, id: string, props: IngestProps) {
    super(scope, id);
    const removalPolicy = props.protectData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY;
    this.key = new Key(this, 'Key', {
      description: 'Encrypts the records of the event stream',
      enableKeyRotation: true,
      removalPolicy,
    });
    this.stream = new Stream(this, 'Stream', {
      streamName: resources.stream,
      retentionPeriod: Duration.hours(props.stream.retentionHours),
      encryption: StreamEncryption.KMS,
      encryptionKey: this.key,
      removalPolicy,
      ...(props.stream.mode === 'on-demand'
        ? { streamMode: StreamMode.ON_DEMAND }
        : { streamMode: StreamMode.PROVISIONED, shardCount: props.stream.shards }),
    });
    acknowledge(
      this.stream,
      'AwsSolutions-KDS3',
      'a key of our own shows in CloudTrail who decrypts telemetry, and can be disabled at once',
    );
    for (const action of ['kms:GenerateDataKey*', 'kms:ReEncrypt*']) {
      acknowledge(
        this.stream,
        `AwsSolutions-IAM5[Action::${action}]`,
        'variants of one action on one key, for EventBridge to write',
      );
    }
    this.deadLetters = new Queue(this, 'DeadLetters', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    acknowledge(this.deadLetters, 'AwsSolutions-SQS3', 'it is itself the dead-letter queue of the rules');

    // AWS services publish on the account's default bus and on no other.
    const serviceBus = EventBus.fromEventBusName(this, 'ServiceBus', resources.serviceBus);
    this.rules = resources.rules.map((spec) => this.rule(spec, serviceBus));
    this.archive = new Archive(this, 'Archive', {
      archiveName: resources.eventArchive,
      description: 'IVS events as they came, for a replay into the stream',
      sourceEventBus: serviceBus,
      eventPattern: { source: [...new Set(resources.rules.flatMap((rule) => rule.pattern.source))] },
      retention: Duration.days(props.eventArchiveDays),
    });
    this.domainBus = new EventBus(this, 'DomainBus', { eventBusName: resources.domainBus });
  }

  private rule(spec: RuleSpec, eventBus: IEventBus): Rule {
    const rule = new Rule(this, pascal(spec.name), {
      ruleName: spec.name,
      description: spec.description,
      eventBus,
      eventPattern: eventPattern(spec.pattern),
      targets: [
        new KinesisStream(this.stream, {
          ...(spec.partitionKeyPath && { partitionKeyPath: spec.partitionKeyPath }),
          deadLetterQueue: this.deadLetters,
          // EventBridge's own limits, spelled out: a day of trying, then the dead letters.
          retryAttempts: 185,
          maxEventAge: Duration.hours(24),
        }),
      ],
    });
    // The Kinesis target, unlike others, does not let its rule into the queue.
    this.deadLetters.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal('events.amazonaws.com')],
        actions: ['sqs:SendMessage'],
        resources: [this.deadLetters.queueArn],
        conditions: { ArnEquals: { 'aws:SourceArn': rule.ruleArn } },
      }),
    );
    return rule;
  }
}

function eventPattern(pattern: PatternSpec): EventPattern {
  const { source, 'detail-type': detailType, resources: arns } = pattern;
  return {
    source,
    detailType: matchers(detailType),
    resources: matchers(arns),
  };
}

/** CDK types them as strings, although a matcher object is as good: `Match.prefix` casts the same way. */
function matchers(values: readonly unknown[]): string[] {
  return values as string[];
}

function pascal(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_match, _dash, letter: string) => letter.toUpperCase());
}
