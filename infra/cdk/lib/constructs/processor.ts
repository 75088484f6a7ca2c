import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { AdjustmentType } from 'aws-cdk-lib/aws-applicationautoscaling';
import { SecurityGroup, SubnetType, type Vpc } from 'aws-cdk-lib/aws-ec2';
import {
  AvailabilityZoneRebalancing,
  Cluster,
  ContainerImage,
  ContainerInsights,
  CpuArchitecture,
  FargateService,
  FargateTaskDefinition,
  LogDrivers,
  OperatingSystemFamily,
} from 'aws-cdk-lib/aws-ecs';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { acknowledge } from '../acknowledge.ts';
import type { StageConfig } from '../config.ts';
import { workerEnvironment } from '../environment.ts';
import { grantReconcile, grantWorker } from '../grants.ts';
import { IMAGE_ASSET, IMAGE_TARGET, REPOSITORY } from '../image.ts';
import { fleetMetric } from '../metrics.ts';
import { NAMESPACES } from '../schemas.ts';
import type { Ingest } from './ingest.ts';
import type { Storage } from './storage.ts';

export interface ProcessorProps {
  readonly config: StageConfig;
  readonly vpc: Vpc;
  readonly ingest: Ingest;
  readonly storage: Storage;
}

/** The fleet of workers: each task owns some shards by lease and takes over those of a lost one. */
export class Processor extends Construct {
  readonly cluster: Cluster;
  readonly service: FargateService;
  readonly logGroup: LogGroup;

  constructor(scope: Construct, id: string, props: ProcessorProps) {
    super(scope, id);
    const { worker, protectData } = props.config;
    this.cluster = new Cluster(this, 'Cluster', {
      vpc: props.vpc,
      containerInsightsV2: ContainerInsights.ENABLED,
    });
    this.logGroup = new LogGroup(this, 'Logs', {
      retention: worker.logDays,
      removalPolicy: protectData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    const task = this.taskDefinition(props);
    const securityGroup = new SecurityGroup(this, 'SecurityGroup', {
      vpc: props.vpc,
      description: 'Workers call out and are never called',
    });
    this.service = new FargateService(this, 'Service', {
      cluster: this.cluster,
      taskDefinition: task,
      desiredCount: worker.minTasks,
      // New tasks take shards over before old ones stop, so a deployment is not felt as lag.
      minHealthyPercent: 100,
      maxHealthyPercent: 200,
      circuitBreaker: { enable: true, rollback: true },
      availabilityZoneRebalancing: AvailabilityZoneRebalancing.ENABLED,
      vpcSubnets: { subnetType: SubnetType.PRIVATE_WITH_EGRESS },
      securityGroups: [securityGroup],
      assignPublicIp: false,
    });
    this.scale(props.config);
  }

  private taskDefinition({ config, ingest, storage }: ProcessorProps): FargateTaskDefinition {
    const task = new FargateTaskDefinition(this, 'Task', {
      cpu: config.worker.cpu,
      memoryLimitMiB: config.worker.memoryMib,
      runtimePlatform: {
        cpuArchitecture: CpuArchitecture.ARM64,
        operatingSystemFamily: OperatingSystemFamily.LINUX,
      },
    });
    task.addContainer('worker', {
      image: ContainerImage.fromAsset(REPOSITORY, { ...IMAGE_ASSET, target: IMAGE_TARGET.worker }),
      environment: workerEnvironment(config, ingest, storage),
      logging: LogDrivers.awsLogs({ streamPrefix: 'worker', logGroup: this.logGroup }),
      readonlyRootFilesystem: true,
      user: '65532:65532',
      // The program asks itself: the image has no shell. AWS being away is no reason to replace it.
      healthCheck: {
        command: ['CMD', '/usr/local/bin/ivs-processor', 'health'],
        interval: Duration.seconds(30),
        timeout: Duration.seconds(10),
        retries: 3,
        startPeriod: Duration.seconds(60),
      },
      // SIGTERM starts the hand-over; killed before it is done, a successor re-reads the epoch.
      stopTimeout: Duration.seconds(config.worker.stopTimeoutSeconds),
    });
    acknowledge(task, 'AwsSolutions-ECS2', 'the environment holds names of resources, no secret');
    acknowledge(
      task.obtainExecutionRole(),
      'AwsSolutions-IAM5[Resource::*]',
      'ecr:GetAuthorizationToken knows no resource',
    );
    grantWorker(task.taskRole, ingest, storage, config.worker.enhancedFanOut);
    if (config.worker.reconcile) {
      grantReconcile(task.taskRole, ingest, storage);
    }
    return task;
  }

  private scale({ worker }: StageConfig): void {
    const scaling = this.service.autoScaleTaskCount({
      minCapacity: worker.minTasks,
      maxCapacity: worker.maxTasks,
    });
    scaling.scaleOnCpuUtilization('Cpu', {
      targetUtilizationPercent: worker.cpuTargetPercent,
      // A scale-in moves shards: do it slowly.
      scaleInCooldown: Duration.minutes(10),
      scaleOutCooldown: Duration.minutes(2),
    });
    scaling.scaleOnMetric('Lag', {
      metric: fleetMetric(NAMESPACES.processor, 'Lag', { period: Duration.minutes(1) }),
      adjustmentType: AdjustmentType.CHANGE_IN_CAPACITY,
      evaluationPeriods: 3,
      cooldown: Duration.minutes(3),
      // Out only; coming in is left to the CPU target.
      scalingSteps: [
        { lower: worker.lagScaleOutMs, upper: worker.lagScaleOutMs * 5, change: 1 },
        { lower: worker.lagScaleOutMs * 5, change: 2 },
      ],
    });
  }
}
