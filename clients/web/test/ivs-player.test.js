import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { watchIvsPlayer } from '../ivs-player.js';
import { Host } from './host.js';

/** Names as the SDK has them. */
const SDK = {
  PlayerState: { IDLE: 'Idle', READY: 'Ready', BUFFERING: 'Buffering', PLAYING: 'Playing', ENDED: 'Ended' },
  PlayerEventType: { REBUFFERING: 'PlayerRebuffering', ERROR: 'PlayerError' },
};
const SCHEMA = JSON.parse(readFileSync(new URL('../../../schemas/json/player-telemetry.schema.json', import.meta.url)));

class Player {
  #heard = new Map();
  state = SDK.PlayerState.IDLE;
  dropped = 0;
  latency = 3.214;
  getState = () => this.state;
  getQuality = () => ({ name: '720p60', bitrate: 3_420_000 });
  getLiveLatency = () => this.latency;
  getDroppedFrames = () => this.dropped;
  getVersion = () => '1.56.1';
  addEventListener = (name, heard) => this.#heard.set(name, heard);
  removeEventListener = (name) => this.#heard.delete(name);
  listeners = () => this.#heard.size;
  fire = (name, detail) => this.#heard.get(name)?.(detail);
  enter(state) {
    this.state = state;
    this.fire(state);
  }
}

function watch(player = new Player()) {
  const host = new Host();
  const told = [];
  const report = (event) => told.push(JSON.parse(JSON.stringify(event)));
  const about = { country: 'JP', device: 'mobile' };
  const view = watchIvsPlayer({ player, sdk: SDK, report, sessionId: 'st-1', channelId: 'ch', about, host });
  return { host, player, told, view };
}

test('a view is told from its request to its end', async () => {
  const { host, player, told } = watch();
  player.enter(SDK.PlayerState.BUFFERING);
  await host.advance(800);
  player.enter(SDK.PlayerState.PLAYING);
  await host.advance(12_000);
  player.enter(SDK.PlayerState.ENDED);
  assert.deepEqual(told.map(({ viewEvent }) => viewEvent), ['attempt', 'start', undefined, 'end']);
  assert.equal(told[1].startupMs, 800);
  assert.equal(told.reduce((sum, { playingMs }) => sum + playingMs, 0), 12_000);
  assert.equal(told.reduce((sum, { bufferingMs }) => sum + bufferingMs, 0), 0, 'waiting for the first frame is not a stall');
  assert.equal(told[3].viewStarted, true);
  assert.equal(new Set(told.map(({ eventId }) => eventId)).size, 4);
  assert.equal(new Set(told.map(({ viewId }) => viewId)).size, 1);
  assert.equal(host.timers(), 0);
  assert.equal(player.listeners(), 0);
});

test('a stall counts its time and itself, once', async () => {
  const { host, player, told, view } = watch();
  player.enter(SDK.PlayerState.PLAYING);
  await host.advance(1_000);
  player.fire(SDK.PlayerEventType.REBUFFERING);
  player.enter(SDK.PlayerState.BUFFERING);
  await host.advance(700);
  player.dropped = 5;
  player.enter(SDK.PlayerState.PLAYING);
  await host.advance(9_000);
  view.end();
  const sum = (name) => told.reduce((total, event) => total + event[name], 0);
  assert.deepEqual([sum('playingMs'), sum('bufferingMs'), sum('rebufferCount'), sum('droppedFrames')], [10_000, 700, 1, 5]);
});

test('failures before the first frame are told apart, and end the view', () => {
  for (const [error, kind] of [[{ type: 'ErrorNotAvailable', code: 404 }, 'business'], [{ type: 'ErrorNetwork', code: 502 }, 'technical']]) {
    const { player, told } = watch();
    player.fire(SDK.PlayerEventType.ERROR, error);
    player.enter(SDK.PlayerState.IDLE);
    assert.deepEqual(told.map(({ viewEvent }) => viewEvent), ['attempt', 'failure']);
    assert.equal(told[1].failureKind, kind);
    assert.equal(told[1].errorCode, String(error.code));
  }
});

test('an error after the start, an exit before it, and a player that plays already', async () => {
  const failing = watch();
  failing.player.enter(SDK.PlayerState.PLAYING);
  failing.player.fire(SDK.PlayerEventType.ERROR, { type: 'ErrorNetwork' });
  assert.equal(failing.told.at(-1).viewEvent, 'error');
  assert.equal(failing.told.at(-1).errorCode, 'ErrorNetwork');

  const leaving = watch();
  leaving.view.end();
  leaving.view.end();
  assert.equal(leaving.told.length, 2);
  assert.equal(leaving.told[1].viewStarted, false);

  const player = new Player();
  player.state = SDK.PlayerState.PLAYING;
  assert.deepEqual(watch(player).told.map(({ viewEvent }) => viewEvent), ['attempt', 'start']);
});

test('a page that is hidden tells what it has', () => {
  const { host, told } = watch();
  host.hide();
  assert.equal(told.length, 2);
});

test('a report has what the schema requires and nothing that it does not know', () => {
  const { player, told } = watch();
  player.enter(SDK.PlayerState.PLAYING);
  for (const event of told) {
    for (const name of [...SCHEMA.required, 'eventId']) assert.ok(name in event, name);
    for (const name of Object.keys(event)) assert.ok(name in SCHEMA.properties, name);
  }
  assert.equal('latencyMs' in told[0], false, 'latency is not known before the picture');
  assert.equal(told[1].latencyMs, 3214);
});
