import { RemovalPolicy } from 'aws-cdk-lib';
import {
  FlowLogDestination,
  GatewayVpcEndpointAwsService,
  InterfaceVpcEndpointAwsService,
  IpAddresses,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { acknowledge } from '../acknowledge.ts';
import type { InterfaceEndpoint, NetworkConfig } from '../config.ts';

const ENDPOINTS: Readonly<Record<InterfaceEndpoint, readonly InterfaceVpcEndpointAwsService[]>> = {
  kinesis: [InterfaceVpcEndpointAwsService.KINESIS_STREAMS],
  monitoring: [InterfaceVpcEndpointAwsService.CLOUDWATCH_MONITORING],
  events: [InterfaceVpcEndpointAwsService.EVENTBRIDGE],
  logs: [InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS],
  ecr: [InterfaceVpcEndpointAwsService.ECR, InterfaceVpcEndpointAwsService.ECR_DOCKER],
  sts: [InterfaceVpcEndpointAwsService.STS],
};

/** Two zones; private subnets for the workers, DynamoDB and S3 without passing the NAT. */
export class Network extends Construct {
  readonly vpc: Vpc;

  constructor(scope: Construct, id: string, props: NetworkConfig) {
    super(scope, id);
    this.vpc = new Vpc(this, 'Vpc', {
      ipAddresses: IpAddresses.cidr('10.42.0.0/20'),
      maxAzs: 2,
      natGateways: props.natGateways,
      subnetConfiguration: [
        { name: 'public', subnetType: SubnetType.PUBLIC, mapPublicIpOnLaunch: false, cidrMask: 26 },
        { name: 'workers', subnetType: SubnetType.PRIVATE_WITH_EGRESS, cidrMask: 24 },
      ],
      // Closing it takes a custom resource, and nothing here uses the default group.
      restrictDefaultSecurityGroup: false,
      gatewayEndpoints: {
        dynamodb: { service: GatewayVpcEndpointAwsService.DYNAMODB },
        s3: { service: GatewayVpcEndpointAwsService.S3 },
      },
    });
    for (const name of props.interfaceEndpoints) {
      for (const service of ENDPOINTS[name]) {
        const endpoint = this.vpc.addInterfaceEndpoint(service.shortName.replaceAll('.', '-'), { service });
        acknowledge(
          endpoint,
          'AwsSolutions-EC23',
          'open to the range of the VPC only, which the rule cannot resolve',
        );
      }
    }
    const logGroup = new LogGroup(this, 'FlowLogs', {
      retention: RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.vpc.addFlowLog('flow', { destination: FlowLogDestination.toCloudWatchLogs(logGroup) });
  }
}
