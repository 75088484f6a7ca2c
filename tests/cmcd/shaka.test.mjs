// Shaka Player itself: its CMCD manager, from its own state machine and video events to the request.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { video } from './browser.mjs';
import { ADDRESS, CHANNEL, EVENTS, KEYS, MANIFEST, VIEW, query, same, until } from './reports.mjs';

// The release build is the same code with its assertions taken out and its names shortened.
const shaka = createRequire(import.meta.url)('shaka-player/dist/shaka-player.compiled-es2021.debug.js');

test('Shaka Player', async () => {
  const [reports, requests] = [[], []];
  const { AbortableOperation, FakeEvent } = shaka.util;
  shaka.net.NetworkingEngine.registerScheme('http', (uri, { method, headers, body }) => {
    if (uri !== ADDRESS) {
      requests.push(uri);
      return AbortableOperation.notAbortable(new Promise(() => {}));
    }
    assert.deepEqual([method, headers['Content-Type']], ['POST', 'application/cmcd']);
    reports.push(new TextDecoder().decode(body));
    return AbortableOperation.completed({ uri, originalUri: uri, data: new ArrayBuffer(0), headers: {} });
  }, shaka.net.NetworkingEngine.PluginPriority.APPLICATION);
  const player = new shaka.Player();
  const target = { url: ADDRESS, enabled: true, interval: 10, batchSize: 1, events: EVENTS, includeKeys: KEYS };
  player.configure({
    cmcd: { enabled: true, version: 2, sessionId: VIEW, contentId: CHANNEL, eventTargets: [target] },
  });
  const media = video();
  await player.attach(media, false);
  player.load(MANIFEST).catch(() => {});
  await until(requests, 1);
  media.dispatchEvent(new Event('playing'));
  for (const buffering of [true, false]) {
    player.dispatchEvent(new FakeEvent('buffering', new Map([['buffering', buffering]])));
  }
  media.dispatchEvent(new Event('ended'));
  await until(reports, 6);
  same('shaka-player', reports);
  assert.deepEqual(requests.map((url) => /\bsid="([^"]+)/.exec(query(url))?.[1]), [VIEW]);
});
