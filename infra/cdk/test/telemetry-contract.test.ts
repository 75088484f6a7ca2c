import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { REPOSITORY } from '../lib/image.ts';
import { Json } from './json.ts';
import { propertiesOf, templateOf } from './synth.ts';
import { evaluate } from './velocity.ts';

// `local` serves the same API, and its tests read the same file.
const contract = new Json(
  JSON.parse(readFileSync(`${REPOSITORY}schemas/contract/telemetry-api.json`, 'utf8')),
  'contract',
);
const methods = propertiesOf(templateOf('prod'), 'AWS::ApiGateway::Method');

/** The mapping of a route's batches: the two are told apart by the name of their list. */
function mappingOf(route: string): string {
  const list = route === 'telemetry' ? '$.records' : '$.Records';
  const mappings = methods
    .map((method) => method.at('Integration', 'RequestTemplates', 'application/json'))
    .filter((mapping) => mapping.exists())
    .map((mapping) => mapping.joined());
  return mappings.find((mapping) => mapping.includes(list)) ?? '';
}

test.each(contract.at('batches').list())('a batch becomes the records of the contract', (entry) => {
  const mapped = evaluate(mappingOf(entry.at('route').text()), entry.at('batch').value).body;
  const records = new Json(JSON.parse(mapped), 'PutRecords').at('Records').list();
  expect(records.map((record) => record.at('PartitionKey').value)).toEqual(entry.at('keys').value);
  const own = entry.at('batch', 'records');
  const sent = own.exists()
    ? own.value
    : entry
        .at('batch', 'Records')
        .list()
        .map((record) => record.at('Data').value);
  const data = (record: Json): unknown =>
    JSON.parse(Buffer.from(record.at('Data').text(), 'base64').toString('utf8'));
  expect(records.map(data)).toEqual(sent);
});

test.each(contract.at('reports').list())('a CMCD report becomes the record of the contract', (entry) => {
  const cmcd = methods
    .map((method) => method.at('Integration', 'RequestTemplates', 'application/cmcd'))
    .find((mapping) => mapping.exists());
  const mapped = evaluate(cmcd?.joined() ?? '', entry.at('body').text()).body;
  const [record] = new Json(JSON.parse(mapped), 'PutRecords').at('Records').list();
  expect(record?.at('PartitionKey').value).toEqual(entry.at('key').value);
  const data = Buffer.from(record?.at('Data').text() ?? '', 'base64').toString('utf8');
  expect(data).toBe(entry.at('body').value);
});

test.each(contract.at('answers').list())('an answer of Kinesis becomes that of the contract', (entry) => {
  const status = Number(entry.at('kinesis', 'status').value);
  const code = status === 200 ? '200' : status < 500 ? '400' : '503';
  const responses = methods
    .filter((method) => method.at('HttpMethod').value === 'POST')
    .flatMap((method) => method.at('Integration', 'IntegrationResponses').list());
  const response = responses.find((each) => each.at('StatusCode').value === code);
  const template = response?.at('ResponseTemplates', 'application/json').joined() ?? '';
  const mapped = evaluate(template, entry.at('kinesis', 'body').value);
  expect(JSON.parse(mapped.body)).toEqual(entry.at('body').value);
  expect(mapped.status ?? Number(code)).toBe(entry.at('status').value);
});
