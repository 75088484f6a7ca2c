import { type App, Tags, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { checkStage, type StageConfig } from './config.ts';
import { ObservabilityStack } from './observability-stack.ts';

/** Adds one stage to `app`; synthesis fails on any finding of cdk-nag that is not acknowledged. */
export function addStage(app: App, config: StageConfig): ObservabilityStack {
  checkStage(config);
  const stack = new ObservabilityStack(app, `IvsObservability-${config.stage}`, {
    description: 'Observability of Amazon IVS live streams',
    terminationProtection: config.protectData,
    config,
  });
  Tags.of(app).add('project', 'ivs-processor');
  Tags.of(app).add('stage', config.stage);
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  return stack;
}
