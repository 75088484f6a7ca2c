import { Match } from 'aws-cdk-lib/assertions';
import { expect, test } from 'vitest';
import { stageConfig } from '../lib/config.ts';
import { joined, only, resourcesOf, templateOf } from './synth.ts';

const template = templateOf('prod');

function post(): Record<string, any> {
  const methods = Object.values(resourcesOf(template, 'AWS::ApiGateway::Method'));
  return methods.find(({ Properties }) => Properties.HttpMethod === 'POST')!.Properties;
}

test('a stage without the API has nothing of it', () => {
  templateOf('dev').resourceCountIs('AWS::ApiGateway::RestApi', 0);
});

test('players need a key and a batch that can be routed', () => {
  expect(post()).toMatchObject({ ApiKeyRequired: true });
  expect(post().RequestValidatorId).toBeDefined();
  template.hasResourceProperties('AWS::ApiGateway::RequestValidator', { ValidateRequestBody: true });
  template.hasResourceProperties('AWS::ApiGateway::Model', {
    Schema: Match.objectLike({ properties: { records: Match.objectLike({ minItems: 1, maxItems: 500 }) } }),
  });
});

test('each record goes into the stream under its session', () => {
  const { Integration } = post();
  expect(joined(Integration.Uri)).toMatch(/:kinesis:action\/PutRecords$/);
  const request = joined(Integration.RequestTemplates['application/json']);
  expect(request).toContain('"StreamName": "<reference>"');
  expect(request).toContain('"PartitionKey": "$util.escapeJavaScript($record.sessionId)"');
});

test('a batch stored in part is no success', () => {
  const [success] = post().Integration.IntegrationResponses;
  expect(success.ResponseTemplates['application/json']).toContain('responseOverride.status = 503');
});

test('the key is throttled and has a daily quota', () => {
  const { telemetryApi } = stageConfig('prod');
  const [, plan] = only(template, 'AWS::ApiGateway::UsagePlan');
  expect(plan.Properties).toMatchObject({
    Throttle: { RateLimit: telemetryApi?.requestsPerSecond, BurstLimit: telemetryApi?.burst },
    Quota: { Limit: telemetryApi?.requestsPerDay, Period: 'DAY' },
  });
});
