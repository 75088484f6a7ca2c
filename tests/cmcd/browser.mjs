// As much of a browser as Shaka Player and dash.js look for when they are loaded and given a video.

const bus = new EventTarget();
for (const name of ['addEventListener', 'removeEventListener', 'dispatchEvent']) {
  globalThis[name] = bus[name].bind(bus);
}
globalThis.window = globalThis;
globalThis.self = globalThis;
globalThis.navigator ??= { userAgent: 'node', vendor: '', platform: '', language: 'en' };
globalThis.location = { href: 'http://127.0.0.1/', protocol: 'http:' };
globalThis.getComputedStyle = () => ({});
globalThis.HTMLMediaElement = class extends EventTarget {};
globalThis.MediaSource = class extends EventTarget {
  static isTypeSupported() {
    return true;
  }
};
const element = () => ({ canPlayType: () => '', style: {} });
globalThis.document = Object.assign(new EventTarget(), { createElement: element, hidden: false });
// Shaka brings it for browsers that lack it, and leaves Node out.
Map.prototype.getOrInsertComputed ??= function getOrInsertComputed(key, compute) {
  if (!this.has(key)) this.set(key, compute(key));
  return this.get(key);
};

/** A `<video>` that plays nothing. */
export function video() {
  const nothing = () => {};
  return Object.assign(new EventTarget(), {
    nodeName: 'VIDEO',
    autoplay: false,
    ended: false,
    paused: true,
    playbackRate: 1,
    buffered: { length: 0 },
    textTracks: Object.assign(new EventTarget(), { length: 0 }),
    remote: new EventTarget(),
    canPlayType: () => '',
    getAttribute: () => null,
    setAttribute: nothing,
    removeAttribute: nothing,
    load: nothing,
    pause: nothing,
    play: async () => {},
  });
}
