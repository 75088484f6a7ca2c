// Sends a player's reports to the telemetry API: in batches, kept with their event ids until they
// are answered, as docs/producers.md asks for. No dependencies; runs in browsers and in Node.

/** Reports that wait at most; the oldest go first. */
export const MAX_WAITING = 500;
/** Reports older than this are not sent any more. */
export const MAX_AGE_MS = 10 * 60_000;
/** Reports of one batch. */
export const MAX_BATCH = 100;
/** A request that outlives its page may carry 64 KiB, the headers of others included. */
export const MAX_BATCH_BYTES = 48 * 1024;
/** Waits between two tries of a batch; each is changed by up to a half, by chance. */
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;

/**
 * Makes a reporter for one view of one stream.
 *
 * @param {object} settings
 * @param {string} settings.url address of `POST …/telemetry`
 * @param {string} settings.key the API key
 * @param {string} settings.sessionId IVS's `stream_id`
 * @param {string} settings.channelId the last part of the channel's ARN
 * @param {string} [settings.playerId] one for each view or installation; a fresh one unless given
 * @param {(problem: string) => void} [settings.onProblem] is told of reports that are given up
 * @param {object} [settings.world] what it does not decide by itself, for tests
 */
export function createReporter(settings) {
  const world = { ...browser(), ...settings.world };
  const { url, key, onProblem = (problem) => console.warn(problem) } = settings;
  const who = {
    sessionId: settings.sessionId,
    channelId: settings.channelId,
    playerId: settings.playerId ?? world.uuid(),
  };
  for (const [name, id] of Object.entries(who)) {
    if (typeof id !== 'string' || id.length < 1 || id.length > 127) {
      throw new TypeError(`${name} has 1 to 127 characters, not ${JSON.stringify(id)}`);
    }
  }
  let waiting = [];
  let waitMs = FIRST_WAIT_MS;
  let timer;
  let sending;
  let stopped = false;

  function forgetOld() {
    const oldest = world.now() - MAX_AGE_MS;
    const kept = waiting.filter((report) => report.madeMs >= oldest).slice(-MAX_WAITING);
    if (kept.length < waiting.length) onProblem(`${waiting.length - kept.length} reports are too old`);
    waiting = kept;
  }

  function batch() {
    let bytes = 0;
    const fits = ({ text }) => (bytes += new TextEncoder().encode(text).length + 1) <= MAX_BATCH_BYTES;
    const end = waiting.slice(0, MAX_BATCH).findIndex((report) => !fits(report));
    return waiting.slice(0, end === -1 ? MAX_BATCH : Math.max(end, 1));
  }

  async function post(reports) {
    try {
      const answer = await world.fetch(url, {
        method: 'POST',
        keepalive: true,
        headers: { 'content-type': 'application/json', 'x-api-key': key },
        body: `{"records":[${reports.map(({ text }) => text).join(',')}]}`,
      });
      const body = answer.status === 503 ? await answer.json().catch(() => undefined) : undefined;
      return { status: answer.status, stored: body?.records };
    } catch {
      return { status: 0 };
    }
  }

  function settle(reports, { status, stored }) {
    const forget = (done) => {
      waiting = waiting.filter((report) => !done.includes(report));
    };
    if (status === 200) {
      forget(reports);
    } else if (status === 403) {
      onProblem('the key is wrong (403): nothing more is sent');
      stopped = true;
      waiting = [];
    } else if (status >= 400 && status < 500 && status !== 408 && status !== 429) {
      onProblem(`${reports.length} reports were refused (${status}) and are given up`);
      forget(reports);
    } else {
      // Those that are in the stream need no second try.
      if (stored?.length === reports.length) forget(reports.filter((_, at) => stored[at].stored));
      return false;
    }
    return true;
  }

  async function send() {
    while (waiting.length > 0 && !stopped) {
      forgetOld();
      const reports = batch();
      if (reports.length === 0) return;
      if (settle(reports, await post(reports))) {
        waitMs = FIRST_WAIT_MS;
      } else {
        timer = world.setTimeout(() => {
          timer = undefined;
          start();
        }, waitMs * (0.5 + world.random()));
        waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
        return;
      }
    }
  }

  function start() {
    if (sending === undefined && timer === undefined) {
      sending = send().finally(() => {
        sending = undefined;
      });
    }
    return sending ?? Promise.resolve();
  }

  return {
    playerId: who.playerId,

    /** Sends a report: what happened since the last one. Members that are not known are left out. */
    report(figures) {
      if (stopped) return;
      const madeMs = world.now();
      const event = {
        type: 'player_telemetry',
        schemaVersion: 1,
        eventId: world.uuid(),
        ...who,
        timestamp: new Date(madeMs).toISOString(),
        ...figures,
      };
      waiting.push({ madeMs, text: JSON.stringify(event) });
      forgetOld();
      start();
    },

    /** Tries at once what waits, without waiting for the pause to end: the page is being left. */
    flush() {
      if (timer !== undefined) world.clearTimeout(timer);
      timer = undefined;
      return start();
    },

    /** How many reports wait. */
    get waiting() {
      return waiting.length;
    },
  };
}

function browser() {
  return {
    fetch: (...request) => globalThis.fetch(...request),
    now: () => Date.now(),
    random: () => Math.random(),
    uuid: () => globalThis.crypto.randomUUID(),
    setTimeout: (run, ms) => globalThis.setTimeout(run, ms),
    clearTimeout: (timer) => globalThis.clearTimeout(timer),
  };
}
