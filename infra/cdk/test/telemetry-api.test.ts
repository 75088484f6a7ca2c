import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { stageConfig } from '../lib/config.ts';
import { REPOSITORY } from '../lib/image.ts';
import { Json } from './json.ts';
import { ADDRESSES, configOf, only, propertiesOf, synthesize, templateOf } from './synth.ts';
import { evaluate } from './velocity.ts';

const template = templateOf('prod');
const ORIGIN = `'${ADDRESSES['prod']?.telemetryOrigin}'`;
const CORS = 'method.response.header.Access-Control-Allow-Origin';

/** The POST method that maps batches with this list. */
function post(list: string): Json {
  const method = propertiesOf(template, 'AWS::ApiGateway::Method').find((each) =>
    each.at('Integration', 'RequestTemplates', 'application/json').joined().includes(list),
  );
  if (method === undefined) {
    throw new Error(`no method maps ${list}`);
  }
  return method;
}

const telemetry = post('$.records');
const qos = post('$.Records');

function putRecords(method: Json, batch: unknown): Json {
  const mapping = method.at('Integration', 'RequestTemplates', 'application/json').joined();
  return new Json(JSON.parse(evaluate(mapping, batch).body), 'PutRecords');
}

function stored(request: Json): unknown[] {
  return request
    .at('Records')
    .list()
    .map((record) => JSON.parse(Buffer.from(record.at('Data').text(), 'base64').toString('utf8')));
}

function keys(request: Json): unknown[] {
  return request
    .at('Records')
    .list()
    .map((record) => record.at('PartitionKey').value);
}

function samples(folder: string): unknown[] {
  const path = `${REPOSITORY}schemas/samples/${folder}`;
  return readdirSync(path).map((file): unknown => JSON.parse(readFileSync(`${path}/${file}`, 'utf8')));
}

function responses(method: Json): Json[] {
  return method.at('Integration', 'IntegrationResponses').list();
}

function reply(method: Json, statusCode: string, answer: unknown) {
  const found = responses(method).find((each) => each.at('StatusCode').value === statusCode);
  const { body, status } = evaluate(
    found?.at('ResponseTemplates', 'application/json').joined() ?? '',
    answer,
  );
  return { body: JSON.parse(body) as unknown, status };
}

test('a stage has the API when somebody embeds the player', () => {
  templateOf('dev').resourceCountIs('AWS::ApiGateway::RestApi', 0);
  const open = stageConfig('dev', { telemetryOrigin: 'https://live.streams.test' });
  synthesize(open).resourceCountIs('AWS::ApiGateway::RestApi', 1);
});

describe.each([
  ['telemetry', telemetry],
  ['QoS', qos],
])('%s', (_name, method) => {
  test('players need a key, and a batch that can be routed', () => {
    expect(method.at('ApiKeyRequired').value).toBe(true);
    expect(method.at('RequestValidatorId').exists()).toBe(true);
    const [, validator] = only(template, 'AWS::ApiGateway::RequestValidator');
    expect(validator.properties.at('ValidateRequestBody').value).toBe(true);
  });

  test('batches go to PutRecords', () => {
    expect(method.at('Integration', 'Uri').joined()).toMatch(/:kinesis:action\/PutRecords$/);
  });

  test('the page may read every answer', () => {
    expect(responses(method).map((each) => each.at('StatusCode').value)).toEqual(['200', '400', '503']);
    for (const response of responses(method)) {
      expect(response.at('ResponseParameters', CORS).value).toBe(ORIGIN);
    }
    for (const response of method.at('MethodResponses').list()) {
      expect(response.at('ResponseParameters', CORS).value).toBe(true);
    }
  });

  test('a batch stored in part is no success', () => {
    const answer = { FailedRecordCount: 1, Records: [{ SequenceNumber: '1' }, { ErrorCode: 'x' }] };
    expect(reply(method, '200', answer)).toEqual({
      status: 503,
      body: { failed: 1, records: [{ stored: true }, { stored: false }] },
    });
    const whole = reply(method, '200', { FailedRecordCount: 0, Records: [{ SequenceNumber: '1' }] });
    expect(whole).toEqual({ status: undefined, body: { failed: 0, records: [{ stored: true }] } });
  });

  test('only what the client can repair is its fault', () => {
    const status = (type: string) => reply(method, '400', { __type: type }).status;
    expect(status('ValidationException')).toBeUndefined();
    expect(status('com.amazonaws.kinesis.v20131202#InvalidArgumentException')).toBeUndefined();
    expect(status('ProvisionedThroughputExceededException')).toBe(503);
    expect(status('KMSThrottlingException')).toBe(503);
    expect(reply(method, '400', {}).status).toBe(503);
    expect(reply(method, '503', {}).body).toHaveProperty('error');
  });
});

test('a player that reports CMCD needs no key, and may be read by the page', () => {
  const cmcd = propertiesOf(template, 'AWS::ApiGateway::Method').find((method) =>
    method.at('Integration', 'RequestTemplates', 'application/cmcd').exists(),
  );
  expect(cmcd?.at('ApiKeyRequired').value).toBe(false);
  expect(cmcd?.at('Integration', 'PassthroughBehavior').value).toBe('NEVER');
  for (const response of cmcd?.at('Integration', 'IntegrationResponses').list() ?? []) {
    expect(response.at('ResponseParameters', CORS).value).toBe(ORIGIN);
  }
});

test('each record goes into the stream as it came, under its player', () => {
  const records = samples('player-telemetry');
  const request = putRecords(telemetry, { records });
  expect(request.at('StreamName').value).toBe('<reference>');
  expect(stored(request)).toEqual(records);
  const expected = records
    .map((record) => new Json(record))
    .map((record) => `${record.at('sessionId').text()}:${record.at('playerId').text()}`);
  expect(keys(request)).toEqual(expected);
});

test.each([
  ['quotes of both kinds: it\'s "so"'],
  ['a back\\slash and a sl/ash'],
  ['line\nbreak\tand \u0001 control'],
  ['日本語 and 🎥'],
  ["\\' and \\\\'"],
])('an id with %j is a partition key as it is', (playerId) => {
  const record = { sessionId: 'st-1', playerId };
  expect(keys(putRecords(telemetry, { records: [record] }))).toEqual([`st-1:${playerId}`]);
});

test('a batch of the QoS sample is unwrapped, whatever it tells of the viewer', () => {
  const events = ['qos-play', 'qos-playback-summary', 'qos-stop'].flatMap(samples);
  const anonymous = { metric_type: 'STOP', session_id: 's' };
  const Records = [...events, anonymous].map((Data) => ({ Data }));
  const request = putRecords(qos, { Records });
  expect(stored(request)).toEqual([...events, anonymous]);
  expect(keys(request).at(-1)).toBe('s:');
  expect(new Set(keys(request)).size).toBeGreaterThan(1);
});

test('what makes a second try safe is required, and ids fit a partition key', () => {
  const models = propertiesOf(template, 'AWS::ApiGateway::Model').map((model) => model.at('Schema'));
  const [own, sample] = ['TelemetryBatch', 'QosBatch'].map((title) =>
    models.find((schema) => schema.at('title').value === title),
  );
  const list = own?.at('properties', 'records');
  expect(list?.value).toMatchObject({ minItems: 1, maxItems: 500 });
  expect(list?.at('items', 'required').value).toContain('eventId');
  const idMax = (schema: Json | undefined, name: string) =>
    Number(schema?.at('items', 'properties', name, 'maxLength').value);
  expect(idMax(list, 'sessionId') + 1 + idMax(list, 'playerId')).toBeLessThanOrEqual(256);
  const data = sample?.at('properties', 'Records', 'items', 'properties', 'Data', 'properties');
  const lengths = ['session_id', 'user_id'].map((name) => Number(data?.at(name, 'maxLength').value));
  expect(lengths.reduce((sum, length) => sum + length, 1)).toBeLessThanOrEqual(256);
});

test('the key is throttled and has a daily quota', () => {
  const { telemetryApi } = configOf('prod');
  const [, plan] = only(template, 'AWS::ApiGateway::UsagePlan');
  expect(plan.properties.value).toMatchObject({
    Throttle: { RateLimit: telemetryApi?.requestsPerSecond, BurstLimit: telemetryApi?.burst },
    Quota: { Limit: telemetryApi?.requestsPerDay, Period: 'DAY' },
  });
});
