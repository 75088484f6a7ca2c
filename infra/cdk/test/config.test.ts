import { describe, expect, test } from 'vitest';
import { checkStage, STAGES, type StageConfig, stageConfig } from '../lib/config.ts';
import { configOf } from './synth.ts';

const prod = configOf('prod');
const worker = (change: Partial<StageConfig['worker']>): StageConfig => ({
  ...prod,
  worker: { ...prod.worker, ...change },
});

test.each(Object.keys(STAGES))('stage %s is valid', (stage) => {
  expect(stageConfig(stage).stage).toBe(stage);
});

test('an unknown stage is refused and the known ones are named', () => {
  expect(() => stageConfig('staging')).toThrow(/"staging".*dev, prod/);
});

describe('impossible values are refused by name', () => {
  const cases: [string, StageConfig][] = [
    ['worker.minTasks', worker({ minTasks: 1 })],
    ['worker.maxTasks', worker({ maxTasks: 1 })],
    ['worker.stopTimeoutSeconds must exceed', worker({ drainSeconds: 120 })],
    ['worker.stopTimeoutSeconds must not exceed 120', worker({ stopTimeoutSeconds: 121 })],
    ['worker.lagScaleOutMs', worker({ lagScaleOutMs: 0 })],
    ['stream.retentionHours', { ...prod, stream: { mode: 'on-demand', retentionHours: 23 } }],
    ['stream.shards', { ...prod, stream: { mode: 'provisioned', retentionHours: 24, shards: 0 } }],
    ['"nobody" is not an email address', subscribed({ protocol: 'email', endpoint: 'nobody' })],
    ['"http://x" is not an https address', subscribed({ protocol: 'https', endpoint: 'http://x' })],
    ['network.natGateways', { ...prod, network: { natGateways: 0, interfaceEndpoints: [] } }],
  ];
  test.each(cases)('%s', (message, config) => {
    expect(() => checkStage(config)).toThrow(message);
  });

  test('an open telemetry API', () => {
    expect(prod.telemetryApi).toBeDefined();
    expect(() => stageConfig('prod', { telemetryOrigin: '*' })).toThrow('telemetryApi.allowedOrigin');
  });
});

test('all problems are told at once', () => {
  const check = () => checkStage(worker({ minTasks: 1, lagScaleOutMs: 0 }));
  expect(check).toThrow('worker.minTasks');
  expect(check).toThrow('worker.lagScaleOutMs');
});

function subscribed(subscription: StageConfig['alerts']['subscriptions'][number]): StageConfig {
  return { ...prod, alerts: { ...prod.alerts, subscriptions: [subscription] } };
}
