import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createReporter, MAX_AGE_MS, MAX_BATCH, MAX_WAITING } from '../reporter.js';

// The file that the deployed API and that of `local` are held to.
const contract = JSON.parse(
  readFileSync(new URL('../../../schemas/contract/telemetry-api.json', import.meta.url), 'utf8'),
);
const STREAM = { sessionId: 'st-1', channelId: 'ch', playerId: 'p-1' };
const ALL_STORED = contract.answers.find(({ status }) => status === 200);
const LATER = contract.answers.find(({ status, body }) => status === 503 && body.error);

/** An API that answers as it is told to, and a clock that stands until it is moved. */
function setUp(answers, settings = {}) {
  const at = { ms: Date.UTC(2026, 2, 1, 12), ids: 0, requests: [], timers: [], problems: [] };
  const world = {
    fetch: async (url, { body, ...request }) => {
      at.requests.push({ url, ...request, records: JSON.parse(body).records, bytes: body.length });
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      if (answer === 'no answer') throw new TypeError('fetch failed');
      return { status: answer.status, json: async () => answer.body };
    },
    now: () => at.ms,
    random: () => 0.5,
    uuid: () => `id-${++at.ids}`,
    setTimeout: (run, ms) => at.timers.push({ run, ms }),
    clearTimeout: () => at.timers.pop(),
  };
  const onProblem = (problem) => at.problems.push(problem);
  const reporter = createReporter({ url: '/telemetry', key: 'k', ...STREAM, onProblem, world, ...settings });
  const settle = () => new Promise((done) => setImmediate(done));
  const pass = async () => {
    at.timers.shift().run();
    await settle();
  };
  return { at, reporter, settle, pass };
}

test('a report has what the API requires', async () => {
  const { at, reporter, settle } = setUp([ALL_STORED]);
  reporter.report({ state: 'PLAYING', playingMs: 10_000, latencyMs: undefined });
  await settle();
  const [{ url, method, headers, records }] = at.requests;
  assert.deepEqual([url, method, headers['x-api-key']], ['/telemetry', 'POST', 'k']);
  assert.deepEqual(records, [
    {
      type: 'player_telemetry',
      schemaVersion: 1,
      eventId: 'id-1',
      ...STREAM,
      timestamp: '2026-03-01T12:00:00.000Z',
      state: 'PLAYING',
      playingMs: 10_000,
    },
  ]);
  // Each batch that the contract refuses for a missing member lacks one that is here.
  const required = contract.batches.find(({ route }) => route === 'telemetry').batch.records[1];
  for (const name of Object.keys(required)) assert.ok(name in records[0], name);
  assert.equal(reporter.waiting, 0);
});

test('what is not stored is sent again, with the same event id and growing pauses', async () => {
  const { at, reporter, settle, pass } = setUp(['no answer', LATER, { status: 429 }, ALL_STORED]);
  reporter.report({ state: 'PLAYING' });
  await settle();
  const pauses = [];
  while (at.timers.length > 0) {
    pauses.push(at.timers[0].ms);
    await pass();
  }
  assert.deepEqual(pauses, [1_000, 2_000, 4_000]);
  assert.deepEqual(at.requests.map(({ records }) => records[0].eventId), ['id-1', 'id-1', 'id-1', 'id-1']);
  assert.equal(reporter.waiting, 0);
});

test('of a batch that is stored in part only the rest is sent again', async () => {
  const inPart = contract.answers.find(({ body }) => body.failed === 1);
  const { at, reporter, settle, pass } = setUp([LATER, inPart, ALL_STORED]);
  reporter.report({ state: 'PLAYING' });
  reporter.report({ state: 'ENDED' });
  await settle();
  await pass();
  await pass();
  assert.deepEqual(at.requests.map(({ records }) => records.map(({ eventId }) => eventId)), [
    ['id-1'],
    ['id-1', 'id-2'],
    ['id-2'],
  ]);
});

test('what is refused is given up, and a wrong key ends it', async () => {
  const refused = contract.answers.find(({ status }) => status === 400);
  const { at, reporter, settle } = setUp([refused, { status: 403 }]);
  reporter.report({ state: 'PLAYING' });
  await settle();
  assert.deepEqual([reporter.waiting, at.timers.length], [0, 0]);
  reporter.report({ state: 'PLAYING' });
  await settle();
  reporter.report({ state: 'PLAYING' });
  await settle();
  assert.equal(at.requests.length, 2, 'nothing follows a 403');
  assert.match(at.problems.join(), /refused \(400\).*key is wrong/);
});

test('what waits is bounded in number, in age and by batch', async () => {
  const { at, reporter, settle, pass } = setUp([LATER, ALL_STORED]);
  for (let n = 0; n < MAX_WAITING + 50; n += 1) reporter.report({ state: 'PLAYING', sequence: n });
  await settle();
  assert.equal(reporter.waiting, MAX_WAITING);
  await pass();
  const sent = at.requests.slice(1).flatMap(({ records }) => records.map(({ sequence }) => sequence));
  assert.deepEqual([sent.length, sent[0]], [MAX_WAITING, 50]);
  assert.ok(at.requests.every(({ records }) => records.length <= MAX_BATCH));

  const late = setUp([LATER]);
  late.reporter.report({ state: 'PLAYING' });
  await late.settle();
  late.at.ms += MAX_AGE_MS + 1;
  await late.pass();
  assert.deepEqual([late.reporter.waiting, late.at.requests.length], [0, 1]);
});

test('a batch is small enough to outlive its page', async () => {
  const { at, reporter, settle, pass } = setUp(['no answer', ALL_STORED]);
  for (let n = 0; n < 100; n += 1) reporter.report({ state: 'PLAYING', device: 'x'.repeat(2_000) });
  await settle();
  await pass();
  assert.ok(at.requests.length > 3, `${at.requests.length}`);
  assert.ok(at.requests.every(({ bytes, keepalive }) => bytes < 64 << 10 && keepalive));
  assert.equal(reporter.waiting, 0);
});

test('leaving the page does not wait for the pause', async () => {
  const { at, reporter, settle } = setUp([LATER, ALL_STORED]);
  reporter.report({ state: 'PLAYING' });
  await settle();
  await reporter.flush();
  assert.deepEqual([at.requests.length, at.timers.length, reporter.waiting], [2, 0, 0]);
});

test('a player has an id of its own, and ids are checked', () => {
  const first = createReporter({ url: '/', key: 'k', sessionId: 's', channelId: 'c' });
  const second = createReporter({ url: '/', key: 'k', sessionId: 's', channelId: 'c' });
  assert.notEqual(first.playerId, second.playerId);
  assert.throws(() => createReporter({ url: '/', key: 'k', channelId: 'c' }), /sessionId/);
});
