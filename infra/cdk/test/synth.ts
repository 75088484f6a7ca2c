import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { addStage } from '../lib/app.ts';
import { type StageConfig, stageConfig } from '../lib/config.ts';

/** A resource of a synthesized template. */
export interface Resource {
  readonly Type: string;
  readonly Properties: Record<string, any>;
  readonly DeletionPolicy?: string;
}

/** An app with the feature flags of `cdk.json`, which only the CLI reads by itself. */
export function testApp(): App {
  const outdir = mkdtempSync(join(tmpdir(), 'ivs-cdk-'));
  process.on('exit', () => rmSync(outdir, { recursive: true, force: true }));
  const { context } = JSON.parse(readFileSync(new URL('../cdk.json', import.meta.url), 'utf8'));
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
  const template = synthesize(stageConfig(stage));
  templates.set(stage, template);
  return template;
}

/** Every resource of a type by logical id; an empty answer is an error, for no test wants one. */
export function resourcesOf(template: Template, type: string): Record<string, Resource> {
  const found = template.findResources(type) as Record<string, Resource>;
  if (Object.keys(found).length === 0) {
    throw new Error(`the template has no ${type}`);
  }
  return found;
}

/** The only resource of a type, as logical id and resource. */
export function only(template: Template, type: string): [string, Resource] {
  const [first, ...more] = Object.entries(resourcesOf(template, type));
  if (first === undefined || more.length > 0) {
    throw new Error(`the template has ${more.length + 1} of ${type}`);
  }
  return first;
}

/** A string property in which references have been joined; each stands as `<reference>`. */
export function joined(value: any): string {
  if (typeof value === 'string') {
    return value;
  }
  const parts: unknown[] = value?.['Fn::Join']?.[1] ?? [];
  return parts.map((part) => (typeof part === 'string' ? part : '<reference>')).join('');
}
