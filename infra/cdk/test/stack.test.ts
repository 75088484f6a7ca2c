import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { STAGES, stageConfig } from '../lib/config.ts';
import { joined, only, resourcesOf, synthesize, templateOf } from './synth.ts';

describe.each(Object.keys(STAGES))('stage %s', (stage) => {
  const template = templateOf(stage);
  const config = stageConfig(stage);

  test('events that cannot be delivered for a day end in the dead letters', () => {
    for (const [rule, { Properties }] of Object.entries(resourcesOf(template, 'AWS::Events::Rule'))) {
      const [target] = Properties.Targets;
      expect(target.RetryPolicy).toEqual({ MaximumEventAgeInSeconds: 86_400, MaximumRetryAttempts: 185 });
      const queue: string = target.DeadLetterConfig.Arn['Fn::GetAtt'][0];
      const policies = Object.values(resourcesOf(template, 'AWS::SQS::QueuePolicy'));
      const policy = policies.find((candidate) => candidate.Properties.Queues[0].Ref === queue);
      expect(policy?.Properties.PolicyDocument.Statement).toContainEqual({
        Effect: 'Allow',
        Action: 'sqs:SendMessage',
        Principal: { Service: 'events.amazonaws.com' },
        Resource: { 'Fn::GetAtt': [queue, 'Arn'] },
        Condition: { ArnEquals: { 'aws:SourceArn': { 'Fn::GetAtt': [rule, 'Arn'] } } },
      });
    }
  });

  test('records are encrypted with our key and kept as configured', () => {
    const [, { Properties }] = only(template, 'AWS::Kinesis::Stream');
    expect(Properties.RetentionPeriodHours).toBe(config.stream.retentionHours);
    expect(Properties.StreamEncryption.EncryptionType).toBe('KMS');
    expect(Object.keys(resourcesOf(template, 'AWS::KMS::Key'))).toContain(
      Properties.StreamEncryption.KeyId['Fn::GetAtt'][0],
    );
  });

  test('tables can be restored to any second', () => {
    for (const { Properties } of Object.values(resourcesOf(template, 'AWS::DynamoDB::GlobalTable'))) {
      expect(Properties.BillingMode).toBe('PAY_PER_REQUEST');
      const [replica] = Properties.Replicas;
      expect(replica.PointInTimeRecoverySpecification).toEqual({ PointInTimeRecoveryEnabled: true });
      expect(replica.DeletionProtectionEnabled ?? false).toBe(config.protectData);
    }
  });

  test('data outlive the stack where they are to be protected', () => {
    for (const type of ['AWS::DynamoDB::GlobalTable', 'AWS::Kinesis::Stream', 'AWS::S3::Bucket']) {
      for (const resource of Object.values(resourcesOf(template, type))) {
        expect(resource.DeletionPolicy).toBe(config.protectData ? 'Retain' : 'Delete');
      }
    }
  });

  test('buckets are closed to the public and to plain HTTP', () => {
    const buckets = Object.keys(resourcesOf(template, 'AWS::S3::Bucket'));
    const policies = Object.values(resourcesOf(template, 'AWS::S3::BucketPolicy'));
    for (const bucket of buckets) {
      const policy = policies.find(({ Properties }) => Properties.Bucket.Ref === bucket);
      expect(policy?.Properties.PolicyDocument.Statement).toContainEqual(
        expect.objectContaining({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
      );
    }
    template.allResourcesProperties('AWS::S3::Bucket', {
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
    });
  });

  test('the archive ages and rejects expire', () => {
    template.hasResourceProperties('AWS::S3::Bucket', {
      LifecycleConfiguration: {
        Rules: Match.arrayWith([
          Match.objectLike({
            Prefix: 'archive/',
            ExpirationInDays: config.storage.archiveDays,
            Transitions: [
              { StorageClass: 'STANDARD_IA', TransitionInDays: config.storage.archiveInfrequentAccessDays },
            ],
          }),
          Match.objectLike({ Prefix: 'rejects/', ExpirationInDays: config.storage.rejectDays }),
        ]),
      },
    });
  });

  test('three reports run on the calendar of their zone', () => {
    const schedules = Object.values(resourcesOf(template, 'AWS::Scheduler::Schedule'));
    const inputs = schedules.map(({ Properties }) => JSON.parse(Properties.Target.Input).reportType);
    expect(inputs.sort()).toEqual(['daily', 'monthly', 'weekly']);
    for (const { Properties } of schedules) {
      expect(Properties.ScheduleExpressionTimezone).toBe(config.reports.timeZone);
    }
  });

  test('a report that fails for good ends in its dead letters, which both senders may write', () => {
    const policies = Object.values(resourcesOf(template, 'AWS::IAM::Policy'));
    const mayWrite = (role: string, queue: string) =>
      policies.some(
        ({ Properties }) =>
          Properties.Roles.some((each: any) => each.Ref === role) &&
          Properties.PolicyDocument.Statement.some(
            ({ Action, Resource }: any) =>
              [Action].flat().includes('sqs:SendMessage') && Resource['Fn::GetAtt']?.[0] === queue,
          ),
      );
    const [, lambda] = only(template, 'AWS::Lambda::Function');
    const queue: string = lambda.Properties.DeadLetterConfig.TargetArn['Fn::GetAtt'][0];
    expect(mayWrite(lambda.Properties.Role['Fn::GetAtt'][0], queue)).toBe(true);
    for (const { Properties } of Object.values(resourcesOf(template, 'AWS::Scheduler::Schedule'))) {
      expect(Properties.Target.DeadLetterConfig.Arn['Fn::GetAtt'][0]).toBe(queue);
      expect(mayWrite(Properties.Target.RoleArn['Fn::GetAtt'][0], queue)).toBe(true);
    }
  });

  test('the outputs can be pasted', () => {
    const outputs = template.toJSON().Outputs;
    expect(joined(outputs.ReplayCommand.Value)).toMatch(
      /^aws events start-replay .* --destination '\{.*\}'$/,
    );
    expect(joined(outputs.ReportCommand.Value)).toContain('"reportType":"daily"');
    expect(joined(outputs.AuditCommand.Value)).toMatch(/^ivs-processor audit s3:\/\//);
    expect(joined(outputs.DashboardUrl.Value)).toMatch(/^https:\/\/.*LiveStreamingDashboard$/);
  });
});

test('the stream is on demand or has the shards asked for', () => {
  templateOf('prod').hasResourceProperties('AWS::Kinesis::Stream', {
    StreamModeDetails: { StreamMode: 'ON_DEMAND' },
    ShardCount: Match.absent(),
  });
  templateOf('dev').hasResourceProperties('AWS::Kinesis::Stream', {
    StreamModeDetails: { StreamMode: 'PROVISIONED' },
    ShardCount: 1,
  });
});

test('reports may be asked for by channel', () => {
  const dev = stageConfig('dev');
  const template = synthesize({ ...dev, reports: { ...dev.reports, channels: ['aaa', 'bbb'] } });
  template.resourceCountIs('AWS::Scheduler::Schedule', 6);
});
