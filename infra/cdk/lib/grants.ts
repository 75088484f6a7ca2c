import { Stack } from 'aws-cdk-lib';
import { Effect, type IRole, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { acknowledge, acknowledgeArnSuffix } from './acknowledge.ts';
import type { Ingest } from './constructs/ingest.ts';
import { PREFIX, type Storage } from './constructs/storage.ts';
import { NAMESPACES } from './schemas.ts';

/**
 * The calls the worker makes, on its own resources; metrics have no resource and are bound to namespaces.
 * An end-to-end test makes them all, and no other (`tests/e2e/granted.rs`).
 */
export function grantWorker(
  role: IRole,
  { stream, key, domainBus }: Ingest,
  { sessions, metrics, leases, bucket }: Storage,
  enhancedFanOut: boolean,
): void {
  const allow = (sid: string, actions: string[], resources: string[], conditions = {}): void => {
    role.addToPrincipalPolicy(
      new PolicyStatement({ sid, effect: Effect.ALLOW, actions, resources, conditions }),
    );
  };
  allow(
    'ReadStream',
    ['kinesis:DescribeStreamSummary', 'kinesis:GetRecords', 'kinesis:GetShardIterator', 'kinesis:ListShards'],
    [stream.streamArn],
  );
  if (enhancedFanOut) {
    allow(
      'FanOut',
      ['kinesis:DescribeStreamConsumer', 'kinesis:RegisterStreamConsumer', 'kinesis:SubscribeToShard'],
      [stream.streamArn, `${stream.streamArn}/consumer/*`],
    );
    acknowledgeArnSuffix(role, stream, '/consumer/*', 'a consumer ARN ends in its creation time');
  }
  allow('DecryptRecords', ['kms:Decrypt'], [key.keyArn]);
  allow(
    'Rows',
    [
      'dynamodb:BatchGetItem',
      'dynamodb:DescribeTable',
      'dynamodb:GetItem',
      'dynamodb:PartiQLInsert',
      'dynamodb:PartiQLUpdate',
      'dynamodb:PutItem',
    ],
    [sessions.tableArn, metrics.tableArn],
  );
  allow('Minutes', ['dynamodb:Query'], [metrics.tableArn]);
  allow(
    'Leases',
    [
      'dynamodb:DeleteItem',
      'dynamodb:DescribeTable',
      'dynamodb:GetItem',
      'dynamodb:Scan',
      'dynamodb:UpdateItem',
    ],
    [leases.tableArn],
  );
  allow(
    'Segments',
    ['s3:AbortMultipartUpload', 's3:PutObject'],
    [bucket.arnForObjects(`${PREFIX.archive}/*`), bucket.arnForObjects(`${PREFIX.rejects}/*`)],
  );
  // What a service did not take in time waits as an object, and goes once it is sent.
  const outbox = `${PREFIX.rejects}/outbox/*`;
  allow('Outbox', ['s3:DeleteObject', 's3:GetObject'], [bucket.arnForObjects(outbox)]);
  allow('FindOutbox', ['s3:ListBucket'], [bucket.bucketArn], { StringLike: { 's3:prefix': outbox } });
  allow('DomainEvents', ['events:DescribeEventBus', 'events:PutEvents'], [domainBus.eventBusArn]);
  allow('Metrics', ['cloudwatch:PutMetricData'], ['*'], {
    StringEquals: {
      'cloudwatch:namespace': [NAMESPACES.sessions, NAMESPACES.metrics, NAMESPACES.processor],
    },
  });
  acknowledge(
    role,
    'AwsSolutions-IAM5[Resource::*]',
    'PutMetricData knows no resource; the statement is bound to our namespaces',
  );
  for (const prefix of [PREFIX.archive, PREFIX.rejects, `${PREFIX.rejects}/outbox`]) {
    acknowledgeArnSuffix(
      role,
      bucket,
      `/${prefix}/*`,
      'object names hold shard and time; bound to the prefix',
    );
  }
}

/** What asking IVS takes: the channels of this region, what is known of them, and putting into the worker's own stream. */
export function grantReconcile(role: IRole, { stream, key }: Ingest, { sessions }: Storage): void {
  const allow = (sid: string, actions: string[], resources: string[]): void => {
    role.addToPrincipalPolicy(new PolicyStatement({ sid, effect: Effect.ALLOW, actions, resources }));
  };
  const channels = Stack.of(stream).formatArn({ service: 'ivs', resource: 'channel', resourceName: '*' });
  allow('AskIvs', ['ivs:GetStreamSession', 'ivs:ListStreams'], [channels]);
  allow('KnownSessions', ['dynamodb:Query'], [sessions.tableArn]);
  allow('PutLostEvents', ['kinesis:PutRecords'], [stream.streamArn]);
  allow('EncryptRecords', ['kms:GenerateDataKey'], [key.keyArn]);
  acknowledge(
    role,
    'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ivs:<AWS::Region>:<AWS::AccountId>:channel/*]',
    'channels come and go without this stack; both actions only read',
  );
}

/** What the report function does: read both tables by channel, write below one prefix. */
export function grantReport(role: IRole, { sessions, metrics, bucket }: Storage): void {
  for (const table of [sessions, metrics]) {
    role.addToPrincipalPolicy(
      new PolicyStatement({
        actions: ['dynamodb:Query'],
        resources: [table.tableArn, `${table.tableArn}/index/*`],
      }),
    );
    acknowledgeArnSuffix(role, table, '/index/*', 'reports query the index by channel');
  }
  // Which channels there are, no index tells.
  role.addToPrincipalPolicy(
    new PolicyStatement({ actions: ['dynamodb:Scan'], resources: [sessions.tableArn] }),
  );
  role.addToPrincipalPolicy(
    new PolicyStatement({
      actions: ['s3:PutObject'],
      resources: [bucket.arnForObjects(`${PREFIX.reports}/*`)],
    }),
  );
  acknowledgeArnSuffix(role, bucket, `/${PREFIX.reports}/*`, 'report keys hold channel and period');
}
