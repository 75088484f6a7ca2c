// Reports on a player of the Amazon IVS player SDK: every ten seconds and when something happens.

/** Between two reports while nothing happens. */
export const EVERY_MS = 10_000;

/**
 * Watches a player until the returned function is called.
 *
 * @param {object} player of the IVS player SDK
 * @param {object} sdk its `PlayerState` and `PlayerEventType`
 * @param {{ report: (figures: object) => void, flush: () => void }} reporter
 * @param {object} [world] clock, timers and document, for tests
 */
export function watchPlayer(player, { PlayerState, PlayerEventType }, reporter, world = globalThis) {
  const now = () => world.performance.now();
  const fresh = () => ({ playingMs: 0, bufferingMs: 0, rebufferCount: 0, errorCount: 0 });
  const started = now();
  let hasPlayed = false;
  let since = fresh();
  let state = player.getState();
  let entered = now();

  function leave() {
    const spent = now() - entered;
    if (state === PlayerState.PLAYING) since.playingMs += spent;
    // Until the first frame it is start-up, which is told by itself.
    if (state === PlayerState.BUFFERING && hasPlayed) since.bufferingMs += spent;
    entered = now();
  }

  function report(more = {}) {
    leave();
    const quality = player.getQuality();
    const latency = player.getLiveLatency();
    reporter.report({
      state: state.toUpperCase(),
      bitrate: quality?.bitrate || undefined,
      resolution: quality?.name || undefined,
      latencyMs: latency > 0 ? Math.round(latency * 1_000) : undefined,
      ...since,
      playingMs: Math.round(since.playingMs),
      bufferingMs: Math.round(since.bufferingMs),
      ...more,
    });
    since = fresh();
  }

  function enter(next) {
    leave();
    state = next;
    if (next === PlayerState.PLAYING && !hasPlayed) {
      hasPlayed = true;
      report({ startupMs: Math.round(now() - started) });
    } else if (next === PlayerState.ENDED) {
      report();
    }
  }

  const listeners = [
    ...Object.values(PlayerState).map((next) => [next, () => enter(next)]),
    [
      PlayerEventType.REBUFFERING,
      () => {
        since.rebufferCount += 1;
      },
    ],
    [
      PlayerEventType.ERROR,
      (error) => {
        since.errorCount += 1;
        report({ errorCode: String(error?.type ?? 'unknown') });
      },
    ],
  ];
  for (const [event, listener] of listeners) player.addEventListener(event, listener);
  const timer = world.setInterval(() => report(), EVERY_MS);
  const onHidden = () => {
    if (!world.document.hidden) return;
    report();
    reporter.flush();
  };
  world.document.addEventListener('visibilitychange', onHidden);

  return () => {
    report();
    reporter.flush();
    world.clearInterval(timer);
    world.document.removeEventListener('visibilitychange', onHidden);
    for (const [event, listener] of listeners) player.removeEventListener(event, listener);
  };
}
