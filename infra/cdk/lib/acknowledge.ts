import { CfnElement, Stack, Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** Accepts a cdk-nag finding at or below `scope`; the reason is for the reviewer. */
export function acknowledge(scope: IConstruct, id: string, reason: string): void {
  Validations.of(scope).acknowledge({ id, reason });
}

/** Accepts a wildcard behind the ARN of `resource`, such as `/archive/*`, in the policies of `scope`. */
export function acknowledgeArnSuffix(
  scope: IConstruct,
  resource: IConstruct,
  suffix: string,
  reason: string,
): void {
  const child = resource.node.defaultChild;
  if (!CfnElement.isCfnElement(child)) {
    throw new Error(`${resource.node.path} is not one CloudFormation resource`);
  }
  const logicalId: string = Stack.of(child).resolve(child.logicalId);
  acknowledge(scope, `AwsSolutions-IAM5[Resource::<${logicalId}.Arn>${suffix}]`, reason);
}
