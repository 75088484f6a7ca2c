import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { STAGES, stageConfig } from '../lib/config.ts';
import { IMAGE_ASSET, IMAGE_TARGET, REPOSITORY } from '../lib/image.ts';
import { only, resourcesOf, synthesize, templateOf } from './synth.ts';

function container(stage: string): Record<string, any> {
  const [, task] = only(templateOf(stage), 'AWS::ECS::TaskDefinition');
  const [worker, ...more] = task.Properties.ContainerDefinitions;
  expect(more).toEqual([]);
  return worker;
}

/** The keys of one section of the program's configuration, from its source. */
function configKeys(section: string): string[] {
  const source = readFileSync(`${REPOSITORY}processor/src/config.rs`, 'utf8');
  const type = new RegExp(`pub ${section}: (\\w+),`).exec(source)?.[1];
  const body = new RegExp(`pub struct ${type} \\{(.*?)\\n\\}`, 's').exec(source)?.[1] ?? '';
  return [...body.matchAll(/pub (\w+):/g)].map(([, key]) => key!);
}

describe.each(Object.keys(STAGES))('stage %s', (stage) => {
  const template = templateOf(stage);
  const config = stageConfig(stage);

  test('two tasks at least, on Graviton, rolled back when they do not start', () => {
    const [, service] = only(template, 'AWS::ECS::Service');
    expect(service.Properties.DesiredCount).toBeGreaterThanOrEqual(2);
    expect(service.Properties.DeploymentConfiguration).toMatchObject({
      MinimumHealthyPercent: 100,
      DeploymentCircuitBreaker: { Enable: true, Rollback: true },
    });
    expect(service.Properties.NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp).toBe('DISABLED');
    const [, task] = only(template, 'AWS::ECS::TaskDefinition');
    expect(task.Properties.RuntimePlatform.CpuArchitecture).toBe('ARM64');
  });

  test('the worker cannot write to its image and has time to hand over', () => {
    const worker = container(stage);
    expect(worker.ReadonlyRootFilesystem).toBe(true);
    expect(worker.User).toBe('65532:65532');
    expect(worker.Privileged ?? false).toBe(false);
    const deadline = worker.Environment.find((entry: any) => entry.Name === 'IVS_SHUTDOWN__DEADLINE_MS');
    expect(worker.StopTimeout * 1_000).toBeGreaterThan(Number(deadline.Value));
  });

  test('the health check needs no shell', () => {
    const { Command } = container(stage).HealthCheck;
    expect(Command).toEqual(['CMD', '/usr/local/bin/ivs-processor', 'health']);
  });

  test('the worker knows every setting it is given, for it refuses unknown ones', () => {
    const settings = container(stage)
      .Environment.map((entry: any) => entry.Name)
      .filter((name: string) => name.startsWith('IVS_'));
    expect(settings.length).toBeGreaterThanOrEqual(8);
    for (const name of settings) {
      const [section, key] = name.slice('IVS_'.length).toLowerCase().split('__');
      expect(configKeys(section), name).toContain(key);
    }
  });

  test('tasks follow CPU and lag', () => {
    const policies = Object.values(resourcesOf(template, 'AWS::ApplicationAutoScaling::ScalingPolicy'));
    const cpu = policies
      .map(({ Properties }) => Properties.TargetTrackingScalingPolicyConfiguration)
      .find(Boolean);
    expect(cpu).toMatchObject({
      PredefinedMetricSpecification: { PredefinedMetricType: 'ECSServiceAverageCPUUtilization' },
      TargetValue: config.worker.cpuTargetPercent,
    });
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      Namespace: 'LiveStreaming/Processor',
      MetricName: 'Lag',
      Statistic: 'Maximum',
      Threshold: config.worker.lagScaleOutMs,
    });
    const [, target] = only(template, 'AWS::ApplicationAutoScaling::ScalableTarget');
    expect(target.Properties).toMatchObject({
      MinCapacity: config.worker.minTasks,
      MaxCapacity: config.worker.maxTasks,
    });
  });

  test('no role of ours may do everything, or one thing everywhere', () => {
    for (const [id, { Properties }] of Object.entries(resourcesOf(template, 'AWS::IAM::Policy'))) {
      for (const statement of Properties.PolicyDocument.Statement) {
        const actions: string[] = [statement.Action].flat();
        expect(
          actions.filter((action) => /^\*|:\*$/.test(action)),
          id,
        ).toEqual([]);
        if ([statement.Resource].flat().includes('*')) {
          expect(['cloudwatch:PutMetricData', 'ecr:GetAuthorizationToken'], id).toEqual(
            expect.arrayContaining(actions),
          );
        }
      }
    }
  });
});

test('enhanced fan-out is told to the worker and granted', () => {
  const dev = stageConfig('dev');
  const template = synthesize({ ...dev, worker: { ...dev.worker, enhancedFanOut: true } });
  const [, task] = only(template, 'AWS::ECS::TaskDefinition');
  expect(task.Properties.ContainerDefinitions[0].Environment).toContainEqual({
    Name: 'IVS_STREAM__CONSUMER',
    Value: 'enhanced',
  });
  const policies = Object.values(resourcesOf(template, 'AWS::IAM::Policy'));
  const actions = policies.flatMap(({ Properties }) =>
    Properties.PolicyDocument.Statement.flatMap((statement: any) => statement.Action),
  );
  expect(actions).toContain('kinesis:SubscribeToShard');
});

describe('the image', () => {
  const dockerfile = readFileSync(`${REPOSITORY}${IMAGE_ASSET.file}`, 'utf8');

  test.each(Object.values(IMAGE_TARGET))('has the stage %s', (target) => {
    expect(dockerfile).toMatch(new RegExp(`^FROM .+ AS ${target}$`, 'm'));
  });

  test.each([
    [IMAGE_TARGET.worker, ['worker']],
    [IMAGE_TARGET.report, ['report', 'lambda']],
    ['record', ['record']],
  ])('runs the command of the stage %s', (target, command) => {
    const stage = dockerfile.split(/^FROM /m).find((text) => text.startsWith(`runtime AS ${target}\n`));
    expect(stage).toContain(`CMD ${JSON.stringify(command).replaceAll(',', ', ')}`);
  });

  test('is staged with every member of the workspace', () => {
    const manifest = readFileSync(`${REPOSITORY}Cargo.toml`, 'utf8');
    const members = /^members = \[(.*?)\]/ms.exec(manifest)?.[1]?.match(/[^",\s]+/g) ?? [];
    expect(members.length).toBeGreaterThanOrEqual(6);
    for (const member of members) {
      expect(IMAGE_ASSET.exclude).toContain(`!${member.split('/')[0]}`);
    }
  });
});
