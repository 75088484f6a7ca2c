import type { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { STAGES } from '../lib/config.ts';
import { type MetricSpec, catalogue } from '../lib/schemas.ts';
import { joined, only, resourcesOf, templateOf } from './synth.ts';

/** A use of a metric: in an alarm, a scaling policy or a widget. */
interface Use {
  readonly where: string;
  readonly namespace: string;
  readonly name: string;
  readonly dimensions: readonly string[];
  readonly unit?: string;
}

/** Metrics that are emitted and on purpose neither watched nor shown, each with its reason. */
const NOT_SHOWN: Readonly<Record<string, string>> = {};

function alarmUses(template: Template): Use[] {
  return Object.entries(resourcesOf(template, 'AWS::CloudWatch::Alarm')).flatMap(
    ([where, { Properties }]) => {
      const stats = (Properties.Metrics ?? []).flatMap((query: any) => query.MetricStat ?? []);
      const queried = stats.map((stat: any) => ({ ...stat.Metric, Unit: stat.Unit }));
      return [...queried, ...(Properties.MetricName ? [Properties] : [])].map((metric: any) => ({
        where,
        namespace: metric.Namespace,
        name: metric.MetricName,
        dimensions: (metric.Dimensions ?? []).map((dimension: any) => dimension.Name),
        ...(metric.Unit && { unit: metric.Unit }),
      }));
    },
  );
}

/** `[namespace, name, dimension, value, ..., options]`, or an expression that may search. */
function widgetUse(where: string, row: any[]): Use[] {
  if (typeof row[0] !== 'string') {
    const search = /\{([^,}]+),?([^}]*)\} MetricName="(\w+)"/.exec(row[0].expression ?? '');
    const [, namespace = '', dimensions = '', name = ''] = search ?? [];
    return search ? [{ where, namespace, name, dimensions: dimensions.split(',').filter(Boolean) }] : [];
  }
  const texts = row.filter((cell) => typeof cell === 'string');
  const [namespace, name, ...pairs]: string[] = texts;
  if (namespace === undefined || name === undefined) {
    throw new Error(`${where} has a metric without a name`);
  }
  return [{ where, namespace, name, dimensions: pairs.filter((_pair, index) => index % 2 === 0) }];
}

function widgetUses(template: Template): Use[] {
  const [, dashboard] = only(template, 'AWS::CloudWatch::Dashboard');
  const body = JSON.parse(joined(dashboard.Properties.DashboardBody));
  return body.widgets.flatMap((widget: any) =>
    (widget.properties.metrics ?? []).flatMap((row: any[]) => widgetUse(widget.properties.title, row)),
  );
}

const known: readonly MetricSpec[] = [...catalogue.metrics, ...catalogue.external];
const key = ({ namespace, name }: { namespace: string; name: string }): string => `${namespace} ${name}`;

describe.each(Object.keys(STAGES))('stage %s', (stage) => {
  const template = templateOf(stage);
  const uses = [...alarmUses(template), ...widgetUses(template)];
  const ours = uses.filter(
    ({ namespace }) => namespace.startsWith('LiveStreaming/') || namespace === 'AWS/IVS',
  );

  test('alarms and widgets name metrics at all', () => {
    expect(alarmUses(template).length).toBeGreaterThanOrEqual(8);
    expect(widgetUses(template).length).toBeGreaterThanOrEqual(30);
  });

  test('each metric named is emitted with those dimensions and that unit', () => {
    for (const use of ours) {
      const spec = known.find((metric) => key(metric) === key(use));
      expect(spec, `${use.where}: ${key(use)}`).toBeDefined();
      const sets = spec?.dimensions.map((set) => [...set].sort());
      expect(sets, `${use.where}: ${key(use)}`).toContainEqual([...use.dimensions].sort());
      if (use.unit !== undefined) {
        expect(use.unit, `${use.where}: ${key(use)}`).toBe(spec?.unit);
      }
    }
  });

  test('each metric emitted is shown or watched, or left out with a reason', () => {
    const used = new Set(ours.map(key));
    const forgotten = catalogue.metrics
      .map(key)
      .filter((metric) => !used.has(metric) && !(metric in NOT_SHOWN));
    expect(forgotten).toEqual([]);
    const excused = Object.keys(NOT_SHOWN).filter((metric) => used.has(metric));
    expect(excused).toEqual([]);
  });

  test('the five widgets of the tutorial are there', () => {
    const named = (name: string) => uses.filter((use) => use.name === name).map(({ where }) => where);
    expect(named('CurrentViewers')).toEqual(expect.arrayContaining(['Viewers now', 'Viewers, 24 hours']));
    for (const metric of ['StreamBitrate', 'IngestFramerate', 'KeyframeInterval']) {
      expect(named(metric)).toContain('Quality of the channel');
    }
    expect(named('ChatActivity')).toContain('Chat, messages a minute');
    for (const metric of ['StreamsStarted', 'StreamsEnded', 'StreamDuration']) {
      expect(named(metric)).toContain('Sessions, 24 hours');
    }
  });
});
