import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { STAGES } from '../lib/config.ts';
import { REPOSITORY } from '../lib/image.ts';
import { joined, only, type Resource, resourcesOf, templateOf } from './synth.ts';

const CLOUDWATCH = { Service: 'cloudwatch.amazonaws.com' };

function statements(document: any, action: string): any[] {
  return document.Statement.filter(
    (statement: any) =>
      statement.Effect === 'Allow' &&
      statement.Principal?.Service === CLOUDWATCH.Service &&
      [statement.Action].flat().includes(action),
  );
}

/** Alarms for people; those of autoscaling act on the service instead. */
function alarmsForPeople(stage: string): [string, Resource][] {
  const template = templateOf(stage);
  const policies = new Set(Object.keys(resourcesOf(template, 'AWS::ApplicationAutoScaling::ScalingPolicy')));
  return Object.entries(resourcesOf(template, 'AWS::CloudWatch::Alarm')).filter(
    ([, { Properties }]) => !Properties.AlarmActions?.some((action: any) => policies.has(action.Ref)),
  );
}

describe.each(Object.keys(STAGES))('stage %s', (stage) => {
  test('every alarm tells the topic when it starts and when it ends', () => {
    const [topic] = only(templateOf(stage), 'AWS::SNS::Topic');
    const alarms = alarmsForPeople(stage);
    expect(alarms.length).toBeGreaterThanOrEqual(6);
    for (const [id, { Properties }] of alarms) {
      expect(Properties.ActionsEnabled ?? true, id).toBe(true);
      expect(Properties.AlarmActions, id).toEqual([{ Ref: topic }]);
      expect(Properties.OKActions, id).toEqual([{ Ref: topic }]);
      expect(Properties.TreatMissingData, id).toMatch(/^(notBreaching|breaching)$/);
    }
  });

  test('CloudWatch may publish to the topic and use its key, for this account only', () => {
    const template = templateOf(stage);
    const [topicId, topic] = only(template, 'AWS::SNS::Topic');
    const [, policy] = only(template, 'AWS::SNS::TopicPolicy');
    expect(policy.Properties.Topics).toEqual([{ Ref: topicId }]);

    const keyId: string = topic.Properties.KmsMasterKeyId['Fn::GetAtt'][0];
    const key = resourcesOf(template, 'AWS::KMS::Key')[keyId];
    expect(key?.Properties.EnableKeyRotation).toBe(true);

    const grants = [
      ...statements(policy.Properties.PolicyDocument, 'sns:Publish'),
      ...statements(key?.Properties.KeyPolicy, 'kms:GenerateDataKey*'),
      ...statements(key?.Properties.KeyPolicy, 'kms:Decrypt'),
    ];
    expect(grants).toHaveLength(3);
    for (const grant of grants) {
      expect(grant.Condition).toEqual({ StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } });
    }
  });

  test('the topic takes no message over plain HTTP', () => {
    const [, policy] = only(templateOf(stage), 'AWS::SNS::TopicPolicy');
    expect(policy.Properties.PolicyDocument.Statement).toContainEqual(
      expect.objectContaining({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
    );
  });

  test('every alarm has an article and every article an alarm', () => {
    const names = alarmsForPeople(stage).map(([, { Properties }]) => {
      const name: string = Properties.AlarmName;
      expect(joined(Properties.AlarmDescription)).toContain(`docs/operations/${name}.md`);
      return `${name}.md`;
    });
    const articles = readdirSync(`${REPOSITORY}docs/operations`);
    expect(articles.sort()).toEqual(names.sort());
  });
});

test('subscriptions come from the configuration', () => {
  const [, { Properties }] = only(templateOf('prod'), 'AWS::SNS::Subscription');
  const [configured] = STAGES['prod']!.alerts.subscriptions;
  expect(Properties).toMatchObject({ Protocol: configured?.protocol, Endpoint: configured?.endpoint });
});
