/**
 * Reports what an Amazon IVS player does: the life of its view and, every ten seconds, its figures.
 *
 * Figures are since the last report, measured by a monotonic clock; what is not known is left out, because
 * `JSON.stringify` leaves `undefined` out. docs/metrics.md says what is made of them.
 */

const EVERY_MS = 10_000;

/**
 * Watches one view of `player`, from now (the play request) to `end()`.
 *
 * @param {object} options
 * @param {object} options.player of the IVS player SDK
 * @param {{PlayerState: object, PlayerEventType: object}} options.sdk the SDK's own names
 * @param {(event: object) => void} options.report as `makeReporter` gives it
 * @param {string} options.sessionId IVS's `stream_id`, from your backend
 * @param {string} options.channelId the last part of the channel's ARN
 * @param {string} [options.playerId] random, kept by the installation or made for this page
 * @param {object} [options.about] `country`, `device`, `os`, `cdn`: what the page knows about its viewer
 * @param {object} [options.host] clock, timers, ids and document; tests bring their own
 * @returns {{end: () => void}}
 */
export function watchIvsPlayer({ player, sdk, report, sessionId, channelId, playerId, about = {}, host = globalThis }) {
  const { PlayerState, PlayerEventType } = sdk;
  const viewer = playerId ?? host.crypto.randomUUID();
  const viewId = host.crypto.randomUUID();
  const begun = host.performance.now();
  let since = fresh();
  let state = player.getState();
  let entered = begun;
  let started = false;
  let over = false;

  function fresh() {
    return { playing: 0, buffering: 0, stalls: 0, errors: 0, dropped: player.getDroppedFrames?.() };
  }

  /** Adds the time in the state that ends. */
  function leave() {
    const now = host.performance.now();
    if (state === PlayerState.PLAYING) since.playing += now - entered;
    if (state === PlayerState.BUFFERING && started) since.buffering += now - entered;
    entered = now;
  }

  function tell(more = {}) {
    if (over) return;
    leave();
    const quality = player.getQuality();
    const latency = player.getLiveLatency();
    const dropped = player.getDroppedFrames?.();
    report({
      type: 'player_telemetry',
      schemaVersion: 1,
      eventId: host.crypto.randomUUID(),
      sessionId,
      channelId,
      playerId: viewer,
      viewId,
      timestamp: new host.Date(host.Date.now()).toISOString(),
      state: state.toUpperCase(),
      bitrate: quality?.bitrate,
      resolution: quality?.name,
      // The SDK speaks of seconds, and of 0 while it does not know.
      latencyMs: started && latency > 0 ? Math.round(latency * 1000) : undefined,
      playingMs: Math.round(since.playing),
      bufferingMs: Math.round(since.buffering),
      rebufferCount: since.stalls,
      errorCount: since.errors,
      droppedFrames: dropped === undefined ? undefined : Math.max(0, dropped - since.dropped),
      playerVersion: player.getVersion?.(),
      ...about,
      ...more,
    });
    since = fresh();
  }

  function enter(next) {
    leave();
    state = next;
    if (next === PlayerState.PLAYING && !started) {
      started = true;
      tell({ viewEvent: 'start', startupMs: Math.round(host.performance.now() - begun) });
    } else if (next === PlayerState.ENDED) {
      end();
    }
  }

  function fail(error) {
    since.errors += 1;
    const code = { errorCode: String(error?.code ?? error?.type) };
    if (started) tell({ ...code, viewEvent: 'error' });
    else tell({ ...code, viewEvent: 'failure', failureKind: isBusiness(error) ? 'business' : 'technical' });
    finish();
  }

  function stall() {
    if (started) since.stalls += 1;
  }

  function hide() {
    if (host.document?.hidden) tell();
  }

  function end() {
    tell({ viewEvent: 'end', viewStarted: started });
    finish();
  }

  const listeners = [
    ...Object.values(PlayerState).map((next) => [next, () => enter(next)]),
    [PlayerEventType.REBUFFERING, stall],
    [PlayerEventType.ERROR, fail],
  ];
  function finish() {
    over = true;
    host.clearInterval(timer);
    for (const [name, heard] of listeners) player.removeEventListener(name, heard);
    host.document?.removeEventListener('visibilitychange', hide);
  }

  for (const [name, heard] of listeners) player.addEventListener(name, heard);
  host.document?.addEventListener('visibilitychange', hide);
  const timer = host.setInterval(() => tell(), EVERY_MS);
  tell({ viewEvent: 'attempt' });
  // A player that was watched too late is playing already, and will not say so again.
  if (state === PlayerState.PLAYING) enter(state);
  return { end };
}

/** Tells what works as it should (no right to watch, nothing to watch yet, too many viewers) from what broke. */
function isBusiness(error) {
  return [401, 403, 404, 429].includes(Number(error?.code));
}
