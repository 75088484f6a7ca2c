// One session: what happened to it, and its minutes.

import { clock, duration, node, put, whole } from './base.js';
import { chart } from './chart.js';

const $ = (id) => document.getElementById(id);
const EVERY_MS = 2_000;

const DIMENSIONS = {
  device: 'Device', os: 'System', country: 'Country', playerVersion: 'Player version', cdn: 'Delivered by', rendition: 'Rendition',
};

/** As reports word it. */
const STATUSES = { lost: 'end not reported' };

let shown = null;
let asked = 0;
let cameFrom = null;

export function openSession(id) {
  if (shown === id) return;
  cameFrom = document.activeElement;
  shown = id;
  asked = 0;
  put($('session-title'), id);
  $('session-title').focus();
  window.scrollTo(0, 0);
  refreshSession();
}

export function closeSession() {
  if (shown === null) return;
  shown = null;
  // Back to the link that was followed, for who goes by keyboard.
  if (cameFrom?.isConnected) cameFrom.focus();
}

export async function refreshSession() {
  if (shown === null || document.hidden || Date.now() - asked < EVERY_MS) return;
  asked = Date.now();
  const id = shown;
  try {
    const answer = await fetch(`/session.json?id=${encodeURIComponent(id)}`);
    const body = await answer.text();
    if (shown !== id) return;
    $('session-problem').hidden = answer.ok;
    if (answer.ok) draw(JSON.parse(body));
    else put($('session-problem'), body);
  } catch (error) {
    console.warn(error);
  }
}

function tile(label, value) {
  return node('div', {}, node('dt', {}, label), node('dd', {}, value));
}

function number(value, text = whole) {
  return value === null || value === undefined ? '–' : text(value);
}

function draw(session) {
  const { summary, minutes, timeline } = session;
  put($('session-title'), summary.streamTitle || session.sessionId);
  const parts = [
    session.channelId, summary.streamerUserId, summary.streamQuality, summary.encoder, session.sessionId,
    summary.startedAt && `from ${moment(summary.startedAt * 1000)}`,
    summary.endedAt && `to ${moment(summary.endedAt * 1000)}`,
  ].filter(Boolean);
  const sub = $('session-sub');
  if (sub.shown !== parts.join()) {
    sub.shown = parts.join();
    sub.replaceChildren(parts.join(' · '), ...(session.channelId
      ? [' · ', node('a', { href: `/report?channel=${encodeURIComponent(session.channelId)}` }, 'Report of today')] : []));
  }
  const percent = (ratio) => `${(ratio * 100).toFixed(2)} %`;
  $('session-tiles').replaceChildren(
    tile('Status', STATUSES[summary.status] ?? summary.status ?? 'not reported'),
    tile('Length', duration(session.lengthS)),
    tile('Peak viewers', number(summary.peakViewers)),
    tile('Unique players', number(summary.uniquePlayers)),
    tile('Stalled', number(summary.rebufferRatio, percent)),
    tile('Player errors', number(summary.playerErrors)),
    ...views(summary),
    tile('Chat messages', number(summary.totalChatMessages)),
  );
  const [first, last] = [minutes[0]?.ms ?? Date.now(), minutes.at(-1)?.ms ?? Date.now()];
  const span = { from: first, to: Math.max(last, first + 600_000) };
  const points = (pick) => gaps(minutes.map((minute) => [minute.ms, pick(minute) ?? null]));
  chart($('s-viewers'), { ...span, series: [
    { label: 'Viewers', points: points((m) => m.viewers), area: true }, { label: 'Players', points: points((m) => m.players) },
    { label: 'Views', points: points((m) => m.concurrentViews) }] });
  chart($('s-quality'), { ...span, series: [
    { label: 'Bitrate', unit: 'bit/s', points: points((m) => m.bitrate) },
    { label: 'Frame rate', unit: 'frames/s', points: points((m) => m.frameRate), axis: 'right' }] });
  chart($('s-stalls'), { ...span, series: [
    { label: 'Stalled', unit: '% of watch time', points: points((m) => m.stalledPercent), area: true },
    { label: 'Errors', points: points((m) => m.errors), axis: 'right' }] });
  chart($('s-chat'), { ...span, series: [{ label: 'Messages', unit: 'a minute', points: points((m) => m.chatRate), area: true }] });
  breakDown(session.breakdowns ?? []);
  tell(timeline);
}

/** What became of the views; nothing where players do not tell. */
function views(summary) {
  const known = (label, value, text) => (value === undefined ? [] : [tile(label, number(value, text))]);
  const failures = summary.startFailuresTechnical === undefined
    ? undefined : summary.startFailuresTechnical + summary.playbackFailures;
  return [
    ...known('Experience score', summary.experienceScore, (score) => score.toFixed(1)),
    ...known('Views started', summary.viewStarts),
    ...known('Exits before start', summary.exitsBeforeStart),
    ...known('Views failed', failures),
  ];
}

/** The figures by dimension of the latest minutes, a table each. */
function breakDown(dimensions) {
  $('breakdowns').hidden = dimensions.length === 0;
  const percent = (share) => number(share, (s) => `${(s * 100).toFixed(1)} %`);
  const head = ['Share', 'Stalled', 'Stalls', 'Failed', 'Starts'];
  const row = (of) => node('tr', {}, node('th', { scope: 'row' }, of.value),
    ...[percent(of.shareOfWatchTime), percent(of.rebufferRatio), number(of.stalls), number(of.failures), number(of.starts)]
      .map((text) => node('td', { class: 'num' }, text)));
  $('breakdown-tables').replaceChildren(...dimensions.map(({ dimension, values }) => node('table', { class: 'w-half' },
    node('thead', {}, node('tr', {}, node('th', { scope: 'col' }, DIMENSIONS[dimension] ?? dimension),
      ...head.map((text) => node('th', { scope: 'col', class: 'num' }, text)))),
    node('tbody', {}, ...values.map(row)))));
}

/** A minute that is missing breaks the line. */
function gaps(points) {
  return points.flatMap((point, at) => (at && point[0] - points[at - 1][0] > 60_000 ? [[point[0] - 60_000, null], point] : [point]));
}

function moment(ms) {
  const date = new Date(ms);
  const day = date.toDateString() === new Date().toDateString() ? '' : `${date.toISOString().slice(0, 10)} `;
  return `${day}${clock(ms, true)}`;
}

function tell(timeline) {
  $('timeline-empty').hidden = timeline.length > 0;
  put($('timeline-empty'), 'Nothing was reported but telemetry.');
  const list = $('timeline');
  const drawn = JSON.stringify(timeline);
  if (list.drawn === drawn) return;
  list.drawn = drawn;
  list.replaceChildren(...timeline.map(({ ms, what, detail }) => node('li', {},
    node('time', { datetime: new Date(ms).toISOString() }, moment(ms)),
    node('span', {}, what, ...(detail ? [node('span', { class: 'quiet' }, ` ${detail}`)] : [])))));
}
