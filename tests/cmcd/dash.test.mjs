// dash.js itself: its CMCD controller, from the player's events to the request.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { video } from './browser.mjs';
import { ADDRESS, CHANNEL, EVENTS, KEYS, MANIFEST, VIEW, query, same, soon, until } from './reports.mjs';

const [reports, requests] = [[], []];

/** Answers reports; the manifest never comes. */
globalThis.XMLHttpRequest = class {
  open(method, url) {
    Object.assign(this, { method, url, headers: {} });
  }

  setRequestHeader(name, value) {
    this.headers[name] = value;
  }

  send(body) {
    if (this.url !== ADDRESS) {
      requests.push(this.url);
      return;
    }
    assert.deepEqual([this.method, this.headers['Content-Type']], ['POST', 'application/cmcd']);
    reports.push(body);
    Object.assign(this, { status: 200, readyState: 4 });
    setTimeout(() => {
      this.onload({});
      this.onloadend({});
    });
  }

  abort() {}

  getAllResponseHeaders() {
    return '';
  }

  getResponseHeader() {
    return null;
  }
};

test('dash.js', async () => {
  const { MediaPlayer } = await import('dashjs');
  const player = MediaPlayer().create();
  const target = { enabled: true, url: ADDRESS, events: EVENTS, interval: 10, batchSize: 1, enabledKeys: KEYS };
  player.updateSettings({
    debug: { logLevel: 0 },
    streaming: { cmcd: { enabled: true, version: 2, sid: VIEW, cid: CHANNEL, eventTargets: [target] } },
  });
  player.initialize(video(), MANIFEST, false);
  await until(requests, 1);
  const { PLAYBACK_STARTED, PLAYBACK_PLAYING, PLAYBACK_WAITING, PLAYBACK_ENDED, ERROR } = MediaPlayer.events;
  player.trigger(PLAYBACK_STARTED, {});
  // A start-up time of 0 ms would not be told.
  await soon();
  for (const event of [PLAYBACK_PLAYING, PLAYBACK_WAITING, PLAYBACK_PLAYING]) {
    player.trigger(event, {});
  }
  player.trigger(ERROR, { error: { code: 27 } });
  player.trigger(PLAYBACK_ENDED, {});
  await until(reports, 7);
  player.destroy();
  same('dash.js', reports);
  assert.deepEqual(requests.map((url) => /\bsid="([^"]+)/.exec(query(url))?.[1]), [VIEW]);
});
