import { Duration, RemovalPolicy, Stack, TimeZone } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, DockerImageCode, DockerImageFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Schedule, ScheduleExpression, ScheduleTargetInput } from 'aws-cdk-lib/aws-scheduler';
import { LambdaInvoke } from 'aws-cdk-lib/aws-scheduler-targets';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { acknowledge, acknowledgeArnSuffix } from '../acknowledge.ts';
import type { StageConfig } from '../config.ts';
import { reportEnvironment } from '../environment.ts';
import { grantReport } from '../grants.ts';
import { IMAGE_ASSET, IMAGE_TARGET, REPOSITORY } from '../image.ts';
import type { Storage } from './storage.ts';

export interface ReportsProps {
  readonly config: StageConfig;
  readonly storage: Storage;
}

/**
 * When each report runs, in the report's own zone: a while after the period closed, so that events
 * that came late are in.
 */
const SCHEDULES = {
  daily: { hour: '1', minute: '15' },
  weekly: { weekDay: 'MON', hour: '2', minute: '15' },
  monthly: { day: '1', hour: '3', minute: '15' },
} as const;

/** The report function with its three schedules, and the queue of runs that failed. */
export class Reports extends Construct {
  readonly function: DockerImageFunction;
  readonly deadLetters: Queue;
  readonly schedules: readonly Schedule[];
  private readonly schedulerRole: Role;

  constructor(scope: Construct, id: string, { config, storage }: ReportsProps) {
    super(scope, id);
    const logGroup = new LogGroup(this, 'Logs', {
      retention: config.worker.logDays,
      removalPolicy: config.protectData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    const role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      description: 'Reads both tables and writes reports',
    });
    logGroup.grantWrite(role);
    grantReport(role, storage);
    this.deadLetters = new Queue(this, 'DeadLetters', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    acknowledge(this.deadLetters, 'AwsSolutions-SQS3', 'it is itself the dead-letter queue of the reports');
    this.function = new DockerImageFunction(this, 'Function', {
      description: 'Daily, weekly and monthly reports of channels',
      // The image is staged at synth and built at deploy: neither docker nor cargo is needed to synth.
      code: DockerImageCode.fromImageAsset(REPOSITORY, { ...IMAGE_ASSET, target: IMAGE_TARGET.report }),
      architecture: Architecture.ARM_64,
      memorySize: 512,
      timeout: Duration.minutes(5),
      environment: reportEnvironment(config.reports, storage),
      role,
      logGroup,
      deadLetterQueue: this.deadLetters,
      retryAttempts: 2,
    });
    this.schedulerRole = new Role(this, 'SchedulerRole', {
      assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    });
    acknowledgeArnSuffix(this.schedulerRole, this.function, ':*', 'versions and aliases of the one function');
    this.schedules = Object.entries(SCHEDULES).flatMap(([type, cron]) => this.schedule(type, cron, config));
  }

  private schedule(reportType: string, cron: object, { reports }: StageConfig): Schedule[] {
    const channels = reports.channels.length > 0 ? reports.channels : [undefined];
    return channels.map(
      (channelId) =>
        new Schedule(this, [reportType, channelId].filter(Boolean).join('-'), {
          description: `${reportType} report of ${channelId ?? 'every channel that was live'}`,
          schedule: ScheduleExpression.cron({ ...cron, timeZone: TimeZone.of(reports.timeZone) }),
          target: new LambdaInvoke(this.function, {
            // The tutorial's request; without a channel every channel of the period is reported.
            input: ScheduleTargetInput.fromObject({ reportType, ...(channelId && { channelId }) }),
            role: this.schedulerRole,
            retryAttempts: 3,
            maxEventAge: Duration.hours(6),
            deadLetterQueue: this.deadLetters,
          }),
        }),
    );
  }
}
