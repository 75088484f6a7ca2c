import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { addStage } from '../lib/app.ts';
import { type Addresses, type StageConfig, stageConfig } from '../lib/config.ts';
import { isObject, Json } from './json.ts';

/** A resource of a synthesized template. */
export interface Resource {
  readonly properties: Json;
  readonly deletionPolicy: unknown;
}

/** Addresses as an operator gives them: without them there is nobody to tell and no telemetry API. */
export const ADDRESSES: Readonly<Record<string, Addresses>> = {
  dev: {},
  prod: {
    alerts: 'email:oncall@streams.test',
    runbookBase: 'https://runbooks.streams.test/operations',
    telemetryOrigin: 'https://live.streams.test',
  },
};

/** The configuration of a stage with its addresses. */
export function configOf(stage: string): StageConfig {
  return stageConfig(stage, ADDRESSES[stage]);
}

/** An app with the feature flags of `cdk.json`, which only the CLI reads by itself. */
export function testApp(): App {
  const outdir = mkdtempSync(join(tmpdir(), 'ivs-cdk-'));
  process.on('exit', () => rmSync(outdir, { recursive: true, force: true }));
  const settings: unknown = JSON.parse(readFileSync(new URL('../cdk.json', import.meta.url), 'utf8'));
  const context = isObject(settings) && isObject(settings['context']) ? settings['context'] : {};
  // Fingerprints of the assets are enough here: do not copy the repository.
  return new App({ outdir, context: { ...context, 'aws:cdk:disable-asset-staging': true } });
}

export function synthesize(config: StageConfig): Template {
  return Template.fromStack(addStage(testApp(), config));
}

const templates = new Map<string, Template>();

/** The template of a stage, synthesized once. */
export function templateOf(stage: string): Template {
  const known = templates.get(stage);
  if (known !== undefined) {
    return known;
  }
  const template = synthesize(configOf(stage));
  templates.set(stage, template);
  return template;
}

/** Every resource of a type by logical id; an empty answer is an error, for no test wants one. */
export function resourcesOf(template: Template, type: string): Record<string, Resource> {
  const found = Object.entries(template.findResources(type));
  if (found.length === 0) {
    throw new Error(`the template has no ${type}`);
  }
  return Object.fromEntries(
    found.map(([id, resource]) => [
      id,
      {
        properties: new Json(resource['Properties'] ?? {}, id),
        deletionPolicy: resource['DeletionPolicy'],
      },
    ]),
  );
}

/** The only resource of a type, as logical id and resource. */
export function only(template: Template, type: string): [string, Resource] {
  const [first, ...more] = Object.entries(resourcesOf(template, type));
  if (first === undefined || more.length > 0) {
    throw new Error(`the template has ${more.length + 1} of ${type}`);
  }
  return first;
}

/** The properties of every resource of a type. */
export function propertiesOf(template: Template, type: string): Json[] {
  return Object.values(resourcesOf(template, type)).map(({ properties }) => properties);
}
