// What every player is asked for, and the files that its reports are held to.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';

export const KEYS = [
  'e', 'ts', 'sid', 'sn', 'cid', 'sta', 'br', 'pb', 'ltc', 'msd', 'bs', 'bsd', 'ec', 'cdn', 'v',
];
export const VIEW = '6e2fb550-c457-11e9-bb97-0800200c9a66';
export const CHANNEL = 'Qw3rTy8UiOp1';
export const EVENTS = ['ps', 't', 'e', 'bc'];
export const ADDRESS = 'http://127.0.0.1/cmcd';
export const MANIFEST = 'http://127.0.0.1/a.mpd';

/** Times differ from run to run, and nothing else does. */
export function same(name, bodies) {
  const url = new URL(`bodies/${name}.txt`, import.meta.url);
  const lines = bodies.map((body) => body.trimEnd()).join('\n');
  const found = `${lines.replaceAll(/\bts=\d+/g, 'ts=1795995795704').replaceAll(/\bmsd=\d+/g, 'msd=812')}\n`;
  if (process.env.UPDATE_BODIES === '1') writeFileSync(url, found);
  assert.equal(found, readFileSync(url, 'utf8'));
}

/** A query of CloudFront's real-time log is the `CMCD` parameter of a request, as it was sent. */
export function query(url) {
  const value = new URL(url).searchParams.get('CMCD');
  assert.ok(value, `${url} has no CMCD`);
  return value;
}

export const soon = () => new Promise((resolve) => setTimeout(resolve, 100));

/** Waits until so many came; the comparison says what is missing if they never do. */
export async function until(came, count) {
  for (let tries = 0; came.length < count && tries < 200; tries += 1) await soon();
}
