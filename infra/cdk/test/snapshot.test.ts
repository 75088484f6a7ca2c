import { Bucket } from 'aws-cdk-lib/aws-s3';
import { expect, test } from 'vitest';
import { addStage } from '../lib/app.ts';
import { STAGES, stageConfig } from '../lib/config.ts';
import { templateOf, testApp } from './synth.ts';

// Synthesis throws on every finding of cdk-nag that nobody has acknowledged, so these are the
// tests of AwsSolutions too.
test.each(Object.keys(STAGES))('stage %s is clean and unchanged', async (stage) => {
  const template = JSON.stringify(templateOf(stage).toJSON(), null, 2);
  // A change of the program alone must not change the snapshot.
  const stable = template.replace(/[0-9a-f]{64}/g, 'ASSET_HASH');
  await expect(`${stable}\n`).toMatchFileSnapshot(`__snapshots__/${stage}.template.json`);
});

test('a finding without a reason stops the synthesis', () => {
  const app = testApp();
  new Bucket(addStage(app, stageConfig('dev')), 'OpenBucket');
  expect(() => app.synth()).toThrow(/AwsSolutions-S1/);
});
