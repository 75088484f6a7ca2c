import { describe, expect, test } from 'vitest';
import { STAGES } from '../lib/config.ts';
import { type AlarmSpec, catalogue, resources } from '../lib/schemas.ts';
import { joined, only, type Resource, resourcesOf, templateOf } from './synth.ts';

/** A table of the template in the contract's words. */
function table({ Properties }: Resource) {
  const type = (name: string) =>
    Properties.AttributeDefinitions.find((attribute: any) => attribute.AttributeName === name).AttributeType;
  const key = (schema: any[], kind: string) => {
    const found = schema.find((entry) => entry.KeyType === kind);
    return found ? { name: found.AttributeName, type: type(found.AttributeName) } : null;
  };
  return {
    name: Properties.TableName,
    partitionKey: key(Properties.KeySchema, 'HASH'),
    sortKey: key(Properties.KeySchema, 'RANGE'),
    indexes: (Properties.GlobalSecondaryIndexes ?? []).map((index: any) => ({
      name: index.IndexName,
      partitionKey: key(index.KeySchema, 'HASH'),
      sortKey: key(index.KeySchema, 'RANGE'),
      projection: index.Projection.ProjectionType,
    })),
    ttlAttribute: Properties.TimeToLiveSpecification?.AttributeName ?? null,
  };
}

function rule({ Properties }: Resource) {
  return {
    name: Properties.Name,
    description: Properties.Description,
    pattern: Properties.EventPattern,
    partitionKeyPath: Properties.Targets[0].KinesisParameters?.PartitionKeyPath ?? null,
  };
}

function alarm({ Properties }: Resource): Omit<AlarmSpec, 'metric' | 'description'> & { metric: string } {
  return {
    name: Properties.AlarmName,
    metric: `${Properties.Namespace} ${Properties.MetricName}`,
    statistic: Properties.Statistic ?? Properties.ExtendedStatistic,
    comparison: Properties.ComparisonOperator,
    threshold: Properties.Threshold,
    periodS: Properties.Period,
    evaluationPeriods: Properties.EvaluationPeriods,
    datapointsToAlarm: Properties.DatapointsToAlarm,
    missingData: Properties.TreatMissingData,
  };
}

const byName = <T extends { name: string }>(items: readonly T[]): T[] =>
  [...items].sort((a, b) => a.name.localeCompare(b.name));

// Local mode makes its resources from the same contract: what is equal here is equal there.
describe.each(Object.keys(STAGES))('stage %s deploys what the contract says', (stage) => {
  const template = templateOf(stage);
  const all = (type: string) => Object.values(resourcesOf(template, type));

  test('tables with keys, indexes and expiry', () => {
    const tables = all('AWS::DynamoDB::GlobalTable').map(table);
    expect(byName(tables)).toEqual(byName(resources.tables));
  });

  test('rules with patterns and partition keys, on the bus of AWS services', () => {
    const rules = all('AWS::Events::Rule');
    expect(byName(rules.map(rule))).toEqual(byName(resources.rules));
    const [stream] = only(template, 'AWS::Kinesis::Stream');
    for (const { Properties } of rules) {
      expect(Properties.EventBusName ?? 'default').toBe(resources.serviceBus);
      expect(Properties.State).toBe('ENABLED');
      expect(Properties.Targets).toHaveLength(1);
      expect(Properties.Targets[0].Arn).toEqual({ 'Fn::GetAtt': [stream, 'Arn'] });
    }
  });

  test('stream, buses, archive, topic and dashboard by name', () => {
    const property = (type: string, name: string) => only(template, type)[1].Properties[name];
    expect(property('AWS::Kinesis::Stream', 'Name')).toBe(resources.stream);
    expect(property('AWS::Events::EventBus', 'Name')).toBe(resources.domainBus);
    expect(property('AWS::Events::Archive', 'ArchiveName')).toBe(resources.eventArchive);
    expect(joined(property('AWS::Events::Archive', 'SourceArn'))).toMatch(
      new RegExp(`:event-bus/${resources.serviceBus}$`),
    );
    expect(property('AWS::SNS::Topic', 'TopicName')).toBe(resources.topic);
    expect(property('AWS::CloudWatch::Dashboard', 'DashboardName')).toBe(resources.dashboard);
  });

  test('alarms with thresholds', () => {
    const alarms = all('AWS::CloudWatch::Alarm').map(alarm);
    const expected = resources.alarms.map(({ metric, description: _text, ...rest }) => ({
      ...rest,
      metric: `${metric.namespace} ${metric.name}`,
    }));
    expect(expected.length).toBeGreaterThanOrEqual(6);
    for (const spec of expected) {
      expect(alarms).toContainEqual(spec);
    }
  });

  test('the worker may publish to the namespaces of the catalogue and to no other', () => {
    const policies = all('AWS::IAM::Policy').flatMap(({ Properties }) => Properties.PolicyDocument.Statement);
    const publish = policies.find((statement: any) => statement.Action === 'cloudwatch:PutMetricData');
    const namespaces = new Set(catalogue.metrics.map(({ namespace }) => namespace));
    expect(new Set(publish.Condition.StringEquals['cloudwatch:namespace'])).toEqual(namespaces);
  });
});
