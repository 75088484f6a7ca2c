import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { STAGES, stageConfig } from '../lib/config.ts';
import { Json } from './json.ts';
import { only, propertiesOf, resourcesOf, synthesize, templateOf } from './synth.ts';

describe.each(Object.keys(STAGES))('stage %s', (stage) => {
  const template = templateOf(stage);
  const config = stageConfig(stage);

  test('events that cannot be delivered for a day end in the dead letters', () => {
    for (const [rule, { properties }] of Object.entries(resourcesOf(template, 'AWS::Events::Rule'))) {
      const target = properties.at('Targets', 0);
      expect(target.at('RetryPolicy').value).toEqual({
        MaximumEventAgeInSeconds: 86_400,
        MaximumRetryAttempts: 185,
      });
      const queue = target.at('DeadLetterConfig', 'Arn', 'Fn::GetAtt', 0).text();
      const policy = propertiesOf(template, 'AWS::SQS::QueuePolicy').find(
        (candidate) => candidate.at('Queues', 0, 'Ref').value === queue,
      );
      expect(policy?.at('PolicyDocument', 'Statement').value).toContainEqual({
        Effect: 'Allow',
        Action: 'sqs:SendMessage',
        Principal: { Service: 'events.amazonaws.com' },
        Resource: { 'Fn::GetAtt': [queue, 'Arn'] },
        Condition: { ArnEquals: { 'aws:SourceArn': { 'Fn::GetAtt': [rule, 'Arn'] } } },
      });
    }
  });

  test('records are encrypted with our key and kept as configured', () => {
    const [, { properties }] = only(template, 'AWS::Kinesis::Stream');
    expect(properties.at('RetentionPeriodHours').value).toBe(config.stream.retentionHours);
    expect(properties.at('StreamEncryption', 'EncryptionType').value).toBe('KMS');
    expect(Object.keys(resourcesOf(template, 'AWS::KMS::Key'))).toContain(
      properties.at('StreamEncryption', 'KeyId', 'Fn::GetAtt', 0).value,
    );
  });

  test('tables can be restored to any second', () => {
    for (const table of propertiesOf(template, 'AWS::DynamoDB::GlobalTable')) {
      expect(table.at('BillingMode').value).toBe('PAY_PER_REQUEST');
      const replica = table.at('Replicas', 0);
      expect(replica.at('PointInTimeRecoverySpecification').value).toEqual({
        PointInTimeRecoveryEnabled: true,
      });
      expect(replica.at('DeletionProtectionEnabled').value ?? false).toBe(config.protectData);
    }
  });

  test('data and their keys outlive the stack where they are to be protected, and nowhere else', () => {
    const kept = [
      'AWS::DynamoDB::GlobalTable',
      'AWS::Kinesis::Stream',
      'AWS::KMS::Key',
      'AWS::S3::Bucket',
    ] as const;
    for (const type of kept) {
      for (const [id, { deletionPolicy }] of Object.entries(resourcesOf(template, type))) {
        expect(deletionPolicy, id).toBe(config.protectData ? 'Retain' : 'Delete');
      }
    }
  });

  test('buckets are closed to the public and to plain HTTP', () => {
    const buckets = Object.keys(resourcesOf(template, 'AWS::S3::Bucket'));
    const policies = propertiesOf(template, 'AWS::S3::BucketPolicy');
    for (const bucket of buckets) {
      const policy = policies.find((candidate) => candidate.at('Bucket', 'Ref').value === bucket);
      expect(policy?.at('PolicyDocument', 'Statement').value).toContainEqual(
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
    const schedules = propertiesOf(template, 'AWS::Scheduler::Schedule');
    const inputs = schedules.map((schedule) =>
      new Json(JSON.parse(schedule.at('Target', 'Input').text())).at('reportType').text(),
    );
    expect(inputs.sort()).toEqual(['daily', 'monthly', 'weekly']);
    for (const schedule of schedules) {
      expect(schedule.at('ScheduleExpressionTimezone').value).toBe(config.reports.timeZone);
    }
  });

  test('a report that fails for good ends in its dead letters, which both senders may write', () => {
    const policies = propertiesOf(template, 'AWS::IAM::Policy');
    const mayWrite = (role: string, queue: string) =>
      policies
        .filter((policy) =>
          policy
            .at('Roles')
            .list()
            .some((each) => each.at('Ref').value === role),
        )
        .flatMap((policy) => policy.at('PolicyDocument', 'Statement').list())
        .some(
          (statement) =>
            statement
              .at('Action')
              .each()
              .some(({ value }) => value === 'sqs:SendMessage') &&
            statement.at('Resource', 'Fn::GetAtt', 0).value === queue,
        );
    const [, lambda] = only(template, 'AWS::Lambda::Function');
    const queue = lambda.properties.at('DeadLetterConfig', 'TargetArn', 'Fn::GetAtt', 0).text();
    expect(mayWrite(lambda.properties.at('Role', 'Fn::GetAtt', 0).text(), queue)).toBe(true);
    for (const schedule of propertiesOf(template, 'AWS::Scheduler::Schedule')) {
      const target = schedule.at('Target');
      expect(target.at('DeadLetterConfig', 'Arn', 'Fn::GetAtt', 0).value).toBe(queue);
      expect(mayWrite(target.at('RoleArn', 'Fn::GetAtt', 0).text(), queue)).toBe(true);
    }
  });

  test('the outputs name the queue of every alarm on a queue, and no queue is left out', () => {
    const outputs = new Json(template.toJSON()).at('Outputs');
    // The Ref of a queue is its URL.
    const url = (name: string) => outputs.at(name, 'Value', 'Ref').text();
    const named = {
      'LiveStreaming-EventDeadLetters': url('EventDeadLettersUrl'),
      'LiveStreaming-ReportFailed': url('ReportDeadLettersUrl'),
    };
    const watched = propertiesOf(template, 'AWS::CloudWatch::Alarm').flatMap((alarm) => {
      const queue = alarm.at('Dimensions', 0, 'Value', 'Fn::GetAtt', 0);
      const isQueue = alarm.at('Dimensions', 0, 'Name').value === 'QueueName';
      return isQueue ? [[alarm.at('AlarmName').text(), queue.text()]] : [];
    });
    expect(Object.fromEntries(watched)).toEqual(named);
    expect(Object.values(named).sort()).toEqual(
      Object.keys(template.findResources('AWS::SQS::Queue')).sort(),
    );
  });

  test('the outputs can be pasted', () => {
    const outputs = new Json(template.toJSON()).at('Outputs');
    const output = (name: string) => outputs.at(name, 'Value').joined();
    expect(output('ReplayCommand')).toMatch(/^aws events start-replay .* --destination '\{.*\}'$/);
    expect(output('ReportCommand')).toContain('"reportType":"daily"');
    expect(output('AuditCommand')).toMatch(/^ivs-processor audit s3:\/\//);
    expect(output('DashboardUrl')).toMatch(/^https:\/\/.*LiveStreamingDashboard$/);
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
