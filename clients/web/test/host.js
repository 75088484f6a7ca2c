/** A page's surroundings under a test's control: time stands still until `advance`. */
export class Host {
  #now = Date.parse('2026-03-01T12:00:00Z');
  #timers = new Map();
  #id = 0;
  calls = [];
  answers = [];
  #visibility = new Set();
  document = {
    hidden: false,
    addEventListener: (_, heard) => this.#visibility.add(heard),
    removeEventListener: (_, heard) => this.#visibility.delete(heard),
  };

  Math = { random: () => 0.5 };
  AbortSignal = AbortSignal;
  performance = { now: () => this.#now };
  crypto = { randomUUID: () => `id-${++this.#id}` };

  Date = class extends Date {};

  constructor() {
    this.Date.now = () => this.#now;
  }

  setTimeout = (run, ms) => this.#keep({ run, due: this.#now + ms });
  setInterval = (run, ms) => this.#keep({ run, due: this.#now + ms, every: ms });
  clearTimeout = (id) => this.#timers.delete(id);
  clearInterval = this.clearTimeout;

  #keep(timer) {
    this.#timers.set(++this.#id, timer);
    return this.#id;
  }

  timers() {
    return this.#timers.size;
  }

  /** Answers with the next of `answers`, by default 200; an error stands for a network that is away. */
  fetch = async (url, request) => {
    const events = JSON.parse(request.body).records;
    this.calls.push({ url, request, events, at: this.#now });
    const next = this.answers.shift() ?? { status: 200 };
    const answer = typeof next === 'function' ? next(events) : next;
    if (answer instanceof Error) throw answer;
    return { status: answer.status, json: async () => answer.body ?? {} };
  };

  async advance(ms) {
    const until = this.#now + ms;
    for (;;) {
      const next = [...this.#timers].filter(([, { due }]) => due <= until).sort(([, a], [, b]) => a.due - b.due)[0];
      if (next === undefined) break;
      const [id, timer] = next;
      this.#now = timer.due;
      if (timer.every === undefined) this.#timers.delete(id);
      else timer.due += timer.every;
      timer.run();
      await settled();
    }
    this.#now = until;
    await settled();
  }

  hide() {
    this.document.hidden = true;
    for (const heard of this.#visibility) heard();
  }
}

/** Lets everything that waits for promises alone run to its end. */
async function settled() {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((done) => setImmediate(done));
}
