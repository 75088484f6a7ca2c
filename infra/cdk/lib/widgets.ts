/** The dashboard's widgets, row by row: those of the catalogue, and the AWS resources around the workers. */
import { Duration } from 'aws-cdk-lib';
import {
  GraphWidget,
  type IMetric,
  type IWidget,
  MathExpression,
  SingleValueWidget,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Operation } from 'aws-cdk-lib/aws-dynamodb';
import type { Ingest } from './constructs/ingest.ts';
import type { Processor } from './constructs/processor.ts';
import type { Storage } from './constructs/storage.ts';
import { series } from './metrics.ts';
import type { LineSpec, MetricSpec, SectionSpec, WidgetSpec } from './schemas.ts';

/** Columns of a graph among three in a row. */
const THIRD = 8;

/** The widgets of a section; lines of one channel get the value `channel`. */
export function catalogueWidgets(section: SectionSpec, channel: string): IWidget[][] {
  return section.rows.map((row) => row.map((widget) => catalogueWidget(widget, channel)));
}

function catalogueWidget(spec: WidgetSpec, channel: string): IWidget {
  const metrics = (lines: readonly LineSpec[], period?: Duration) =>
    lines.map((each) => metricOf(each, channel, period));
  const start = spec.hours === null ? {} : { start: `-PT${spec.hours}H` };
  if (spec.kind === 'curves') {
    return line(spec.title, metrics(spec.left), {
      right: metrics(spec.right),
      width: spec.width,
      unit: spec.unit,
      rightUnit: spec.rightUnit,
      ...start,
    });
  }
  const totals = spec.kind === 'totals';
  return new SingleValueWidget({
    title: spec.title,
    metrics: metrics(spec.left, totals ? Duration.hours(spec.hours ?? 24) : undefined),
    width: spec.width,
    height: totals ? 3 : 6,
    ...(totals ? { setPeriodToTimeRange: true, ...start } : { sparkline: true }),
  });
}

function metricOf(
  { metric, scope, statistic, label }: LineSpec,
  channel: string,
  period?: Duration,
): IMetric {
  const options = { label, ...(statistic && { statistic }), ...(period && { period }) };
  switch (scope) {
    case 'allChannels':
      return sumOfChannels(metric, label);
    case 'fleet':
      return series(metric, {}, options);
    case 'channel':
      return series(metric, { [channelDimension(metric)]: channel }, options);
  }
}

/** The dimension with the channel: ours and IVS's own have different names for the same value. */
function channelDimension({ name, dimensions }: MetricSpec): string {
  const single = dimensions.find((set) => set.length === 1)?.[0];
  if (single === undefined) {
    throw new Error(`${name} has no series by channel`);
  }
  return single;
}

/**
 * All channels together. A gauge without dimensions holds samples of every channel, so its average
 * is the mean channel; the audience of the service is the sum of the channels' own series.
 */
function sumOfChannels(metric: MetricSpec, label: string): MathExpression {
  const schema = `{${metric.namespace},${channelDimension(metric)}} MetricName="${metric.name}"`;
  return new MathExpression({
    label,
    expression: `SUM(SEARCH('${schema}', '${metric.statistic}', 60))`,
    usingMetrics: {},
    period: Duration.minutes(1),
  });
}

function line(
  title: string,
  left: IMetric[],
  options: { right?: IMetric[]; width?: number; unit?: string; rightUnit?: string; start?: string } = {},
): GraphWidget {
  const { right = [], width = THIRD, unit, rightUnit, start } = options;
  return new GraphWidget({
    title,
    left,
    right,
    width,
    height: 6,
    leftYAxis: { min: 0, ...(unit && { label: unit, showUnits: false }) },
    ...(right.length > 0 && {
      rightYAxis: { min: 0, ...(rightUnit && { label: rightUnit, showUnits: false }) },
    }),
    ...(start && { start }),
  });
}

/** The AWS resources around the workers, by AWS's own metrics. */
export function resourceWidgets(props: {
  ingest: Ingest;
  processor: Processor;
  storage: Storage;
}): IWidget[][] {
  const { stream, deadLetters } = props.ingest;
  const { service } = props.processor;
  const minute = { period: Duration.minutes(1) };
  const sum = { ...minute, statistic: 'Sum' };
  const tables = [props.storage.sessions, props.storage.metrics, props.storage.leases];
  return [
    [
      line('Stream', [stream.metricIncomingRecords(sum)], {
        unit: 'records/min',
        right: [stream.metricIncomingBytes(sum)],
        rightUnit: 'bytes/min',
      }),
      line('Stream throttling', [
        stream.metricWriteProvisionedThroughputExceeded(sum),
        stream.metricReadProvisionedThroughputExceeded(sum),
      ]),
      line('Dead letters', [
        deadLetters.metricApproximateNumberOfMessagesVisible({ ...minute, statistic: 'Maximum' }),
      ]),
    ],
    [
      line('Workers', [service.metricCpuUtilization(minute), service.metricMemoryUtilization(minute)], {
        unit: '%',
      }),
      line(
        'Write units used',
        tables.map((table) => table.metricConsumedWriteCapacityUnits(sum)),
      ),
      line(
        'Throttled puts',
        tables.map((table) => table.metricThrottledRequestsForOperation(Operation.PUT_ITEM, sum)),
      ),
    ],
  ];
}
