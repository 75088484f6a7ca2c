import type { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { STAGES } from '../lib/config.ts';
import { catalogue, type MetricSpec, resources } from '../lib/schemas.ts';
import { Json } from './json.ts';
import { only, resourcesOf, templateOf } from './synth.ts';

/** A use of a metric: in an alarm, a scaling policy or a widget. */
interface Use {
  readonly where: string;
  readonly namespace: string;
  readonly name: string;
  readonly dimensions: readonly string[];
  readonly unit?: string;
}

/** Metrics that are emitted and on purpose neither watched nor shown, each with its reason. */
const NOT_SHOWN: Readonly<Record<string, string>> = {
  'LiveStreaming/Processor ReconcileFailures':
    'an alarm watches it where workers ask IVS, which no stage does by itself',
};

function alarmUses(template: Template): Use[] {
  return Object.entries(resourcesOf(template, 'AWS::CloudWatch::Alarm')).flatMap(
    ([where, { properties }]) => {
      const queries = properties.at('Metrics').list();
      const stats = queries.map((query) => query.at('MetricStat')).filter((stat) => stat.exists());
      const insights = queries.flatMap((query) => insightsUse(where, String(query.at('Expression').value)));
      const single = properties.at('MetricName').exists()
        ? [use(where, properties, properties.at('Unit'))]
        : [];
      return [...stats.map((stat) => use(where, stat.at('Metric'), stat.at('Unit'))), ...single, ...insights];
    },
  );
}

function use(where: string, metric: Json, unit: Json): Use {
  return {
    where,
    namespace: metric.at('Namespace').text(),
    name: metric.at('MetricName').text(),
    dimensions: metric
      .at('Dimensions')
      .list()
      .map((dimension) => dimension.at('Name').text()),
    ...(unit.exists() && { unit: unit.text() }),
  };
}

/** `SELECT AVG(name) FROM SCHEMA("namespace", dimension) ...`. */
function insightsUse(where: string, expression: string): Use[] {
  const select = /^SELECT \w+\((\w+)\) FROM SCHEMA\("([^"]+)", ([\w, ]+)\)/.exec(expression);
  const [, name = '', namespace = '', dimensions = ''] = select ?? [];
  return select ? [{ where, namespace, name, dimensions: dimensions.split(', ') }] : [];
}

/** `[namespace, name, dimension, value, ..., options]`, or an expression that may search. */
function widgetUse(where: string, row: Json): Use[] {
  const cells = row.list();
  const expression = cells[0]?.at('expression');
  if (expression?.exists()) {
    const search = /\{([^,}]+),?([^}]*)\} MetricName="(\w+)"/.exec(expression.text());
    const [, namespace = '', dimensions = '', name = ''] = search ?? [];
    return search ? [{ where, namespace, name, dimensions: dimensions.split(',').filter(Boolean) }] : [];
  }
  const texts = cells.map(({ value }) => value).filter((value) => typeof value === 'string');
  const [namespace, name, ...pairs] = texts;
  if (namespace === undefined || name === undefined) {
    throw new Error(`${where} has a metric without a name`);
  }
  return [{ where, namespace, name, dimensions: pairs.filter((_pair, index) => index % 2 === 0) }];
}

function dashboard(template: Template): Json {
  const [, { properties }] = only(template, 'AWS::CloudWatch::Dashboard');
  return new Json(JSON.parse(properties.at('DashboardBody').joined()), 'DashboardBody');
}

function widgetUses(template: Template): Use[] {
  return dashboard(template)
    .at('widgets')
    .list()
    .map((widget) => widget.at('properties'))
    .flatMap((widget) =>
      widget
        .at('metrics')
        .list()
        .flatMap((row) => widgetUse(widget.at('title').text(), row)),
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
  const titles = (name: string) => uses.filter((each) => each.name === name).map(({ where }) => where);

  test('alarms and widgets name metrics at all', () => {
    expect(alarmUses(template).length).toBeGreaterThanOrEqual(8);
    expect(widgetUses(template).length).toBeGreaterThanOrEqual(30);
  });

  test('each metric named is emitted with those dimensions and that unit', () => {
    for (const each of ours) {
      const spec = known.find((metric) => key(metric) === key(each));
      expect(spec, `${each.where}: ${key(each)}`).toBeDefined();
      const sets = spec?.dimensions.map((set) => [...set].sort());
      expect(sets, `${each.where}: ${key(each)}`).toContainEqual([...each.dimensions].sort());
      if (each.unit !== undefined) {
        expect(each.unit, `${each.where}: ${key(each)}`).toBe(spec?.unit);
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
    expect(titles('CurrentViewers')).toEqual(expect.arrayContaining(['Viewers now', 'Viewers, 24 hours']));
    for (const metric of ['StreamBitrate', 'IngestFramerate', 'KeyframeInterval']) {
      expect(titles(metric)).toContain('Quality of the channel');
    }
    expect(titles('ChatActivity')).toContain('Chat, messages a minute');
    for (const metric of ['StreamsStarted', 'StreamsEnded', 'StreamDuration']) {
      expect(titles(metric)).toContain('Sessions, 24 hours');
    }
  });

  test('an account with nothing but IVS has viewers, quality and channels to choose from', () => {
    const ivs = (name: string, dimensions: string[]) =>
      uses
        .filter((each) => each.namespace === 'AWS/IVS' && each.name === name)
        .filter((each) => `${each.dimensions}` === `${dimensions}`)
        .map(({ where }) => where);
    for (const title of ['Viewers now', 'Viewers, 24 hours']) {
      expect(ivs('ConcurrentViews', [])).toContain(title);
      expect(ivs('ConcurrentViews', ['Channel'])).toContain(title);
    }
    expect(ivs('IngestVideoBitrate', ['Channel'])).toContain('Quality of the channel');
    const [picker, ...more] = dashboard(template).at('variables').list();
    expect(more).toEqual([]);
    expect(picker?.at('search').text()).toContain('AWS/IVS');
    expect(picker?.at('search').text()).toContain('IngestFramerate');
    expect(picker?.at('populateFrom').value).toBe('Channel');
  });
});

test('every dimension by which an alarm is grouped is one by which the metric is sent', () => {
  const grouped = resources.alarms.filter(({ groupBy }) => groupBy !== null);
  expect(grouped.map(({ name }) => name)).toContain('LiveStreaming-IngestFrameRate');
  for (const { name, groupBy, metric } of grouped) {
    expect(metric.dimensions, name).toContainEqual([groupBy]);
  }
});
