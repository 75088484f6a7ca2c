/** The dashboard's widgets, row by row; every one of our metrics comes from the catalogue. */
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
import { fleetMetric, metricBy } from './metrics.ts';
import { NAMESPACES } from './schemas.ts';

const { sessions, metrics, processor, ivs } = NAMESPACES;

/**
 * All channels together. A gauge without dimensions holds samples of every channel, so its average
 * is the mean channel; the audience of the service is the sum of the channels' own series.
 */
function totalViewers(): MathExpression {
  return new MathExpression({
    label: 'all channels',
    expression: `SUM(SEARCH('{${metrics},ChannelId} MetricName="CurrentViewers"', 'Average', 60))`,
    usingMetrics: {},
    period: Duration.minutes(1),
  });
}

function line(
  title: string,
  left: IMetric[],
  options: { right?: IMetric[]; width?: number; unit?: string; rightUnit?: string; start?: string } = {},
): GraphWidget {
  const { right = [], width = 8, unit, rightUnit, start } = options;
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

/**
 * The tutorial's five: viewers now, viewers over a day, quality, chat over six hours, sessions. IVS's own
 * figures stand beside ours: they are there even when no application reports anything.
 */
export function tutorialWidgets(channel: string): IWidget[][] {
  const own = (name: string) =>
    metricBy(metrics, name, 'ChannelId', channel, { label: `${name} of the channel` });
  const byIvs = (name: string) =>
    metricBy(ivs, name, 'Channel', channel, { label: `${name} of the channel (IVS)` });
  const viewers = [
    totalViewers(),
    fleetMetric(ivs, 'ConcurrentViews', { label: 'all channels (IVS)' }),
    own('CurrentViewers'),
    byIvs('ConcurrentViews'),
  ];
  return [
    [
      new SingleValueWidget({
        title: 'Viewers now',
        metrics: viewers,
        width: 8,
        height: 6,
        sparkline: true,
      }),
      line('Viewers, 24 hours', viewers, {
        width: 16,
        unit: 'viewers',
        start: '-PT24H',
      }),
    ],
    [
      line('Quality of the channel', [own('StreamBitrate'), byIvs('IngestVideoBitrate')], {
        width: 12,
        unit: 'bit/s',
        right: [byIvs('IngestFramerate'), own('FrameRate'), byIvs('KeyframeInterval')],
        rightUnit: 'frames/s, s',
      }),
      line(
        'Chat, messages a minute',
        [
          own('ChatActivity'),
          fleetMetric(metrics, 'ChatActivity', { statistic: 'Maximum', label: 'busiest channel' }),
        ],
        { width: 12, unit: 'messages/min', start: '-PT6H' },
      ),
    ],
    [
      new SingleValueWidget({
        title: 'Sessions, 24 hours',
        metrics: [
          'StreamsStarted',
          'StreamsEnded',
          'StreamsFailed',
          'StreamDuration',
          'PeakViewers',
          'LimitBreaches',
        ].map((name) => fleetMetric(sessions, name, { period: Duration.days(1) })),
        width: 24,
        height: 3,
        setPeriodToTimeRange: true,
        start: '-PT24H',
      }),
    ],
  ];
}

/** What players reported, in the chosen channel and in all together. */
export function playerWidgets(channel: string): IWidget[][] {
  const both = (name: string): IMetric[] => [
    metricBy(metrics, name, 'ChannelId', channel, { label: `${name}, channel` }),
    fleetMetric(metrics, name, { label: `${name}, fleet` }),
  ];
  return [
    [
      line('Active players', both('ActivePlayers')),
      line('Rebuffering', both('RebufferRatio'), { unit: '% of watch time' }),
      line('Viewers lost in 5 minutes', both('ViewerDropPercent'), { unit: '%' }),
    ],
    [
      line('Start-up time, p95', both('StartupTime'), { unit: 'ms' }),
      line('Live latency, p95', both('LiveLatency'), { unit: 'ms' }),
      line('Errors, dropped frames, starvation', both('PlayerErrors'), {
        right: [...both('DroppedFrames'), ...both('StarvationSeconds')],
      }),
    ],
  ];
}

/** The workers' own account of themselves. */
export function processorWidgets(): IWidget[][] {
  const of = (...names: string[]) => names.map((name) => fleetMetric(processor, name));
  return [
    [
      line('Lag of the slowest shard', of('Lag'), { unit: 'ms' }),
      line(
        'Records',
        of(
          'RecordsRead',
          'RecordsAccepted',
          'RecordsDuplicate',
          'RecordsRejected',
          'LateRecords',
          'UnknownEvents',
        ),
        {
          unit: 'per minute',
        },
      ),
      line('Rejected', of('RejectedPercent'), {
        unit: '% of an epoch',
        right: of('RetentionGaps'),
        rightUnit: 'gaps',
      }),
    ],
    [
      line('Rows', of('RowsWritten'), {
        unit: 'per minute',
        right: of('RowConflicts'),
        rightUnit: 'conflicts',
      }),
      line('Slowest epoch, prepare to commit', of('EpochDuration'), { unit: 'ms' }),
      line('Shards owned', of('LeasesHeld'), { right: of('LeasesLost'), rightUnit: 'lost' }),
    ],
    [
      line('Calls to CloudWatch', of('MetricBatches'), {
        right: of('DatumsRefused'),
        rightUnit: 'refused samples',
      }),
      line('Retries', of('Retries'), { right: of('RepeatedEmissions'), rightUnit: 'repeated emissions' }),
    ],
  ];
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
