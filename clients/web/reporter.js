/**
 * Sends telemetry in batches and keeps each event until the API has answered for it.
 *
 * The retry rule is that of docs/producers.md: the same event ids in every try, pauses of 1, 2, 4 … 60 s,
 * each longer or shorter by up to a half, so that a million pages do not come back at once.
 */

/** Events of one call. The API takes 500; fewer are lost with a page that dies during a call. */
const BATCH_EVENTS = 100;
/** Bytes of one call. Browsers refuse `keepalive` bodies above 64 KiB, counted over all calls in flight. */
const BATCH_BYTES = 60_000;
/** Events kept while nobody answers. */
const KEPT_EVENTS = 500;
/** Age after which an event is dropped: what is older helps nobody who is watching. */
const KEPT_MS = 10 * 60_000;
/** Events of one moment travel together. */
const GATHER_MS = 250;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** A call that takes longer is given up and sent again; its event ids make the repeat harmless. */
const ANSWER_MS = 10_000;

/**
 * @typedef {object} Counts
 * @property {number} stored events that the stream has
 * @property {number} refused events that the API will never take
 * @property {number} dropped events that were kept for too long, or were too many
 */

/**
 * Makes a reporter for one page.
 *
 * @param {object} options
 * @param {string} options.url address of the telemetry API, `…/v1/telemetry`
 * @param {string} options.key value of `x-api-key`; it meters, it is not a secret
 * @param {(words: string) => void} [options.warn] is told what was refused; default: the console
 * @param {object} [options.host] clock, timers, chance and `fetch`; tests bring their own
 * @returns {{report: (event: object) => void, flush: () => Promise<void>, stop: () => void, counts: () => Counts}}
 */
export function makeReporter({ url, key, warn = (words) => console.warn(words), host = globalThis }) {
  /** @type {{text: string, bytes: number, at: number}[]} */
  let waiting = [];
  const counts = { stored: 0, refused: 0, dropped: 0 };
  let pauseMs = FIRST_PAUSE_MS;
  let batchEvents = BATCH_EVENTS;
  let timer;
  let busy = false;
  let stopped = false;

  function later(ms) {
    if (timer === undefined && !stopped) {
      timer = host.setTimeout(() => {
        timer = undefined;
        send();
      }, ms);
    }
  }

  function dropOld() {
    const oldest = host.Date.now() - KEPT_MS;
    const kept = waiting.filter(({ at }) => at >= oldest).slice(-KEPT_EVENTS);
    counts.dropped += waiting.length - kept.length;
    waiting = kept;
  }

  function nextBatch() {
    const batch = [];
    let bytes = 0;
    for (const entry of waiting.slice(0, batchEvents)) {
      bytes += entry.bytes + 1;
      if (batch.length > 0 && bytes > BATCH_BYTES) break;
      batch.push(entry);
    }
    return batch;
  }

  function forget(entries) {
    const done = new Set(entries);
    waiting = waiting.filter((entry) => !done.has(entry));
  }

  async function post(batch) {
    try {
      const answer = await host.fetch(url, {
        method: 'POST',
        keepalive: true,
        headers: { 'content-type': 'application/json', 'x-api-key': key },
        body: `{"records":[${batch.map(({ text }) => text).join(',')}]}`,
        signal: host.AbortSignal.timeout(ANSWER_MS),
      });
      return { status: answer.status, body: await answer.json().catch(() => undefined) };
    } catch {
      return { status: 0, body: undefined };
    }
  }

  /** Returns whether the next batch may go at once. */
  function settle(batch, { status, body }) {
    if (status === 200) {
      counts.stored += batch.length;
      forget(batch);
      batchEvents = BATCH_EVENTS;
      return true;
    }
    if (status === 400) {
      refuse(batch, body);
      return true;
    }
    if (status === 403) {
      warn('telemetry: the key is wrong or revoked (403); nothing more is sent from this page');
      counts.dropped += waiting.length;
      waiting = [];
      stop();
      return false;
    }
    const stored = batch.filter((_, place) => body?.records?.[place]?.stored === true);
    counts.stored += stored.length;
    forget(stored);
    return false;
  }

  /** The API stores nothing of a batch with one malformed event, so a refused batch is halved to find it. */
  function refuse(batch, body) {
    if (batch.length > 1) {
      batchEvents = Math.ceil(batch.length / 2);
      return;
    }
    warn(`telemetry: an event was refused (400): ${body?.error ?? 'no reason given'}: ${batch[0].text}`);
    counts.refused += 1;
    forget(batch);
  }

  async function send() {
    if (busy || stopped) return;
    dropOld();
    const batch = nextBatch();
    if (batch.length === 0) return;
    busy = true;
    const answer = await post(batch);
    busy = false;
    if (settle(batch, answer)) {
      pauseMs = FIRST_PAUSE_MS;
      await send();
      return;
    }
    if (waiting.length > 0) {
      later(pauseMs * (0.5 + host.Math.random()));
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }

  /** Keeps the event and sends it soon. The event is read now: later changes to it are not seen. */
  function report(event) {
    if (stopped) return;
    const text = JSON.stringify(event);
    waiting.push({ text, bytes: new TextEncoder().encode(text).length, at: host.Date.now() });
    dropOld();
    later(GATHER_MS);
  }

  /** Sends what is kept without waiting for a pause to end; for a page that is about to be hidden. */
  async function flush() {
    if (timer !== undefined) host.clearTimeout(timer);
    timer = undefined;
    await send();
  }

  /** Ends all sending; what is kept is lost, so flush first. */
  function stop() {
    stopped = true;
    if (timer !== undefined) host.clearTimeout(timer);
    timer = undefined;
  }

  return { report, flush, stop, counts: () => ({ ...counts }) };
}
