import { describe, expect, test } from 'vitest';
import { STAGES, stageConfig } from '../lib/config.ts';
import { type AlarmSpec, catalogue, resources } from '../lib/schemas.ts';
import type { Json } from './json.ts';
import { only, propertiesOf, synthesize, templateOf } from './synth.ts';

/** A table of the template in the contract's words. */
function table(properties: Json) {
  const type = (name: string) =>
    properties
      .at('AttributeDefinitions')
      .list()
      .find((attribute) => attribute.at('AttributeName').value === name)
      ?.at('AttributeType').value;
  const key = (schema: Json, kind: string) => {
    const found = schema.list().find((entry) => entry.at('KeyType').value === kind);
    const name = found?.at('AttributeName').text();
    return name === undefined ? null : { name, type: type(name) };
  };
  return {
    name: properties.at('TableName').text(),
    partitionKey: key(properties.at('KeySchema'), 'HASH'),
    sortKey: key(properties.at('KeySchema'), 'RANGE'),
    indexes: properties
      .at('GlobalSecondaryIndexes')
      .list()
      .map((index) => ({
        name: index.at('IndexName').value,
        partitionKey: key(index.at('KeySchema'), 'HASH'),
        sortKey: key(index.at('KeySchema'), 'RANGE'),
        projection: index.at('Projection', 'ProjectionType').value,
      })),
    ttlAttribute: properties.at('TimeToLiveSpecification', 'AttributeName').value ?? null,
  };
}

function rule(properties: Json) {
  return {
    name: properties.at('Name').text(),
    description: properties.at('Description').value,
    pattern: properties.at('EventPattern').value,
    partitionKeyPath: properties.at('Targets', 0, 'KinesisParameters', 'PartitionKeyPath').value ?? null,
  };
}

/** An alarm of the template in the contract's words; a query stands for the metric of a grouped one. */
function alarm(properties: Json) {
  const [query, ...more] = properties.at('Metrics').list();
  const grouped = more.length === 0 && query?.at('Expression').exists() ? query : undefined;
  return {
    name: properties.at('AlarmName').value,
    watches: grouped
      ? grouped.at('Expression').value
      : `${properties.at('Namespace').value} ${properties.at('MetricName').value}`,
    statistic: grouped
      ? undefined
      : (properties.at('Statistic').value ?? properties.at('ExtendedStatistic').value),
    comparison: properties.at('ComparisonOperator').value,
    threshold: properties.at('Threshold').value,
    periodS: (grouped ?? properties).at('Period').value,
    evaluationPeriods: properties.at('EvaluationPeriods').value,
    datapointsToAlarm: properties.at('DatapointsToAlarm').value,
    missingData: properties.at('TreatMissingData').value,
  };
}

function expected(spec: AlarmSpec) {
  const { metric, description: _text, groupBy: _by, onlyWith: _switch, query, statistic, ...rest } = spec;
  return {
    ...rest,
    watches: query ?? `${metric.namespace} ${metric.name}`,
    statistic: query === null ? statistic : undefined,
  };
}

const byName = <T extends { name: string }>(items: readonly T[]): T[] =>
  [...items].sort((a, b) => a.name.localeCompare(b.name));

// Local mode makes its resources from the same contract: what is equal here is equal there.
describe.each(Object.keys(STAGES))('stage %s deploys what the contract says', (stage) => {
  const template = templateOf(stage);
  const all = (type: string) => propertiesOf(template, type);

  test('tables with keys, indexes and expiry', () => {
    expect(byName(all('AWS::DynamoDB::GlobalTable').map(table))).toEqual(byName(resources.tables));
  });

  test('rules with patterns and partition keys, on the bus of AWS services', () => {
    const rules = all('AWS::Events::Rule');
    expect(byName(rules.map(rule))).toEqual(byName(resources.rules));
    const [stream] = only(template, 'AWS::Kinesis::Stream');
    for (const each of rules) {
      expect(each.at('EventBusName').value ?? 'default').toBe(resources.serviceBus);
      expect(each.at('State').value).toBe('ENABLED');
      expect(each.at('EventPattern', 'detail-type').value).toEqual([{ prefix: 'IVS ' }]);
      const [target, ...more] = each.at('Targets').list();
      expect(more).toEqual([]);
      expect(target?.at('Arn').value).toEqual({ 'Fn::GetAtt': [stream, 'Arn'] });
    }
  });

  test('stream, buses, archive, topic and dashboard by name', () => {
    const property = (type: string, name: string) => only(template, type)[1].properties.at(name);
    expect(property('AWS::Kinesis::Stream', 'Name').value).toBe(resources.stream);
    expect(property('AWS::Events::EventBus', 'Name').value).toBe(resources.domainBus);
    expect(property('AWS::Events::Archive', 'ArchiveName').value).toBe(resources.eventArchive);
    expect(property('AWS::Events::Archive', 'SourceArn').joined()).toMatch(
      new RegExp(`:event-bus/${resources.serviceBus}$`),
    );
    expect(property('AWS::SNS::Topic', 'TopicName').value).toBe(resources.topic);
    expect(property('AWS::CloudWatch::Dashboard', 'DashboardName').value).toBe(resources.dashboard);
  });

  test('alarms with thresholds', () => {
    const alarms = all('AWS::CloudWatch::Alarm').map(alarm);
    expect(resources.alarms.length).toBeGreaterThanOrEqual(6);
    for (const spec of resources.alarms.filter(({ onlyWith }) => onlyWith === null)) {
      expect(alarms).toContainEqual(expected(spec));
    }
  });

  test('the frame rate is watched channel by channel, its mean over two minutes', () => {
    const frameRate = all('AWS::CloudWatch::Alarm')
      .map(alarm)
      .find(({ name }) => name === 'LiveStreaming-IngestFrameRate');
    expect(frameRate).toMatchObject({
      watches:
        'SELECT AVG(IngestFramerate) FROM SCHEMA("AWS/IVS", Channel) GROUP BY Channel ORDER BY AVG() ASC',
      comparison: 'LessThanThreshold',
      threshold: 20,
      periodS: 120,
      evaluationPeriods: 1,
    });
  });

  test('the worker may publish to the namespaces of the catalogue and to no other', () => {
    const publish = all('AWS::IAM::Policy')
      .flatMap((policy) => policy.at('PolicyDocument', 'Statement').list())
      .find((statement) => statement.at('Action').value === 'cloudwatch:PutMetricData');
    const namespaces = new Set(catalogue.metrics.map(({ namespace }) => namespace));
    const granted = publish?.at('Condition', 'StringEquals', 'cloudwatch:namespace').list();
    expect(new Set(granted?.map(({ value }) => value))).toEqual(namespaces);
  });
});

test('an alarm that takes a setting of the worker has its thresholds where that is on', () => {
  const template = synthesize(stageConfig('dev', { reconcile: 'true' }));
  const alarms = propertiesOf(template, 'AWS::CloudWatch::Alarm').map(alarm);
  const switched = resources.alarms.filter(({ onlyWith }) => onlyWith !== null);
  expect(switched.length).toBeGreaterThan(0);
  for (const spec of switched) {
    expect(alarms).toContainEqual(expected(spec));
  }
});
