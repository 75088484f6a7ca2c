/**
 * The contract of `schemas/`, read at synth: names, tables, rules, metrics and alarms are declared
 * once in Rust and exported as JSON, so that the app cannot drift from the program.
 */
import { readFileSync } from 'node:fs';

export interface KeySpec {
  readonly name: string;
  readonly type: 'S' | 'N';
}

export interface IndexSpec {
  readonly name: string;
  readonly partitionKey: KeySpec;
  readonly sortKey: KeySpec;
  readonly projection: 'ALL' | 'KEYS_ONLY';
}

export interface TableSpec {
  readonly name: string;
  readonly partitionKey: KeySpec;
  readonly sortKey: KeySpec | null;
  readonly indexes: readonly IndexSpec[];
  readonly ttlAttribute: string | null;
}

/** An event pattern exactly as `PutRule` takes it. */
export interface PatternSpec {
  readonly source: string[];
  readonly 'detail-type': readonly unknown[];
  readonly resources: readonly unknown[];
}

export interface RuleSpec {
  readonly name: string;
  readonly description: string;
  readonly pattern: PatternSpec;
  /** JSONPath of the partition key; null leaves EventBridge's default, the event id. */
  readonly partitionKeyPath: string | null;
}

export interface MetricSpec {
  readonly namespace: string;
  readonly name: string;
  readonly unit: string;
  /** The series that exist; an empty set is the series without dimensions. */
  readonly dimensions: readonly (readonly string[])[];
  readonly statistic: string;
  readonly description: string;
}

/** A setting of the worker that an alarm takes. */
export type Switch = 'reconcile.enabled';

export interface AlarmSpec {
  readonly name: string;
  readonly description: string;
  readonly metric: MetricSpec;
  /** The dimension whose every value is watched by itself; null watches the series without dimensions. */
  readonly groupBy: string | null;
  /** The Metrics Insights query of a grouped alarm. */
  readonly query: string | null;
  readonly statistic: string;
  readonly comparison: 'GreaterThanThreshold' | 'GreaterThanOrEqualToThreshold' | 'LessThanThreshold';
  readonly threshold: number;
  readonly periodS: number;
  readonly evaluationPeriods: number;
  readonly datapointsToAlarm: number;
  readonly missingData: 'notBreaching' | 'breaching';
  /** The worker's setting without which nobody sends the metric; null: it is always sent. */
  readonly onlyWith: Switch | null;
}

/** One line of a widget, or one number. */
export interface LineSpec {
  readonly metric: MetricSpec;
  /** Of the chosen channel, without dimensions, or the sum of all channels' own series. */
  readonly scope: 'channel' | 'fleet' | 'allChannels';
  /** The statistic, if not the metric's own. */
  readonly statistic: string | null;
  readonly label: string;
}

export interface WidgetSpec {
  readonly title: string;
  readonly kind: 'numbers' | 'totals' | 'curves';
  /** Columns of 24. */
  readonly width: number;
  readonly unit: string;
  readonly left: readonly LineSpec[];
  readonly rightUnit: string;
  readonly right: readonly LineSpec[];
  /** Hours shown, whatever the dashboard shows. */
  readonly hours: number | null;
}

export interface SectionSpec {
  /** Heading; empty for the first. */
  readonly title: string;
  readonly text: string;
  readonly rows: readonly (readonly WidgetSpec[])[];
}

export interface Resources {
  readonly tables: readonly TableSpec[];
  readonly stream: string;
  readonly serviceBus: string;
  readonly domainBus: string;
  readonly domainSource: string;
  readonly eventArchive: string;
  readonly rules: readonly RuleSpec[];
  readonly topic: string;
  readonly dashboard: string;
  readonly alarms: readonly AlarmSpec[];
  /** The dashboard, but for the alarms above and the AWS resources below. */
  readonly dashboardSections: readonly SectionSpec[];
}

export interface Catalogue {
  /** Metrics the program emits. */
  readonly metrics: readonly MetricSpec[];
  /** Metrics of IVS itself. */
  readonly external: readonly MetricSpec[];
}

function load<T>(file: string): T {
  return JSON.parse(readFileSync(new URL(`../../../schemas/json/${file}`, import.meta.url), 'utf8')) as T;
}

export const resources: Resources = load('resources.json');
export const catalogue: Catalogue = load('catalogue.json');

export const NAMESPACES = {
  sessions: 'LiveStreaming/Sessions',
  metrics: 'LiveStreaming/Metrics',
  processor: 'LiveStreaming/Processor',
  ivs: 'AWS/IVS',
} as const;

/** The metric of that name; throws when nobody emits it, so a typo fails the synth. */
export function metricSpec(namespace: string, name: string): MetricSpec {
  const found = [...catalogue.metrics, ...catalogue.external].find(
    (metric) => metric.namespace === namespace && metric.name === name,
  );
  if (found === undefined) {
    throw new Error(`the catalogue has no metric ${namespace} ${name}`);
  }
  return found;
}

/** The table of that name; throws when the contract has none. */
export function tableSpec(name: string): TableSpec {
  const found = resources.tables.find((table) => table.name === name);
  if (found === undefined) {
    throw new Error(`the contract has no table ${name}`);
  }
  return found;
}
