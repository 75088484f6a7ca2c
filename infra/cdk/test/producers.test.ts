/** The reporter that docs/producers.md shows is run as it is shown. */
import { readFileSync } from 'node:fs';
import vm from 'node:vm';
import { describe, expect, test } from 'vitest';
import { REPOSITORY } from '../lib/image.ts';
import { TELEMETRY_SCHEMA } from '../lib/telemetry-mapping.ts';
import { Json } from './json.ts';

const guide = readFileSync(`${REPOSITORY}docs/producers.md`, 'utf8');
const [player = '', reporter = ''] = [...guide.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code);

type Tell = (event: object) => void;

/** A page whose network answers with these statuses in turn; a timer's work is done at once. */
function page(statuses: readonly (number | undefined)[]) {
  const sent: Json[] = [];
  const pauses: number[] = [];
  const answers = [...statuses];
  const context = vm.createContext({
    console: { warn: () => undefined },
    Math: Object.assign(Object.create(Math), { random: () => 0.5 }),
    setTimeout: (work: () => void, pause: number) => {
      pauses.push(pause);
      queueMicrotask(work);
    },
    fetch: async (_url: string, request: { body: string }) => {
      sent.push(new Json(JSON.parse(request.body)));
      const status = answers.length > 0 ? answers.shift() : 200;
      if (status === undefined) {
        throw new Error('no network');
      }
      return { status };
    },
  });
  const tell = vm.runInContext(`${reporter}\nmakeReporter({ url: 'u', key: 'k' })`, context) as Tell;
  const ids = () =>
    sent.map((batch) =>
      batch
        .at('records')
        .list()
        .map((record) => record.at('eventId').value),
    );
  return { tell, sent, pauses, ids };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

describe('the reporter', () => {
  test('sends what it is told, and all of it', async () => {
    const { tell, ids } = page([]);
    for (let n = 0; n < 250; n += 1) {
      tell({ eventId: n });
    }
    await settled();
    expect(ids().flat()).toEqual([...Array(250).keys()]);
    expect(Math.max(...ids().map((batch) => batch.length))).toBeLessThanOrEqual(100);
  });

  test('sends the same batch again, ever later, until it is answered', async () => {
    const { tell, ids, pauses } = page([503, undefined, 429, 200]);
    tell({ eventId: 'a' });
    await settled();
    expect(ids()).toEqual([['a'], ['a'], ['a'], ['a']]);
    expect(pauses).toEqual([1_000, 2_000, 4_000]);
  });

  test.each([400, 403])('gives up a batch that is answered with %d', async (status) => {
    const { tell, ids } = page([status, 200]);
    tell({ eventId: 'a' });
    await settled();
    tell({ eventId: 'b' });
    await settled();
    expect(ids()).toEqual([['a'], ['b']]);
  });

  test('holds no more than 500 events, the newest', async () => {
    const { tell, ids } = page(Array(3).fill(undefined));
    for (let n = 0; n < 700; n += 1) {
      tell({ eventId: n });
    }
    await settled();
    const arrived = new Set(ids().flat());
    expect([...Array(500).keys()].filter((n) => !arrived.has(200 + n))).toEqual([]);
    // The one that was on its way when the network failed is sent again and then dropped.
    expect([...arrived].filter((n) => Number(n) < 200)).toEqual([0]);
  });
});

test('what it makes of the player is what the API takes', () => {
  const told: Json[] = [];
  const listeners = new Map<string, (value?: unknown) => void>();
  let clock = 0;
  const STATES = { IDLE: 'Idle', READY: 'Ready', BUFFERING: 'Buffering', PLAYING: 'Playing', ENDED: 'Ended' };
  const context = vm.createContext({
    PlayerState: STATES,
    PlayerEventType: { REBUFFERING: 'PlayerRebuffering', ERROR: 'PlayerError' },
    TELEMETRY_URL: 'u',
    TELEMETRY_KEY: 'k',
    sessionId: 'st-1',
    channelId: 'abc',
    makeReporter: () => (event: object) => told.push(new Json(JSON.parse(JSON.stringify(event)))),
    crypto: { randomUUID: () => `id-${told.length}` },
    performance: { now: () => clock },
    setInterval: (work: () => void) => listeners.set('interval', work),
    document: {
      hidden: true,
      addEventListener: (name: string, work: () => void) => listeners.set(name, work),
    },
    player: {
      getState: () => 'Ready',
      getQuality: () => ({ bitrate: 4_500_000, name: '1080p' }),
      getLiveLatency: () => 2.31,
      addEventListener: (name: string, work: () => void) => listeners.set(name, work),
    },
  });
  vm.runInContext(player, context);
  const happens = (name: string, atMs: number, value?: unknown) => {
    clock = atMs;
    listeners.get(name)?.(value);
  };
  happens('Buffering', 100);
  happens('Playing', 900);
  happens('Buffering', 5_900);
  happens('PlayerRebuffering', 5_900);
  happens('Playing', 6_400);
  happens('interval', 10_000);
  happens('PlayerError', 10_500, { type: 'ErrorNetwork' });

  const required = TELEMETRY_SCHEMA.properties?.['records']?.items;
  const names = Array.isArray(required) ? [] : (required?.required ?? []);
  expect(names).toContain('eventId');
  for (const event of told) {
    for (const name of names) {
      expect(event.at(name).exists(), name).toBe(true);
    }
  }
  expect(told.map(({ value }) => value)).toMatchObject([
    { state: 'PLAYING', startupMs: 900, playingMs: 0, bufferingMs: 0 },
    {
      state: 'PLAYING',
      playingMs: 8_600,
      bufferingMs: 500,
      rebufferCount: 1,
      latencyMs: 2_310,
      bitrate: 4_500_000,
    },
    { errorCode: 'ErrorNetwork', errorCount: 1, playingMs: 500, rebufferCount: 0 },
  ]);
});
