/** Starts the emulator on loopback, from a Python environment of its own, and stops it again. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const VENV = fileURLToPath(new URL('../.venv', import.meta.url));
const REQUIREMENTS = fileURLToPath(new URL('requirements.txt', import.meta.url));
/** It starts in a second; a busy machine may take many. */
const START_ATTEMPTS = 120;
const START_PAUSE_MS = 500;

export interface Emulator {
  readonly endpoint: string;
  stop(): Promise<void>;
}

/** Makes the environment once per version of the requirements. */
function install(): string {
  const python = join(VENV, 'bin', 'python');
  const stamp = join(VENV, 'requirements.txt');
  const wanted = readFileSync(REQUIREMENTS, 'utf8');
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
    execFileSync('python3', ['-m', 'venv', '--clear', VENV], { stdio: 'inherit' });
    execFileSync(python, ['-m', 'pip', 'install', '--quiet', '--requirement', REQUIREMENTS], {
      stdio: 'inherit',
    });
    writeFileSync(stamp, wanted);
  }
  return python;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export async function startMinistack(): Promise<Emulator> {
  const python = install();
  const port = await freePort();
  const home = mkdtempSync(join(tmpdir(), 'ivs-ministack-'));
  const child = spawn(python, ['-m', 'ministack'], {
    cwd: home,
    // Nothing of the caller's environment: no proxies, no credentials, no other emulator's settings.
    env: {
      PATH: process.env['PATH'],
      HOME: home,
      TMPDIR: home,
      BIND_HOST: '127.0.0.1',
      GATEWAY_PORT: String(port),
      LOG_LEVEL: 'ERROR',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const endpoint = `http://127.0.0.1:${port}`;
  const stop = async (): Promise<void> => {
    await terminate(child);
    rmSync(home, { recursive: true, force: true });
  };
  try {
    await ready(endpoint, child);
  } catch (error) {
    await stop();
    throw error;
  }
  return { endpoint, stop };
}

async function ready(endpoint: string, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < START_ATTEMPTS; attempt += 1) {
    if (child.exitCode !== null) {
      throw new Error(`ministack ended with code ${child.exitCode}`);
    }
    const answer = await fetch(`${endpoint}/_ministack/health`).catch(() => undefined);
    if (answer?.ok) {
      return;
    }
    await sleep(START_PAUSE_MS);
  }
  throw new Error(`ministack does not answer on ${endpoint}`);
}

async function terminate(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) {
    return;
  }
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const late = sleep(10_000, 'late', { ref: false });
  if ((await Promise.race([gone, late])) === 'late') {
    child.kill('SIGKILL');
    await gone;
  }
}
