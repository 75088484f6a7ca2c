// The reports that players write today, by their own code, are those that the decoder's tests read
// (bodies/*.txt). UPDATE_BODIES=1 writes them anew after a player was updated.
//
// Shaka 5.2 and dash.js 5.2 carry the reporter of the Common Media Library, which is asked here by itself; what
// they make of it is in `shaka.test.mjs` and `dash.test.mjs`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CmcdReporter } from '@svta/cml-cmcd';
import { ADDRESS, CHANNEL, EVENTS, KEYS, VIEW, same, soon } from './reports.mjs';

/** Takes what a player would post. */
function collector() {
  const bodies = [];
  const post = async ({ method, headers, body }) => {
    assert.equal(method, 'POST');
    assert.equal(headers['Content-Type'], 'application/cmcd');
    bodies.push(body.trimEnd());
    return { status: 200 };
  };
  return { bodies, post };
}

test('hls.js', async () => {
  globalThis.self = globalThis;
  const { default: Hls } = await import('hls.js');
  const { bodies, post } = collector();
  const target = { url: ADDRESS, version: 2, interval: 10, batchSize: 1, events: EVENTS, includeKeys: KEYS };
  const hls = new Hls({
    cmcd: { version: 2, sessionId: VIEW, contentId: CHANNEL, loader: post, eventTargets: [target] },
  });
  const media = Object.assign(new EventTarget(), { autoplay: false, ended: false, playbackRate: 1 });
  hls.trigger(Hls.Events.MANIFEST_LOADING, { url: 'http://127.0.0.1/a.m3u8' });
  hls.cmcdController.onMediaAttaching(Hls.Events.MEDIA_ATTACHING, { media });
  for (const event of ['play', 'playing', 'waiting', 'playing']) media.dispatchEvent(new Event(event));
  hls.cmcdController.onError(Hls.Events.ERROR, { fatal: true, details: 'fragLoadError' });
  await soon();
  hls.cmcdController.destroy();
  same('hls.js', bodies);
});

test('the Common Media Library', async () => {
  const { bodies, post } = collector();
  const target = { url: ADDRESS, version: 2, interval: 10, batchSize: 1, events: EVENTS, enabledKeys: KEYS };
  const reporter = new CmcdReporter(
    { sid: VIEW, cid: CHANNEL, version: 2, transmissionMode: 'query', enabledKeys: KEYS, eventTargets: [target] },
    post,
  );
  reporter.start();
  reporter.update({ sta: 's', cdn: 'ivs' });
  reporter.update({ sta: 'p', msd: 812, br: [3000], ltc: 2300 });
  reporter.update({ sta: 'r', bs: true });
  reporter.update({ sta: 'p', bs: undefined, bsd: [400] });
  reporter.recordEvent('t', {});
  reporter.recordEvent('e', { ec: ['E1'] });
  reporter.update({ sta: 'e' });
  await soon();
  reporter.stop();
  same('common-media-library', bodies);
});
