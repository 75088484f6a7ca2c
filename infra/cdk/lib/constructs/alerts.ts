import { Annotations, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import {
  Alarm,
  ComparisonOperator,
  type IMetric,
  MathExpression,
  TreatMissingData,
  type Unit,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { Operation, type TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription, SmsSubscription, UrlSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import type { AlertConfig, Subscription } from '../config.ts';
import { dashboardUrl } from '../links.ts';
import { series } from '../metrics.ts';
import { type AlarmSpec, catalogue, resources, type Switch } from '../schemas.ts';
import type { Ingest } from './ingest.ts';
import type { Reports } from './reports.ts';
import type { Storage } from './storage.ts';

export interface AlertsProps {
  readonly alerts: AlertConfig;
  /** What the workers do: an alarm on what they do not is left out. */
  readonly switches: Readonly<Record<Switch, boolean>>;
  readonly protectData: boolean;
  readonly ingest: Ingest;
  readonly storage: Storage;
  readonly reports: Reports;
}

/** An alarm on a count that is to stay zero. */
interface ZeroAlarm {
  readonly name: string;
  readonly description: string;
  readonly metric: IMetric;
  /** How many one-minute periods of the last fifteen must be above zero. */
  readonly minutes: number;
}

/** The topic, and every alarm with it as its action. */
export class Alerts extends Construct {
  readonly topic: Topic;
  readonly alarms: readonly Alarm[];
  private readonly runbookBase: string | undefined;

  constructor(scope: Construct, id: string, props: AlertsProps) {
    super(scope, id);
    this.runbookBase = props.alerts.runbookBase;
    this.topic = this.encryptedTopic(props.protectData);
    if (props.alerts.subscriptions.length === 0) {
      Annotations.of(this).addWarningV2(
        'ivs-processor:nobody-is-told',
        'no alarm reaches anybody: name who is told with -c alerts=email:ADDRESS',
      );
    }
    for (const subscription of props.alerts.subscriptions) {
      this.topic.addSubscription(subscriber(subscription));
    }
    this.alarms = [
      ...resources.alarms
        .filter(({ onlyWith }) => onlyWith === null || props.switches[onlyWith])
        .map((spec) => this.catalogued(spec)),
      ...zeroAlarms(props).map((spec) => this.stayZero(spec)),
    ];
    const action = new SnsAction(this.topic);
    for (const alarm of this.alarms) {
      alarm.addAlarmAction(action);
      alarm.addOkAction(action);
    }
  }

  /**
   * CloudWatch may publish only if topic policy and key policy both say so: `enforceSSL` replaces
   * the default topic policy, the key `alias/aws/sns` admits nobody, and `SnsAction` grants nothing.
   */
  private encryptedTopic(protectData: boolean): Topic {
    const key = new Key(this, 'Key', {
      description: 'Encrypts alarm notifications',
      enableKeyRotation: true,
      removalPolicy: protectData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    const topic = new Topic(this, 'Topic', {
      topicName: resources.topic,
      displayName: 'ライブ配信アラート',
      masterKey: key,
      enforceSSL: true,
    });
    topic.grantPublish(
      new ServicePrincipal('cloudwatch.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    );
    return topic;
  }

  private catalogued(spec: AlarmSpec): Alarm {
    return new Alarm(this, constructId(spec.name), {
      alarmName: spec.name,
      alarmDescription: this.describe(spec.name, spec.description),
      metric: spec.query === null ? fleetSeries(spec) : everySeries(spec.query, spec.periodS),
      threshold: spec.threshold,
      comparisonOperator: COMPARISON[spec.comparison],
      evaluationPeriods: spec.evaluationPeriods,
      datapointsToAlarm: spec.datapointsToAlarm,
      treatMissingData:
        spec.missingData === 'breaching' ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
    });
  }

  private stayZero(spec: ZeroAlarm): Alarm {
    return new Alarm(this, constructId(spec.name), {
      alarmName: spec.name,
      alarmDescription: this.describe(spec.name, spec.description),
      metric: spec.metric,
      threshold: 0,
      comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: spec.minutes === 1 ? 1 : 15,
      datapointsToAlarm: spec.minutes,
      treatMissingData: TreatMissingData.NOT_BREACHING,
    });
  }

  /** What is wrong, the first command, the article, the dashboard: all that a mail has room for. */
  private describe(name: string, text: string): string {
    const article = `${name}.md`;
    return [
      text,
      '',
      'First: ivs-processor status',
      this.runbookBase === undefined
        ? `Runbook: docs/operations/${article} in the sources (for a link: -c runbookBase=https://...)`
        : `Runbook: ${this.runbookBase}/${article}`,
      `Dashboard: ${dashboardUrl(Stack.of(this))}`,
    ].join('\n');
  }
}

/** The series without dimensions that an alarm watches. */
function fleetSeries(spec: AlarmSpec): IMetric {
  const ours = catalogue.metrics.some(
    ({ namespace, name }) => namespace === spec.metric.namespace && name === spec.metric.name,
  );
  return series(
    spec.metric,
    {},
    {
      statistic: spec.statistic,
      period: Duration.seconds(spec.periodS),
      // A unit nobody sends would silence the alarm: name it only where we are the sender.
      ...(ours && { unit: spec.metric.unit as Unit }),
    },
  );
}

/**
 * Every series of a Metrics Insights query, each with a state of its own: the alarm rings when one
 * breaches. Series come and go with the channels.
 */
function everySeries(query: string, periodS: number): IMetric {
  return new MathExpression({ expression: query, usingMetrics: {}, period: Duration.seconds(periodS) });
}

/** What watches the resources around the program; the program's own alarms are in the catalogue. */
function zeroAlarms({ ingest, storage, reports }: AlertsProps): ZeroAlarm[] {
  const minute = { period: Duration.minutes(1) };
  const sum = { ...minute, statistic: 'Sum' };
  const depth = { ...minute, statistic: 'Maximum' };
  return [
    {
      name: 'LiveStreaming-EventDeadLetters',
      description: 'EventBridge could not put IVS events into the stream for a day.',
      metric: ingest.deadLetters.metricApproximateNumberOfMessagesVisible(depth),
      minutes: 1,
    },
    {
      name: 'LiveStreaming-StreamThrottled',
      description: 'The stream refuses writes: its shards are too few, or one key is too hot.',
      metric: ingest.stream.metricWriteProvisionedThroughputExceeded(sum),
      minutes: 5,
    },
    {
      name: 'LiveStreaming-TableThrottled',
      description: 'DynamoDB throttles a table or an index: epochs take longer and lag grows.',
      metric: new MathExpression({
        label: 'Throttled writes and reads',
        expression: 'SUM(METRICS())',
        usingMetrics: throttles(storage),
        period: Duration.minutes(1),
      }),
      minutes: 5,
    },
    {
      name: 'LiveStreaming-ReportFailed',
      description: 'A report run failed after all its retries.',
      metric: reports.deadLetters.metricApproximateNumberOfMessagesVisible(depth),
      minutes: 1,
    },
  ];
}

/** The throttled calls that the workers make, by table; no more than an alarm's ten metrics. */
function throttles(storage: Storage): Record<string, IMetric> {
  const rows = [Operation.PUT_ITEM, Operation.QUERY];
  const watched: readonly (readonly [string, TableV2, readonly Operation[]])[] = [
    ['sessions', storage.sessions, rows],
    ['metrics', storage.metrics, rows],
    ['leases', storage.leases, [Operation.UPDATE_ITEM, Operation.SCAN]],
  ];
  return Object.fromEntries(
    watched.flatMap(([id, table, operations]) =>
      operations.map((operation) => [
        `${id}${operation}`,
        table.metricThrottledRequestsForOperation(operation, {
          period: Duration.minutes(1),
          statistic: 'Sum',
        }),
      ]),
    ),
  );
}

const COMPARISON = {
  GreaterThanThreshold: ComparisonOperator.GREATER_THAN_THRESHOLD,
  GreaterThanOrEqualToThreshold: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
  LessThanThreshold: ComparisonOperator.LESS_THAN_THRESHOLD,
} as const;

function constructId(alarmName: string): string {
  return alarmName.replace('LiveStreaming-', '');
}

function subscriber({ protocol, endpoint }: Subscription) {
  switch (protocol) {
    case 'email':
      return new EmailSubscription(endpoint);
    case 'https':
      return new UrlSubscription(endpoint);
    case 'sms':
      return new SmsSubscription(endpoint);
  }
}
