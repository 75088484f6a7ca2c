import { readdirSync, readFileSync } from 'node:fs';
import type { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { DIMENSIONS, STAGES, stageConfig } from '../lib/config.ts';
import { IMAGE_ASSET, IMAGE_TARGET, REPOSITORY } from '../lib/image.ts';
import type { Json } from './json.ts';
import { only, propertiesOf, resourcesOf, synthesize, templateOf } from './synth.ts';

function container(stage: string): Json {
  const [, task] = only(templateOf(stage), 'AWS::ECS::TaskDefinition');
  const [worker, ...more] = task.properties.at('ContainerDefinitions').list();
  expect(more).toEqual([]);
  if (worker === undefined) {
    throw new Error('the task has no container');
  }
  return worker;
}

/** The Rust source of the program's configuration, wherever its parts lie. */
function configSource(): string {
  const folder = `${REPOSITORY}processor/src`;
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const parts = files.filter((file) => /^config(\.rs$|\/)/.test(file) && file.endsWith('.rs'));
  expect(parts.length).toBeGreaterThan(0);
  return parts.map((file) => readFileSync(`${folder}/${file}`, 'utf8')).join('\n');
}

/** The keys of one section of the program's configuration, from its source. */
function configKeys(section: string): string[] {
  const source = configSource();
  const type = new RegExp(`pub ${section}: (\\w+),`).exec(source)?.[1];
  const body = new RegExp(`pub struct ${type} \\{(.*?)\\n\\}`, 's').exec(source)?.[1] ?? '';
  return [...body.matchAll(/pub (\w+):/g)].map(([, key]) => key ?? '');
}

describe.each(Object.keys(STAGES))('stage %s', (stage) => {
  const template = templateOf(stage);
  const config = stageConfig(stage);

  test('two tasks at least, on Graviton, rolled back when they do not start', () => {
    const [, { properties }] = only(template, 'AWS::ECS::Service');
    expect(properties.at('DesiredCount').value).toBeGreaterThanOrEqual(2);
    expect(properties.at('DeploymentConfiguration').value).toMatchObject({
      MinimumHealthyPercent: 100,
      DeploymentCircuitBreaker: { Enable: true, Rollback: true },
    });
    const network = properties.at('NetworkConfiguration', 'AwsvpcConfiguration');
    expect(network.at('AssignPublicIp').value).toBe('DISABLED');
    const [, task] = only(template, 'AWS::ECS::TaskDefinition');
    expect(task.properties.at('RuntimePlatform', 'CpuArchitecture').value).toBe('ARM64');
  });

  test('the worker cannot write to its image and has time to hand over', () => {
    const worker = container(stage);
    expect(worker.at('ReadonlyRootFilesystem').value).toBe(true);
    expect(worker.at('User').value).toBe('65532:65532');
    expect(worker.at('Privileged').value ?? false).toBe(false);
    const deadline = worker
      .at('Environment')
      .list()
      .find((entry) => entry.at('Name').value === 'IVS_SHUTDOWN__DEADLINE_MS');
    expect(Number(worker.at('StopTimeout').value) * 1_000).toBeGreaterThan(
      Number(deadline?.at('Value').value),
    );
  });

  test('the worker keeps to a budget that its task has room for', () => {
    const budget = container(stage)
      .at('Environment')
      .list()
      .find((entry) => entry.at('Name').value === 'IVS_WORKER__MEMORY_MB');
    const budgetMib = Number(budget?.at('Value').value);
    expect(budgetMib).toBeGreaterThanOrEqual(64);
    // `make bench-memory` allows a peak of 1.3 times the budget.
    expect(budgetMib * 1.3).toBeLessThan(config.worker.memoryMib);
  });

  test('the health check needs no shell', () => {
    expect(container(stage).at('HealthCheck', 'Command').value).toEqual([
      'CMD',
      '/usr/local/bin/ivs-processor',
      'health',
    ]);
  });

  test('the worker knows every setting it is given, for it refuses unknown ones', () => {
    const settings = container(stage)
      .at('Environment')
      .list()
      .map((entry) => entry.at('Name').text())
      .filter((name) => name.startsWith('IVS_'));
    expect(settings.length).toBeGreaterThanOrEqual(8);
    for (const name of settings) {
      const [section = '', key] = name.slice('IVS_'.length).toLowerCase().split('__');
      expect(configKeys(section), name).toContain(key);
    }
  });

  test('tasks follow CPU and lag', () => {
    const policies = propertiesOf(template, 'AWS::ApplicationAutoScaling::ScalingPolicy');
    const cpu = policies
      .map((policy) => policy.at('TargetTrackingScalingPolicyConfiguration'))
      .find((tracking) => tracking.exists());
    expect(cpu?.value).toMatchObject({
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
    expect(target.properties.value).toMatchObject({
      MinCapacity: config.worker.minTasks,
      MaxCapacity: config.worker.maxTasks,
    });
  });

  test('no role of ours may do everything, or one thing everywhere', () => {
    for (const [id, { properties }] of Object.entries(resourcesOf(template, 'AWS::IAM::Policy'))) {
      for (const statement of properties.at('PolicyDocument', 'Statement').list()) {
        const actions = statement
          .at('Action')
          .each()
          .map((action) => action.text());
        expect(
          actions.filter((action) => /^\*|:\*$/.test(action)),
          id,
        ).toEqual([]);
        const everywhere = statement
          .at('Resource')
          .each()
          .some(({ value }) => value === '*');
        if (everywhere) {
          expect(['cloudwatch:PutMetricData', 'ecr:GetAuthorizationToken'], id).toEqual(
            expect.arrayContaining(actions),
          );
        }
      }
    }
  });
});

/** What the worker may do of these actions, and what it is told of `name`. */
function allowedAndTold(template: Template, action: RegExp, name: string) {
  const [, task] = only(template, 'AWS::ECS::TaskDefinition');
  const role = { Ref: task.properties.at('TaskRoleArn', 'Fn::GetAtt', 0).value };
  const statements = propertiesOf(template, 'AWS::IAM::Policy')
    .filter((policy) => JSON.stringify(policy.at('Roles').value) === JSON.stringify([role]))
    .flatMap((policy) => policy.at('PolicyDocument', 'Statement').list())
    .filter((statement) =>
      statement
        .at('Action')
        .each()
        .some((each) => action.test(each.text())),
    );
  const environment = task.properties.at('ContainerDefinitions', 0, 'Environment').list();
  const told = environment.find((entry) => entry.at('Name').value === name);
  return { statements: statements.map(({ value }) => value), told: told?.at('Value').value };
}

const RECONCILE = [/^ivs:|^kinesis:Put|^kms:Generate/, 'IVS_RECONCILE__ENABLED'] as const;

test.each(Object.keys(STAGES))('IVS is not asked, and nothing is put, unless that is wanted: %s', (stage) => {
  const { telemetryApi, ...config } = stageConfig(stage);
  expect(telemetryApi).toBeUndefined();
  expect(allowedAndTold(synthesize(config), ...RECONCILE)).toEqual({ statements: [], told: undefined });
});

test('to ask IVS is granted for channels alone, and to put for the own stream alone', () => {
  const template = synthesize(stageConfig('dev', { reconcile: 'true' }));
  const { statements, told } = allowedAndTold(template, ...RECONCILE);
  expect(told).toBe('true');
  const [stream, { properties }] = only(template, 'AWS::Kinesis::Stream');
  expect(statements).toEqual([
    {
      Sid: 'AskIvs',
      Effect: 'Allow',
      Action: ['ivs:GetStreamSession', 'ivs:ListStreams'],
      Resource: {
        'Fn::Join': [
          '',
          [
            'arn:',
            { Ref: 'AWS::Partition' },
            ':ivs:',
            { Ref: 'AWS::Region' },
            ':',
            { Ref: 'AWS::AccountId' },
            ':channel/*',
          ],
        ],
      },
    },
    {
      Sid: 'PutLostEvents',
      Effect: 'Allow',
      Action: 'kinesis:PutRecords',
      Resource: { 'Fn::GetAtt': [stream, 'Arn'] },
    },
    {
      Sid: 'EncryptRecords',
      Effect: 'Allow',
      Action: 'kms:GenerateDataKey',
      Resource: properties.at('StreamEncryption', 'KeyId').value,
    },
  ]);
});

test('a choice that is neither yes nor no is refused', () => {
  expect(() => stageConfig('dev', { reconcile: 'yes' })).toThrow('reconcile is "yes": write true or false');
});

/** The lists of the program's configuration, from its source: by their names, and of those that begin empty. */
function breakdownLists(): { names: string[]; empty: string[] } {
  const source = readFileSync(`${REPOSITORY}processor/core/src/experience/dimension.rs`, 'utf8');
  const body = /pub struct AllowLists \{(.*?)\n\}/s.exec(source)?.[1] ?? '';
  const names = [...body.matchAll(/pub (\w+): Vec<String>/g)].map(([, name]) => name ?? '');
  const empty = [...source.matchAll(/^\s+(\w+): Vec::new\(\),$/gm)].map(([, name]) => name ?? '');
  return { names, empty };
}

test('the dimensions that may be chosen are the lists of the program that have values', () => {
  const { names, empty } = breakdownLists();
  expect(empty).toEqual(['player_version']);
  expect(DIMENSIONS).toEqual(names.filter((name) => !empty.includes(name)));
});

test.each(Object.keys(STAGES))(
  'CloudWatch gets no viewers by dimension unless that is wanted: %s',
  (stage) => {
    expect(allowedAndTold(templateOf(stage), /^none$/, 'IVS_CLOUDWATCH__DIMENSIONS').told).toBeUndefined();
  },
);

test('chosen dimensions are told to the worker as a list that it reads', () => {
  const told = (dimensions: string) => {
    const template = synthesize(stageConfig('dev', { dimensions }));
    return allowedAndTold(template, /^none$/, 'IVS_CLOUDWATCH__DIMENSIONS').told;
  };
  // The worker reads a literal of TOML, which lists of texts share with JSON.
  expect(told('device, country')).toBe('["device","country"]');
  expect(told('')).toBeUndefined();
  expect(configKeys('cloudwatch')).toContain('dimensions');
});

test('dimensions that are none, twice or without values are refused by name', () => {
  const choose = (dimensions: string) => () => stageConfig('dev', { dimensions });
  const have = 'is not a dimension of viewers, have: device, os, country, cdn, rendition';
  expect(choose('device,city')).toThrow(`"city" ${have}`);
  expect(choose('player_version')).toThrow(`"player_version" ${have}`);
  expect(choose('Device')).toThrow(`"Device" ${have}`);
  expect(choose('os,os')).toThrow('worker.dimensions has one twice');
});

test('enhanced fan-out is told to the worker and granted', () => {
  const dev = stageConfig('dev');
  const template = synthesize({ ...dev, worker: { ...dev.worker, enhancedFanOut: true } });
  const [, task] = only(template, 'AWS::ECS::TaskDefinition');
  expect(task.properties.at('ContainerDefinitions', 0, 'Environment').value).toContainEqual({
    Name: 'IVS_STREAM__CONSUMER',
    Value: 'enhanced',
  });
  const actions = propertiesOf(template, 'AWS::IAM::Policy').flatMap((policy) =>
    policy
      .at('PolicyDocument', 'Statement')
      .list()
      .flatMap((statement) =>
        statement
          .at('Action')
          .each()
          .map(({ value }) => value),
      ),
  );
  expect(actions).toContain('kinesis:SubscribeToShard');
});

describe('the image', () => {
  const dockerfile = readFileSync(`${REPOSITORY}${IMAGE_ASSET.file}`, 'utf8');
  const stageOf = (target: string) =>
    dockerfile.split(/^FROM /m).find((text) => text.startsWith(`runtime AS ${target}\n`));

  test.each(Object.values(IMAGE_TARGET))('has the stage %s', (target) => {
    expect(dockerfile).toMatch(new RegExp(`^FROM .+ AS ${target}$`, 'm'));
  });

  test.each([
    [IMAGE_TARGET.worker, ['worker']],
    [IMAGE_TARGET.report, ['report', 'lambda']],
    ['record', ['record']],
  ])('runs the command of the stage %s', (target, command) => {
    expect(stageOf(target)).toContain(`CMD ${JSON.stringify(command).replaceAll(',', ', ')}`);
  });

  test.each([IMAGE_TARGET.report, 'record'])('starts where the user of Lambda may be: stage %s', (target) => {
    expect(stageOf(target)).toMatch(/^WORKDIR \/$/m);
  });

  test('holds the program without what only a laptop needs, and without symbols', () => {
    expect(dockerfile).toMatch(/cargo build [^&]*--no-default-features/);
    const manifest = readFileSync(`${REPOSITORY}Cargo.toml`, 'utf8');
    expect(manifest).toMatch(/^\[profile\.release\]\nstrip = "symbols"$/m);
  });

  test('is staged with every member of the workspace', () => {
    const manifest = readFileSync(`${REPOSITORY}Cargo.toml`, 'utf8');
    const members = /^members = \[(.*?)\]/ms.exec(manifest)?.[1]?.match(/[^",\s]+/g) ?? [];
    expect(members.length).toBeGreaterThanOrEqual(6);
    for (const member of members) {
      const folder = member.split('/')[0];
      expect(IMAGE_ASSET.exclude).toContain(`!${folder}`);
      expect(dockerfile).toContain(`COPY ${folder} ${folder}`);
    }
  });
});
