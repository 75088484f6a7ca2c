import { readdirSync, readFileSync } from 'node:fs';
import { Annotations, Match, type Template } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { addStage } from '../lib/app.ts';
import { STAGES, stageConfig } from '../lib/config.ts';
import { REPOSITORY } from '../lib/image.ts';
import { resources } from '../lib/schemas.ts';
import { articlesAt } from '../lib/sources.ts';
import { Json } from './json.ts';
import { ADDRESSES, only, propertiesOf, resourcesOf, synthesize, templateOf, testApp } from './synth.ts';

const CLOUDWATCH = 'cloudwatch.amazonaws.com';
const ARTICLES = `${REPOSITORY}docs/operations`;

function statements(document: Json, action: string): Json[] {
  return document
    .at('Statement')
    .list()
    .filter(
      (statement) =>
        statement.at('Effect').value === 'Allow' &&
        statement.at('Principal', 'Service').value === CLOUDWATCH &&
        statement
          .at('Action')
          .each()
          .some(({ value }) => value === action),
    );
}

/** Alarms for people; those of autoscaling act on the service instead. */
function alarmsForPeople(template: Template): [string, Json][] {
  const policies = new Set(Object.keys(resourcesOf(template, 'AWS::ApplicationAutoScaling::ScalingPolicy')));
  const acts = (properties: Json) =>
    properties
      .at('AlarmActions')
      .list()
      .some((action) => policies.has(String(action.at('Ref').value)));
  return Object.entries(resourcesOf(template, 'AWS::CloudWatch::Alarm'))
    .map(([id, { properties }]): [string, Json] => [id, properties])
    .filter(([, properties]) => !acts(properties));
}

/** A stage with everything that is off by default. */
function everythingOn(stage: string): Template {
  return synthesize(stageConfig(stage, { ...ADDRESSES[stage], reconcile: 'true' }));
}

describe.each(Object.keys(STAGES))('stage %s', (stage) => {
  test('every alarm tells the topic when it starts and when it ends', () => {
    const [topic] = only(templateOf(stage), 'AWS::SNS::Topic');
    const alarms = alarmsForPeople(templateOf(stage));
    expect(alarms.length).toBeGreaterThanOrEqual(6);
    for (const [id, alarm] of alarms) {
      expect(alarm.at('ActionsEnabled').value ?? true, id).toBe(true);
      expect(alarm.at('AlarmActions').value, id).toEqual([{ Ref: topic }]);
      expect(alarm.at('OKActions').value, id).toEqual([{ Ref: topic }]);
      expect(alarm.at('TreatMissingData').value, id).toMatch(/^(notBreaching|breaching)$/);
    }
  });

  test('CloudWatch may publish to the topic and use its key, for this account only', () => {
    const template = templateOf(stage);
    const [topicId, topic] = only(template, 'AWS::SNS::Topic');
    const [, policy] = only(template, 'AWS::SNS::TopicPolicy');
    expect(policy.properties.at('Topics').value).toEqual([{ Ref: topicId }]);

    const keyId = topic.properties.at('KmsMasterKeyId', 'Fn::GetAtt', 0).text();
    const key = resourcesOf(template, 'AWS::KMS::Key')[keyId]?.properties ?? new Json(undefined);
    expect(key.at('EnableKeyRotation').value).toBe(true);

    const grants = [
      ...statements(policy.properties.at('PolicyDocument'), 'sns:Publish'),
      ...statements(key.at('KeyPolicy'), 'kms:GenerateDataKey*'),
      ...statements(key.at('KeyPolicy'), 'kms:Decrypt'),
    ];
    expect(grants).toHaveLength(3);
    for (const grant of grants) {
      expect(grant.at('Condition').value).toEqual({
        StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } },
      });
    }
  });

  test('the topic takes no message over plain HTTP', () => {
    const [, policy] = only(templateOf(stage), 'AWS::SNS::TopicPolicy');
    expect(policy.properties.at('PolicyDocument', 'Statement').value).toContainEqual(
      expect.objectContaining({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
    );
  });

  test('every alarm has an article and every article an alarm', () => {
    const names = alarmsForPeople(everythingOn(stage)).map(
      ([, alarm]) => `${alarm.at('AlarmName').text()}.md`,
    );
    expect(readdirSync(ARTICLES).sort()).toEqual(names.sort());
  });

  test('an alarm on what workers do not do by default comes with its switch, and with it alone', () => {
    const names = (template: Template) =>
      alarmsForPeople(template).map(([, alarm]) => alarm.at('AlarmName').text());
    const usual = names(templateOf(stage));
    const more = names(everythingOn(stage)).filter((name) => !usual.includes(name));
    const expected = resources.alarms.filter(({ onlyWith }) => onlyWith !== null).map(({ name }) => name);
    expect(expected).toEqual(['LiveStreaming-ReconcileFailures']);
    expect(more).toEqual(expected);
  });

  test('a description tells the first command and links the dashboard', () => {
    for (const [id, alarm] of alarmsForPeople(templateOf(stage))) {
      const description = alarm.at('AlarmDescription').joined();
      expect(description.length, id).toBeLessThan(1_024);
      expect(description, id).toContain('\nFirst: ivs-processor status\n');
      expect(description, id).toMatch(/\nDashboard: https:\/\/<reference>\.console\.aws\.amazon\.com\//);
    }
  });
});

test('a description links its article absolutely, where an address is given', () => {
  for (const [id, alarm] of alarmsForPeople(templateOf('prod'))) {
    const link = `\nRunbook: ${ADDRESSES['prod']?.runbookBase}/${alarm.at('AlarmName').text()}.md\n`;
    expect(alarm.at('AlarmDescription').joined(), id).toContain(link);
  }
  expect(() => stageConfig('prod', { runbookBase: 'docs/operations' })).toThrow(
    'must be an absolute address',
  );
});

test.each([
  ['https://github.com/o/r.git', 'https://github.com/o/r/blob/abc/docs/operations'],
  ['git@github.com:o/r.git', 'https://github.com/o/r/blob/abc/docs/operations'],
  ['ssh://git@gitlab.com/g/s/r', 'https://gitlab.com/g/s/r/-/blob/abc/docs/operations'],
  ['https://secret@github.com/o/r', undefined],
  ['/srv/git/r.git', undefined],
])('the articles of a clone of %s', (remote, expected) => {
  expect(articlesAt(remote, 'abc')).toBe(expected);
});

test('every article begins with the command that finds a dead worker', () => {
  for (const file of readdirSync(ARTICLES)) {
    const text = readFileSync(`${ARTICLES}/${file}`, 'utf8');
    expect(text.split('\n')[0], file).toBe(`# ${file.replace('.md', '')}`);
    const commands = [...text.matchAll(/`ivs-processor ([^`]+)`|^ivs-processor (.+)$/gm)];
    expect(commands[0]?.[1] ?? commands[0]?.[2], `${file}: its first command`).toMatch(/^status\b/);
  }
});

test('subscriptions come from the command line, and without one the synthesis warns', () => {
  const [, { properties }] = only(templateOf('prod'), 'AWS::SNS::Subscription');
  expect(properties.value).toMatchObject({ Protocol: 'email', Endpoint: 'oncall@streams.test' });
  expect(templateOf('dev').findResources('AWS::SNS::Subscription')).toEqual({});

  const stack = addStage(testApp(), stageConfig('dev'));
  const warning = Match.stringLikeRegexp('no alarm reaches anybody.*-c alerts=email');
  Annotations.fromStack(stack).hasWarning('*', warning);
});

test('no stage has an address of somebody else', () => {
  for (const [name, config] of Object.entries(STAGES)) {
    expect(JSON.stringify(config), name).not.toMatch(/@|https?:/);
  }
});

test('three ways of being told', () => {
  const alerts = 'email:a@streams.test, sms:+819012345678,https://hooks.streams.test/x';
  const template = synthesize(stageConfig('dev', { alerts }));
  const told = propertiesOf(template, 'AWS::SNS::Subscription').map((each) => each.at('Protocol').value);
  expect(told.sort()).toEqual(['email', 'https', 'sms']);
});
