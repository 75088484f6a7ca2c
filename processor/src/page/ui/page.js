// The page: one stream of snapshots from the server, drawn in place so that focus and scrolling stay.

import { clock, duration, node, put, short, whole } from './base.js';
import { chart, sparkline } from './chart.js';
import { closeSession, openSession, refreshSession } from './session.js';

const $ = (id) => document.getElementById(id);
/** Without a snapshot for this long the figures are old, and the page says so. */
const STALE_MS = 8_000;
const ROWS_SHOWN = 100;

let latest = null;
let received = 0;
let channel = null;
let alarmStates = new Map();

function chip(state, text) {
  return node('span', { class: 'chip', 'data-state': state }, text);
}

/** Makes a table's rows those of `items`, keeping the row of each key. */
function rows(table, items, key, cells) {
  const body = table.tBodies[0];
  const labels = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const old = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  items.forEach((item, at) => {
    const id = key(item);
    let row = old.get(id);
    old.delete(id);
    if (!row) {
      row = node('tr', { role: 'row', 'data-key': id });
      row.append(...labels.map((label) => node('td', { role: 'cell', 'data-label': label })));
    }
    cells(item).forEach(({ content, of, kind = '' }, column) => {
      const cell = row.cells[column];
      const signature = of ?? content;
      if (cell.className !== kind) cell.className = kind;
      if (cell.signature === signature) return;
      cell.signature = signature;
      cell.replaceChildren(...(Array.isArray(content) ? content : [content]));
    });
    if (body.rows[at] !== row) body.insertBefore(row, body.rows[at] ?? null);
  });
  old.forEach((row) => row.remove());
  table.hidden = items.length === 0;
}

/** A cell whose nodes are made again only when what they show has changed. */
function cell(content, kind, of) {
  return { content: typeof content === 'string' ? content : content(), kind, of: of ?? content };
}

function lively(stream, now) {
  const title = stream.title || stream.channelId || stream.sessionId;
  const trend = stream.trend.map(([ms, value]) => [ms, value]);
  const flags = [];
  if (stream.lowFrameRate) flags.push(['bad', 'low frame rate']);
  if (flags.length === 0 && stream.bitrate !== null) flags.push(['good', 'good']);
  const ingest = [
    stream.bitrate === null ? null : `${(stream.bitrate / 1e6).toFixed(1)} Mbit/s`,
    stream.frameRate === null ? null : `${Number(stream.frameRate.toFixed(1))} fps`,
  ].filter(Boolean).join(', ');
  const stalls = stream.stalledPercent === null ? '–' : `${stream.stalledPercent.toFixed(1)} %`;
  const bad = stream.stalledPercent >= 2 ? 'num bad' : 'num';
  return [
    cell(() => [
      node('a', { href: `#session/${encodeURIComponent(stream.sessionId)}` }, title),
      node('span', { class: 'sub' }, [stream.channelId, stream.streamer].filter(Boolean).join(' · ')),
    ], 'lead', `${title}|${stream.channelId}|${stream.streamer}`),
    cell(stream.viewers === null ? '–' : whole(stream.viewers), 'num big'),
    cell(() => sparkline(trend, `Viewers over 30 minutes, peak ${whole(stream.peakViewers ?? 0)}`), '', JSON.stringify(trend)),
    cell(stream.startedMs ? duration((now - stream.startedMs) / 1000) : 'not known yet', 'keep'),
    cell(() => [...flags.map(([state, text]) => chip(state, text)), node('span', { class: 'sub' }, ingest)], 'keep',
      JSON.stringify([flags, ingest])),
    cell(stalls, bad),
    cell(stream.chatRate === null ? '–' : `${short(Number(stream.chatRate.toFixed(0)))}/min`, 'num'),
  ];
}

/** A text in which backquotes mark what is typed. */
function marked(text) {
  return text.split('`').map((part, at) => (at % 2 ? node('code', {}, part) : part));
}

const STATES = { ALARM: ['bad', 'ALARM'], OK: ['good', 'OK'], INSUFFICIENT_DATA: ['none', 'no data'] };

function alarm(one, now) {
  const [state, text] = STATES[one.state] ?? ['none', one.state];
  return [
    cell(() => chip(state, text), '', text),
    cell(() => [one.name, node('span', { class: 'sub' }, ...marked(one.description)), node('span', { class: 'sub' }, one.reason)],
      'lead', `${one.name}|${one.description}|${one.reason}`),
    cell(one.rule),
    cell(one.sinceMs ? `${duration((now - one.sinceMs) / 1000)} (${clock(one.sinceMs)})` : '–', 'keep'),
    cell(() => (one.runbook ? node('a', { href: one.runbook, 'aria-label': `Runbook of ${one.name}` }, 'Runbook') : '–'), 'keep',
      one.runbook ?? ''),
  ];
}

function shard(one) {
  const task = one.task;
  const lag = task ? duration(task.lagMs / 1000) : '–';
  return [
    cell(one.shard, 'mono lead'),
    cell(one.owner ?? 'nobody', 'mono'),
    cell(one.state),
    cell(task && task.lagMs < 1000 ? `${task.lagMs} ms` : lag, 'num'),
    cell(task ? `${whole(task.epochs)} done, ${task.stage}` : '–'),
    cell(task ? task.rates.readPerS.toFixed(1) : '–', 'num'),
  ];
}

function tiles(state) {
  put($('tile-viewers'), whole(state.totals.viewers));
  put($('tile-streams'), whole(state.totals.streams));
  const firing = state.alarms.filter((one) => one.state === 'ALARM').length;
  put($('tile-alarms'), state.alarms.length === 0 ? '–' : firing === 0 ? 'none' : `${firing} of ${state.alarms.length}`);
  $('tile-alarms').dataset.state = firing ? 'bad' : '';
  const behind = state.behindMs;
  put($('tile-behind'), behind === null ? '–' : behind < 10_000 ? `${(behind / 1000).toFixed(1)} s` : duration(behind / 1000));
  document.title = firing ? `(${firing}) Live streams` : 'Live streams';
}

function announce(alarms) {
  const said = [];
  for (const { name, state } of alarms) {
    const before = alarmStates.get(name);
    if (before && before !== state) said.push(`${name} is now ${STATES[state]?.[1] ?? state}`);
  }
  alarmStates = new Map(alarms.map(({ name, state }) => [name, state]));
  if (said.length) put($('announce'), said.join('. '));
}

function fleet({ worker, ready, problems }) {
  if (!worker) {
    put($('fleet-summary'), 'No worker runs in this program.');
    $('fleet').hidden = true;
    return;
  }
  const { totals, rates, fleet: held } = worker;
  put($('fleet-summary'), [
    `${worker.id}: ${ready ? 'ready' : `not ready (${problems.join('; ')})`}`,
    `${held.held} of ${worker.shards.length} shards held here`,
    `${whole(totals.read)} records committed: ${whole(totals.accepted)} accepted, ${whole(totals.duplicate)} duplicate, `
      + `${whole(totals.rejected)} rejected`,
    `${rates.readPerS.toFixed(1)} records/s`,
    `${whole(totals.epochs)} epochs`,
  ].join(' · '));
  rows($('fleet'), worker.shards, (one) => one.shard, shard);
}

let rejectsShown = '';
function rejects(list) {
  const shown = JSON.stringify(list);
  if (shown === rejectsShown) return;
  rejectsShown = shown;
  $('rejects-empty').hidden = list.length > 0;
  put($('rejects-empty'), 'None since this worker started.');
  const open = new Set([...document.querySelectorAll('#rejects details[open]')].map((one) => one.dataset.key));
  $('rejects').replaceChildren(...list.flatMap(({ reason, count, examples }) => [
    node('h3', {}, `${reason}: ${whole(count)}`),
    ...examples.map(({ atMs, shard: from, detail, text }, at) => {
      const key = `${reason} ${at}`;
      return node('details', { class: 'example', 'data-key': key, ...(open.has(key) && { open: '' }) },
        node('summary', {}, `${clock(atMs, true)}, ${from}${detail ? `: ${detail}` : ''}`), node('pre', {}, text));
    }),
  ]));
}

function channels(list) {
  const select = $('channel');
  const ids = [...new Set(list)];
  if (channel === null && ids.length) channel = ids[0];
  if (channel !== null && !ids.includes(channel)) ids.push(channel);
  const shown = ids.join('\n');
  if (select.shown !== shown) {
    select.shown = shown;
    select.replaceChildren(...ids.map((id) => node('option', { value: id }, id)));
  }
  select.value = channel ?? '';
  select.parentElement.hidden = ids.length === 0;
}

function show(state) {
  latest = state;
  received = Date.now();
  put($('where'), `${state.stream} · ${state.endpoint} · ${clock(state.atMs, true)}`);
  put($('version'), `Version ${state.version}.`);
  tiles(state);
  const streams = state.live.slice(0, ROWS_SHOWN);
  rows($('live'), streams, (one) => one.sessionId, (one) => lively(one, state.atMs));
  $('live-empty').hidden = streams.length > 0;
  put($('live-empty'), 'Nothing is live.');
  $('live-more').hidden = state.totals.streams <= streams.length;
  put($('live-more'), `The ${streams.length} streams with the most viewers of ${whole(state.totals.streams)}.`);
  rows($('alarms'), state.alarms, (one) => one.name, (one) => alarm(one, state.atMs));
  $('alarms-empty').hidden = state.alarms.length > 0;
  put($('alarms-empty'), 'CloudWatch has none of the alarms.');
  announce(state.alarms);
  channels(state.channels);
  fleet(state.fleet);
  rejects(state.rejects);
  $('problems').replaceChildren(...state.problems.map((text) => node('p', { class: 'banner' }, text)));
  refreshSession();
}

function connection(state, text) {
  $('connection').dataset.state = state;
  put($('connection'), text);
}

function listen() {
  const source = new EventSource('/events');
  source.onmessage = ({ data }) => {
    show(JSON.parse(data));
    connection('good', 'live');
  };
  source.onerror = () => {
    // The browser connects again by itself, unless it was refused.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 3_000);
  };
}

setInterval(() => {
  const age = Date.now() - received;
  if (received && age > STALE_MS) connection('bad', `no news for ${duration(age / 1000)}`);
}, 1_000);

/** What is drawn before any channel is known. */
const NOTHING = { now: { all: [], channel: [] }, day: { all: [], channel: [] }, chat: { channel: [], busiest: [] },
  quality: { bitrate: [], frameRate: [], ingestFrameRate: [] }, sessions: [], toMs: 0 };

/** The dashboard's widgets have a pace of their own: CloudWatch's. */
async function widgets() {
  let pause = 2_000;
  if (latest && channel === null) draw(NOTHING);
  if (!document.hidden && !$('overview').hidden && channel !== null) {
    try {
      const answer = await fetch(`/widgets.json?channel=${encodeURIComponent(channel)}`);
      if (!answer.ok) throw new Error(await answer.text());
      const drawn = await answer.json();
      pause = drawn.refreshMs;
      draw(drawn);
    } catch (error) {
      console.warn(error);
      pause = 5_000;
    }
  }
  clearTimeout(widgets.next);
  widgets.next = setTimeout(widgets, latest ? pause : 200);
}

function draw({ now, day, quality, chat, sessions, toMs }) {
  const hours = (count) => ({ from: toMs - count * 3_600_000, to: toMs });
  chart($('w-now'), { ...hours(1), series: [
    { label: 'All channels', points: now.all, area: true }, { label: 'Channel', points: now.channel }] });
  chart($('w-day'), { ...hours(24), series: [
    { label: 'All channels', points: day.all, area: true }, { label: 'Channel', points: day.channel }] });
  chart($('w-quality'), { ...hours(1), series: [
    { label: 'Bitrate', unit: 'bit/s', points: quality.bitrate },
    { label: 'Frame rate', unit: 'frames/s', points: quality.frameRate, axis: 'right' },
    { label: 'IVS ingest', unit: 'frames/s', points: quality.ingestFrameRate, axis: 'right' }] });
  chart($('w-chat'), { ...hours(6), series: [
    { label: 'Channel', points: chat.channel, area: true }, { label: 'Busiest channel', points: chat.busiest }] });
  let list = $('w-sessions').querySelector('dl');
  if (!list) $('w-sessions').append(list = node('dl', { class: 'figures' }), node('p', { class: 'empty' }, 'No data yet.'));
  $('w-sessions').querySelector('.empty').hidden = sessions.length > 0;
  list.replaceChildren(...sessions.map(({ label, value, unit }) => node('div', {}, node('dt', {}, label),
    node('dd', {}, value === null ? '–' : unit === 'Seconds' ? duration(value) : short(value)))));
}

$('channel').addEventListener('change', (event) => {
  channel = event.target.value;
  widgets();
});

function route() {
  const [, id] = location.hash.match(/^#session\/(.+)$/) ?? [];
  $('overview').hidden = Boolean(id);
  $('session').hidden = !id;
  if (id) openSession(decodeURIComponent(id));
  else closeSession();
}

$('back').addEventListener('click', (event) => {
  event.preventDefault();
  if (history.length > 1) history.back();
  else location.hash = '';
});
window.addEventListener('hashchange', route);
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !$('session').hidden) $('back').click();
});
route();
listen();
widgets();
