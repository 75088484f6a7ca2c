import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { makeReporter } from '../reporter.js';
import { Host } from './host.js';

const CONTRACT = JSON.parse(readFileSync(new URL('../../../schemas/contract/telemetry-api.json', import.meta.url)));
const URL_OF_API = 'https://api.example/v1/telemetry';

function start(host = new Host()) {
  const warnings = [];
  const reporter = makeReporter({ url: URL_OF_API, key: 'k', warn: (words) => warnings.push(words), host });
  return { host, reporter, warnings };
}

function events(count, from = 0) {
  return Array.from({ length: count }, (_, n) => ({ eventId: `e-${from + n}` }));
}

function ids(call) {
  return call.events.map(({ eventId }) => eventId);
}

test('events of one moment travel in one call, as the contract shows it', async () => {
  const { host, reporter } = start();
  const { batch } = CONTRACT.batches.find(({ route }) => route === 'telemetry');
  for (const event of batch.records) reporter.report(event);
  await host.advance(1_000);
  assert.equal(host.calls.length, 1);
  const [{ url, request }] = host.calls;
  assert.equal(url, URL_OF_API);
  assert.equal(request.method, 'POST');
  assert.equal(request.headers['x-api-key'], 'k');
  assert.deepEqual(JSON.parse(request.body), batch);
  assert.deepEqual(reporter.counts(), { stored: 2, refused: 0, dropped: 0 });
});

test('every answer of the contract is acted upon', async () => {
  for (const answer of CONTRACT.answers) {
    const { host, reporter } = start();
    const sent = answer.body.records?.length ?? 1;
    host.answers = [answer, ...(answer.status === 400 ? [] : [{ status: 200 }])];
    for (const event of events(sent)) reporter.report(event);
    await host.advance(5_000);
    const { stored, refused } = reporter.counts();
    assert.equal(stored + refused, sent, JSON.stringify(answer));
    assert.equal(refused, answer.status === 400 ? 1 : 0);
    assert.equal(host.calls.length, answer.status === 503 ? 2 : 1);
  }
});

test('what a partial answer stored is not sent again', async () => {
  const { host, reporter } = start();
  host.answers = [{ status: 503, body: { failed: 1, records: [{ stored: true }, { stored: false }, { stored: true }] } }];
  for (const event of events(3)) reporter.report(event);
  await host.advance(5_000);
  assert.deepEqual(host.calls.map(ids), [['e-0', 'e-1', 'e-2'], ['e-1']]);
});

test('pauses double up to a minute, and end with the first answer', async () => {
  const { host, reporter } = start();
  host.answers = Array.from({ length: 9 }, (_, n) => (n % 2 === 0 ? { status: 429 } : new Error('offline')));
  reporter.report({ eventId: 'e-0' });
  await host.advance(250 + (1 + 2 + 4 + 8 + 16 + 32 + 60 + 60) * 1_000);
  const pauses = host.calls.slice(1).map(({ at }, n) => at - host.calls[n].at);
  assert.deepEqual(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  await host.advance(60_000);
  assert.equal(reporter.counts().stored, 1);
  host.answers = [{ status: 503 }];
  reporter.report({ eventId: 'e-1' });
  await host.advance(10_000);
  const [failed, again] = host.calls.slice(-2);
  assert.equal(again.at - failed.at, 1_000);
});

test('an event that the API refuses is found, named and left out; the others arrive', async () => {
  const { host, reporter, warnings } = start();
  const judge = (batch) => (batch.some(({ eventId }) => eventId === 'e-5') ? { status: 400, body: { error: 'no type' } } : { status: 200 });
  host.answers = Array.from({ length: 50 }, () => judge);
  for (const event of events(20)) reporter.report(event);
  await host.advance(1_000);
  assert.deepEqual(reporter.counts(), { stored: 19, refused: 1, dropped: 0 });
  assert.deepEqual(warnings, ['telemetry: an event was refused (400): no type: {"eventId":"e-5"}']);
});

test('a wrong key stops the reporter', async () => {
  const { host, reporter, warnings } = start();
  host.answers = [{ status: 403 }];
  reporter.report({ eventId: 'e-0' });
  await host.advance(1_000);
  reporter.report({ eventId: 'e-1' });
  await host.advance(120_000);
  assert.equal(host.calls.length, 1);
  assert.equal(host.timers(), 0);
  assert.match(warnings[0], /403/);
});

test('five hundred events are kept, the oldest go first', async () => {
  const { host, reporter } = start();
  host.answers = Array.from({ length: 3 }, () => ({ status: 503 }));
  for (const event of events(620)) reporter.report(event);
  await host.advance(30_000);
  assert.deepEqual(reporter.counts(), { stored: 500, refused: 0, dropped: 120 });
  assert.equal(ids(host.calls.at(-5))[0], 'e-120');
});

test('what is older than ten minutes is dropped', async () => {
  const { host, reporter } = start();
  host.answers = Array.from({ length: 40 }, () => new Error('offline'));
  reporter.report({ eventId: 'old' });
  await host.advance(9 * 60_000);
  reporter.report({ eventId: 'young' });
  await host.advance(2 * 60_000);
  host.answers = [];
  await host.advance(2 * 60_000);
  assert.deepEqual(reporter.counts(), { stored: 1, refused: 0, dropped: 1 });
});

test('a call stays below what a browser lets a closing page send', async () => {
  const { host, reporter } = start();
  for (let n = 0; n < 30; n += 1) reporter.report({ eventId: `e-${n}`, text: '日'.repeat(1_500) });
  await host.advance(1_000);
  for (const { request } of host.calls) assert.ok(new TextEncoder().encode(request.body).length < 64 * 1024);
  assert.equal(reporter.counts().stored, 30);
});

test('flush does not wait for a pause to end', async () => {
  const { host, reporter } = start();
  host.answers = [{ status: 503 }, { status: 503 }];
  reporter.report({ eventId: 'e-0' });
  await host.advance(1_300);
  assert.equal(host.calls.length, 2);
  await reporter.flush();
  assert.equal(reporter.counts().stored, 1);
  assert.equal(host.timers(), 0);
});
