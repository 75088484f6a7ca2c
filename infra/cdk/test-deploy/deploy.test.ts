import { setTimeout as sleep } from 'node:timers/promises';
import {
  CloudFormationClient,
  CreateStackCommand,
  DescribeStackEventsCommand,
  DescribeStacksCommand,
} from '@aws-sdk/client-cloudformation';
import { CloudWatchClient, DescribeAlarmsCommand, GetDashboardCommand } from '@aws-sdk/client-cloudwatch';
import { DescribeTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import {
  DescribeEventBusCommand,
  DescribeRuleCommand,
  EventBridgeClient,
  ListTargetsByRuleCommand,
  TestEventPatternCommand,
} from '@aws-sdk/client-eventbridge';
import { DescribeStreamSummaryCommand, KinesisClient } from '@aws-sdk/client-kinesis';
import { GetTopicAttributesCommand, SNSClient } from '@aws-sdk/client-sns';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { STAGES } from '../lib/config.ts';
import { resources } from '../lib/schemas.ts';
import { Json } from '../test/json.ts';
import { templateOf } from '../test/synth.ts';
import { type Emulator, startMinistack } from './ministack.ts';
import { reduce } from './reduce.ts';

const POLLS = 240;
const POLL_PAUSE_MS = 250;

describe.each(Object.keys(STAGES))('stage %s, deployed', (stage) => {
  let emulator: Emulator;
  let client: ReturnType<typeof clients>;
  const { template, removed } = reduce(templateOf(stage).toJSON());

  beforeAll(async () => {
    emulator = await startMinistack();
    client = clients(emulator.endpoint);
    await deploy(client.cloudformation, emulator.endpoint, stage, template);
  });
  afterAll(() => emulator?.stop());

  test('little had to be left out', () => {
    const whole = new Json(templateOf(stage).toJSON());
    const types = removed.map((id) => whole.at('Resources', id, 'Type').value);
    expect(removed.length).toBeLessThanOrEqual(12);
    expect(types).not.toContain('AWS::DynamoDB::GlobalTable');
  });

  test.each(resources.tables.map((table) => [table.name, table] as const))(
    'table %s',
    async (_name, spec) => {
      const { Table } = await client.dynamodb.send(new DescribeTableCommand({ TableName: spec.name }));
      expect(Table?.TableStatus).toBe('ACTIVE');
      const keys = [spec.partitionKey, spec.sortKey].flatMap((key) => key?.name ?? []);
      expect(Table?.KeySchema?.map(({ AttributeName }) => AttributeName)).toEqual(keys);
      const indexes = (Table?.GlobalSecondaryIndexes ?? []).map((index) => [
        index.IndexName,
        index.KeySchema?.map(({ AttributeName }) => AttributeName),
        index.Projection?.ProjectionType,
      ]);
      expect(indexes).toEqual(
        spec.indexes.map((index) => [
          index.name,
          [index.partitionKey.name, index.sortKey.name],
          index.projection,
        ]),
      );
    },
  );

  test('the stream, with its retention', async () => {
    const { StreamDescriptionSummary: stream } = await client.kinesis.send(
      new DescribeStreamSummaryCommand({ StreamName: resources.stream }),
    );
    expect(stream?.StreamStatus).toBe('ACTIVE');
    expect(stream?.RetentionPeriodHours).toBe(STAGES[stage]?.stream.retentionHours);
  });

  test.each(resources.rules.map((rule) => [rule.name, rule] as const))('rule %s', async (_name, spec) => {
    const rule = await client.events.send(new DescribeRuleCommand({ Name: spec.name }));
    expect(rule.State).toBe('ENABLED');
    expect(JSON.parse(rule.EventPattern ?? '')).toEqual(spec.pattern);
    const { Targets } = await client.events.send(new ListTargetsByRuleCommand({ Rule: spec.name }));
    expect(Targets).toHaveLength(1);
    expect(Targets?.[0]?.Arn).toMatch(new RegExp(`stream/${resources.stream}$`));
    expect(Targets?.[0]?.KinesisParameters?.PartitionKeyPath ?? null).toBe(spec.partitionKeyPath);
  });

  test.each(EVENTS)('the deployed patterns take %s by %s', async (_what, rule, event) => {
    const matching: string[] = [];
    for (const { name } of resources.rules) {
      const { EventPattern } = await client.events.send(new DescribeRuleCommand({ Name: name }));
      const { Result } = await client.events.send(
        new TestEventPatternCommand({ EventPattern, Event: JSON.stringify({ ...ENVELOPE, ...event }) }),
      );
      if (Result) {
        matching.push(name);
      }
    }
    expect(matching).toEqual(rule === 'none' ? [] : [RULES[rule]]);
  });

  test('the bus of domain events', async () => {
    const bus = await client.events.send(new DescribeEventBusCommand({ Name: resources.domainBus }));
    expect(bus.Name).toBe(resources.domainBus);
  });

  test('the alarms with thresholds, and the topic as their action', async () => {
    const { MetricAlarms = [] } = await client.cloudwatch.send(
      new DescribeAlarmsCommand({ MaxRecords: 100 }),
    );
    // The emulator has no Metrics Insights; the template's tests look at those. Nothing is switched on here.
    for (const spec of resources.alarms.filter(
      ({ query, onlyWith }) => query === null && onlyWith === null,
    )) {
      const alarm = MetricAlarms.find(({ AlarmName }) => AlarmName === spec.name);
      expect(alarm).toMatchObject({
        Namespace: spec.metric.namespace,
        MetricName: spec.metric.name,
        Threshold: spec.threshold,
        Period: spec.periodS,
        TreatMissingData: spec.missingData,
      });
      const [topic] = alarm?.AlarmActions ?? [];
      expect(topic).toMatch(new RegExp(`:${resources.topic}$`));
      const { Attributes } = await client.sns.send(new GetTopicAttributesCommand({ TopicArn: topic }));
      expect(Attributes?.['Policy']).toContain('cloudwatch.amazonaws.com');
    }
  });

  test('the dashboard is valid JSON with widgets', async () => {
    const { DashboardBody } = await client.cloudwatch.send(
      new GetDashboardCommand({ DashboardName: resources.dashboard }),
    );
    expect(JSON.parse(DashboardBody ?? '').widgets.length).toBeGreaterThanOrEqual(20);
  });
});

const CHANNEL = 'arn:aws:ivs:us-east-1:000000000000:channel/abcDEF123456';
const STAGE = 'arn:aws:ivs:us-east-1:000000000000:stage/abcDEF123456';
const ENVELOPE = {
  version: '0',
  id: '12345678-1234-1234-1234-123456789012',
  source: 'aws.ivs',
  account: '000000000000',
  time: '2026-03-01T12:00:00Z',
  region: 'us-east-1',
};
const [RESOURCE_RULE, ACCOUNT_RULE] = resources.rules.map(({ name }) => name);
const RULES = { resource: RESOURCE_RULE, account: ACCOUNT_RULE };
const EVENTS: [what: string, rule: keyof typeof RULES | 'none', event: object][] = [
  [
    'a stream start',
    'resource',
    {
      'detail-type': 'IVS Stream State Change',
      resources: [CHANNEL],
      detail: { event_name: 'Stream Start' },
    },
  ],
  [
    'an ingest limit',
    'resource',
    {
      'detail-type': 'IVS Limit Breach',
      resources: [CHANNEL],
      detail: { limit_name: 'Ingest Bitrate', channel_name: 'a' },
    },
  ],
  [
    'an account limit',
    'account',
    { 'detail-type': 'IVS Limit Breach', resources: [], detail: { limit_name: 'Concurrent Viewers' } },
  ],
  [
    'a participant',
    'resource',
    {
      'detail-type': 'IVS Stage Update',
      resources: [STAGE],
      detail: { event_name: 'Participant Published' },
    },
  ],
  [
    'a type of tomorrow',
    'resource',
    { 'detail-type': 'IVS Something New', resources: [CHANNEL], detail: {} },
  ],
  ['an API call', 'none', { 'detail-type': 'AWS API Call via CloudTrail', resources: [], detail: {} }],
  [
    'an API call on a channel',
    'none',
    { 'detail-type': 'AWS API Call via CloudTrail', resources: [CHANNEL], detail: {} },
  ],
];

function clients(endpoint: string) {
  const options = {
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  };
  return {
    cloudformation: new CloudFormationClient(options),
    cloudwatch: new CloudWatchClient(options),
    dynamodb: new DynamoDBClient(options),
    events: new EventBridgeClient(options),
    kinesis: new KinesisClient(options),
    sns: new SNSClient(options),
  };
}

/** Creates the stack and waits; a failure is told in the words of the first resource that failed. */
async function deploy(
  cloudformation: CloudFormationClient,
  endpoint: string,
  stage: string,
  template: object,
): Promise<void> {
  // Larger than CloudFormation takes in a request, so it comes from a bucket as with `cdk deploy`.
  const url = `${endpoint}/templates/${stage}.json`;
  for (const [address, body] of [
    [`${endpoint}/templates`, ''],
    [url, JSON.stringify(template)],
  ] as const) {
    const answer = await fetch(address, { method: 'PUT', body });
    if (!answer.ok) {
      throw new Error(`PUT ${address}: ${answer.status} ${await answer.text()}`);
    }
  }
  const StackName = `IvsObservability-${stage}`;
  await cloudformation.send(
    new CreateStackCommand({
      StackName,
      TemplateURL: url,
      Capabilities: ['CAPABILITY_IAM', 'CAPABILITY_NAMED_IAM'],
    }),
  );
  for (let poll = 0; poll < POLLS; poll += 1) {
    const { Stacks } = await cloudformation.send(new DescribeStacksCommand({ StackName }));
    const status = Stacks?.[0]?.StackStatus;
    if (status === 'CREATE_COMPLETE') {
      return;
    }
    if (status !== 'CREATE_IN_PROGRESS') {
      const { StackEvents = [] } = await cloudformation.send(new DescribeStackEventsCommand({ StackName }));
      const failures = StackEvents.filter(({ ResourceStatus }) => ResourceStatus === 'CREATE_FAILED');
      const reasons = failures.map((event) => `${event.LogicalResourceId}: ${event.ResourceStatusReason}`);
      throw new Error(`the stack ended as ${status}: ${reasons.join('; ')}`);
    }
    await sleep(POLL_PAUSE_MS);
  }
  throw new Error('the stack is still being created');
}
