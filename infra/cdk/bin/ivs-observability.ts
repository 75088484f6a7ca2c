/** `npx cdk deploy -c stage=prod`; without a stage it is `dev`. */
import { App } from 'aws-cdk-lib';
import { addStage } from '../lib/app.ts';
import { stageConfig } from '../lib/config.ts';

const app = new App();
const stage: unknown = app.node.tryGetContext('stage') ?? 'dev';
addStage(app, stageConfig(String(stage)));
