import type { Stack } from 'aws-cdk-lib';
import { resources } from './schemas.ts';

/** The dashboard in the console of the region it is deployed to. */
export function dashboardUrl({ region }: Stack): string {
  return `https://${region}.console.aws.amazon.com/cloudwatch/home?region=${region}#dashboards:name=${resources.dashboard}`;
}
