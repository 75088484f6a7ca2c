import type { Template } from 'aws-cdk-lib/assertions';
import { expect, test } from 'vitest';
import type { Json } from './json.ts';
import { configOf, only, propertiesOf, resourcesOf, synthesize } from './synth.ts';

/** Services that the embedded AWS has, by which an end-to-end test sees what is called. */
const SEEN = /^(cloudwatch|dynamodb|events|ivs|kinesis):/;

/** The tables of a statement, by name. */
function tablesOf(template: Template, statement: Json): string[] {
  const tables = resourcesOf(template, 'AWS::DynamoDB::GlobalTable');
  const text = JSON.stringify(statement.at('Resource').value);
  return Object.entries(tables)
    .filter(([id]) => text.includes(`"${id}"`))
    .map(([, { properties }]) => properties.at('TableName').text());
}

/** What a role may do, each action of DynamoDB with its table. */
function actionsOf(template: Template, role: unknown): string[] {
  const statements = propertiesOf(template, 'AWS::IAM::Policy')
    .filter((policy) => JSON.stringify(policy.at('Roles').value) === JSON.stringify([{ Ref: role }]))
    .flatMap((policy) => policy.at('PolicyDocument', 'Statement').list());
  const actions = statements.flatMap((statement) =>
    statement
      .at('Action')
      .each()
      .map((action) => action.text())
      .filter((action) => SEEN.test(action))
      .flatMap((action) =>
        action.startsWith('dynamodb:')
          ? tablesOf(template, statement).map((table) => `${action} ${table}`)
          : [action],
      ),
  );
  return [...new Set(actions)].sort();
}

// `tests/e2e/granted.rs` reads the file: everything in it is called in its run, and nothing else.
test('what the worker and the report function may do is written down', async () => {
  const config = configOf('prod');
  const template = synthesize({
    ...config,
    worker: { ...config.worker, enhancedFanOut: true, reconcile: true },
  });
  const [, task] = only(template, 'AWS::ECS::TaskDefinition');
  const reports = propertiesOf(template, 'AWS::Lambda::Function').filter(
    (each) => each.at('PackageType').value === 'Image',
  );
  expect(reports).toHaveLength(1);
  const actions = {
    worker: actionsOf(template, task.properties.at('TaskRoleArn', 'Fn::GetAtt', 0).value),
    report: actionsOf(template, reports[0]?.at('Role', 'Fn::GetAtt', 0).value),
  };
  expect(actions.report.length).toBeGreaterThan(0);
  await expect(`${JSON.stringify(actions, null, 2)}\n`).toMatchFileSnapshot('__snapshots__/actions.json');
});
