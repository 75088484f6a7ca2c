import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EVERY_MS, watchPlayer } from '../ivs-player.js';

const PlayerState = { IDLE: 'Idle', READY: 'Ready', BUFFERING: 'Buffering', PLAYING: 'Playing', ENDED: 'Ended' };
const PlayerEventType = { REBUFFERING: 'PlayerRebuffering', ERROR: 'PlayerError' };

/** A player and a page that do as they are told, and the reports that come of it. */
function setUp() {
  let ms = 1_000;
  let tick;
  const listeners = new Map();
  const target = {
    addEventListener: (event, listener) => listeners.set(event, listener),
    removeEventListener: (event) => listeners.delete(event),
  };
  const player = {
    ...target,
    getState: () => PlayerState.BUFFERING,
    getQuality: () => ({ bitrate: 4_500_000, name: '720p' }),
    getLiveLatency: () => 3.25,
  };
  const world = {
    performance: { now: () => ms },
    document: { ...target, hidden: false },
    setInterval: (run, every) => {
      assert.equal(every, EVERY_MS);
      tick = run;
    },
    clearInterval: () => {
      tick = undefined;
    },
  };
  const at = { reports: [], flushed: 0, world, listeners };
  const reporter = {
    report: (figures) => at.reports.push(figures),
    flush: () => {
      at.flushed += 1;
    },
  };
  const stop = watchPlayer(player, { PlayerState, PlayerEventType }, reporter, world);
  return {
    at,
    stop,
    tick: () => tick?.(),
    after: (spent, event, detail) => {
      ms += spent;
      if (event) listeners.get(event)(detail);
    },
  };
}

test('time to the first frame is start-up, later buffering is a stall', () => {
  const { at, tick, after } = setUp();
  after(800, PlayerState.PLAYING);
  assert.equal(at.reports[0].startupMs, 800);
  assert.equal(at.reports[0].bufferingMs, 0);
  after(6_000, PlayerEventType.REBUFFERING);
  after(0, PlayerState.BUFFERING);
  after(1_500, PlayerState.PLAYING);
  after(2_500);
  tick();
  const { state, playingMs, bufferingMs, rebufferCount, latencyMs, bitrate, startupMs } = at.reports[1];
  assert.deepEqual([state, playingMs, bufferingMs, rebufferCount], ['PLAYING', 8_500, 1_500, 1]);
  assert.deepEqual([latencyMs, bitrate, startupMs], [3_250, 4_500_000, undefined]);
});

test('each report counts from the last one', () => {
  const { at, tick, after } = setUp();
  after(0, PlayerState.PLAYING);
  after(EVERY_MS);
  tick();
  after(EVERY_MS);
  tick();
  assert.deepEqual(at.reports.map(({ playingMs }) => playingMs), [0, EVERY_MS, EVERY_MS]);
});

test('errors, the end and leaving the page are told at once', () => {
  const { at, after, stop } = setUp();
  after(0, PlayerEventType.ERROR, { type: 'ErrorNetwork' });
  assert.deepEqual([at.reports[0].errorCode, at.reports[0].errorCount], ['ErrorNetwork', 1]);
  after(0, PlayerState.ENDED);
  assert.equal(at.reports[1].state, 'ENDED');
  at.world.document.hidden = true;
  after(0, 'visibilitychange');
  assert.deepEqual([at.reports.length, at.flushed], [3, 1]);
  stop();
  assert.equal(at.listeners.size, 0);
});
