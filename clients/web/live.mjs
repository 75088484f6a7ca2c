// Sends reports to a running telemetry API and prints how many it took:
// `node live.mjs http://127.0.0.1:4566/telemetry local SESSION COUNT`.
import { createReporter } from './reporter.js';

const [url, key, sessionId, count] = process.argv.slice(2);
let problems = 0;
const reporter = createReporter({
  url,
  key,
  sessionId,
  channelId: 'ch-web',
  onProblem: (problem) => {
    problems += 1;
    console.error(problem);
  },
});
for (let sequence = 0; sequence < Number(count); sequence += 1) {
  reporter.report({ state: 'PLAYING', playingMs: 10_000, bufferingMs: 0, sequence });
}
for (let tries = 0; tries < 60 && reporter.waiting > 0 && problems === 0; tries += 1) {
  await reporter.flush();
}
if (reporter.waiting > 0 || problems > 0) {
  console.error(`${reporter.waiting} reports were not taken`);
  process.exit(1);
}
console.log(`${count} reports taken`);
