/** `npx cdk deploy -c stage=prod -c alerts=email:ADDRESS`; without a stage it is `dev`. */
import { App } from 'aws-cdk-lib';
import { addStage } from '../lib/app.ts';
import { stageConfig } from '../lib/config.ts';
import { articlesOfClone } from '../lib/sources.ts';

const app = new App();

function context(name: string): string | undefined {
  const value: unknown = app.node.tryGetContext(name);
  return value === undefined ? undefined : String(value);
}

const alerts = context('alerts');
const runbookBase = context('runbookBase') ?? articlesOfClone();
const telemetryOrigin = context('telemetryOrigin');
const reconcile = context('reconcile');
const dimensions = context('dimensions');
addStage(
  app,
  stageConfig(context('stage') ?? 'dev', {
    ...(alerts !== undefined && { alerts }),
    ...(runbookBase !== undefined && { runbookBase }),
    ...(telemetryOrigin !== undefined && { telemetryOrigin }),
    ...(reconcile !== undefined && { reconcile }),
    ...(dimensions !== undefined && { dimensions }),
  }),
);
