/**
 * Everything that may differ between stages, as typed code. Names, tables, rules, metrics and
 * thresholds do not differ and live in `schemas/`.
 */

export type StreamConfig =
  | { readonly mode: 'on-demand'; readonly retentionHours: number }
  | { readonly mode: 'provisioned'; readonly retentionHours: number; readonly shards: number };

export type Subscription =
  | { readonly protocol: 'email'; readonly endpoint: string }
  | { readonly protocol: 'https'; readonly endpoint: string }
  | { readonly protocol: 'sms'; readonly endpoint: string };

/** AWS services reached through an interface endpoint instead of the NAT gateway. */
export type InterfaceEndpoint = 'kinesis' | 'monitoring' | 'events' | 'logs' | 'ecr' | 'sts';

export interface NetworkConfig {
  readonly natGateways: number;
  readonly interfaceEndpoints: readonly InterfaceEndpoint[];
}

export interface WorkerConfig {
  /** CPU units; 1,024 are one vCPU. */
  readonly cpu: number;
  readonly memoryMib: number;
  /** At least two, so that a lost task costs seconds of lag and not an outage. */
  readonly minTasks: number;
  /** More tasks than shards would idle. */
  readonly maxTasks: number;
  readonly cpuTargetPercent: number;
  /** Add tasks while some shard is read later than this; far below the alarm's threshold. */
  readonly lagScaleOutMs: number;
  /** How long a stopping worker may take to close its epochs and hand over its shards. */
  readonly drainSeconds: number;
  /** When ECS kills a stopping task; must leave room above the drain deadline. */
  readonly stopTimeoutSeconds: number;
  /** Own 2 MB/s per shard and push delivery, for a price per shard-hour and GB. */
  readonly enhancedFanOut: boolean;
  /** One worker asks IVS for events that never came, and puts them into the stream. */
  readonly reconcile: boolean;
  /** Figures of viewers that CloudWatch gets by these dimensions too, for a price per value and channel. */
  readonly dimensions: readonly string[];
  readonly logDays: 7 | 30 | 90;
  readonly logLevel: 'info' | 'debug';
}

export interface StorageConfig {
  /** When DynamoDB deletes rows of the two data tables; 0 keeps them. */
  readonly rowDays: number;
  readonly archiveInfrequentAccessDays: number;
  readonly archiveDays: number;
  readonly rejectDays: number;
  readonly eventArchiveDays: number;
}

export interface TelemetryApiConfig {
  readonly requestsPerSecond: number;
  readonly burst: number;
  readonly requestsPerDay: number;
  /** Origin of the pages that embed the player; never `*`. */
  readonly allowedOrigin: string;
}

export interface ReportConfig {
  /** IANA zone in which days, weeks and months begin. */
  readonly timeZone: string;
  /** Channel ids to report on; empty means every channel that was live in the period. */
  readonly channels: readonly string[];
}

export interface AlertConfig {
  readonly subscriptions: readonly Subscription[];
  /** Where the alarm articles are read; alarm descriptions link `<base>/<alarm>.md`. */
  readonly runbookBase?: string;
}

export interface StageConfig {
  readonly stage: string;
  /** Keep data when the stack goes and refuse to delete tables. */
  readonly protectData: boolean;
  readonly stream: StreamConfig;
  readonly network: NetworkConfig;
  readonly worker: WorkerConfig;
  readonly storage: StorageConfig;
  /** Absent: players reach the stream through your own backend. */
  readonly telemetryApi?: TelemetryApiConfig;
  readonly reports: ReportConfig;
  readonly alerts: AlertConfig;
}

const dev: StageConfig = {
  stage: 'dev',
  protectData: false,
  stream: { mode: 'provisioned', shards: 1, retentionHours: 24 },
  network: { natGateways: 1, interfaceEndpoints: [] },
  worker: {
    cpu: 256,
    memoryMib: 512,
    minTasks: 2,
    maxTasks: 2,
    cpuTargetPercent: 60,
    lagScaleOutMs: 60_000,
    drainSeconds: 60,
    stopTimeoutSeconds: 90,
    enhancedFanOut: false,
    reconcile: false,
    dimensions: [],
    logDays: 7,
    logLevel: 'debug',
  },
  storage: {
    rowDays: 30,
    archiveInfrequentAccessDays: 30,
    archiveDays: 60,
    rejectDays: 14,
    eventArchiveDays: 14,
  },
  reports: { timeZone: 'Asia/Tokyo', channels: [] },
  alerts: { subscriptions: [] },
};

const prod: StageConfig = {
  stage: 'prod',
  protectData: true,
  stream: { mode: 'on-demand', retentionHours: 72 },
  // The workers read every byte of the stream: an endpoint costs $0.01 a GB where NAT costs $0.045.
  network: { natGateways: 2, interfaceEndpoints: ['kinesis', 'monitoring', 'logs'] },
  worker: {
    cpu: 1024,
    memoryMib: 2048,
    minTasks: 2,
    maxTasks: 8,
    cpuTargetPercent: 60,
    lagScaleOutMs: 60_000,
    drainSeconds: 90,
    stopTimeoutSeconds: 120,
    enhancedFanOut: false,
    reconcile: false,
    dimensions: [],
    logDays: 30,
    logLevel: 'info',
  },
  storage: {
    rowDays: 400,
    archiveInfrequentAccessDays: 30,
    archiveDays: 400,
    rejectDays: 90,
    eventArchiveDays: 90,
  },
  reports: { timeZone: 'Asia/Tokyo', channels: [] },
  alerts: { subscriptions: [] },
};

export const STAGES: Readonly<Record<string, StageConfig>> = { dev, prod };

/** How much the telemetry API takes, wherever there is one. */
const TELEMETRY_LIMITS = { requestsPerSecond: 1_000, burst: 2_000, requestsPerDay: 50_000_000 };

/** What is yours and not the stage's: addresses and choices, from the command line, `-c name=value`. */
export interface Addresses {
  /** Who is told of alarms, separated by commas: `email:you@your.org`, `sms:+81...`, `https://...`. */
  readonly alerts?: string;
  /** Absolute address of the folder in which the alarm articles are read. */
  readonly runbookBase?: string;
  /** Origin of the pages that embed the player; without it there is no telemetry API. */
  readonly telemetryOrigin?: string;
  /** `true`: a worker asks IVS for events that never came. */
  readonly reconcile?: string;
  /** By what CloudWatch tells viewers apart, separated by commas: `device,country`. */
  readonly dimensions?: string;
}

/** The checked configuration of a stage; throws on an unknown stage or an impossible value. */
export function stageConfig(stage: string, addresses: Addresses = {}): StageConfig {
  const base = STAGES[stage];
  if (base === undefined) {
    throw new Error(`unknown stage "${stage}", have: ${Object.keys(STAGES).join(', ')}`);
  }
  const { alerts = '', runbookBase, telemetryOrigin, reconcile = String(base.worker.reconcile) } = addresses;
  const { dimensions = base.worker.dimensions.join() } = addresses;
  if (reconcile !== 'true' && reconcile !== 'false') {
    throw new Error(`reconcile is "${reconcile}": write true or false`);
  }
  const config: StageConfig = {
    ...base,
    worker: { ...base.worker, reconcile: reconcile === 'true', dimensions: parts(dimensions) },
    alerts: {
      ...base.alerts,
      subscriptions: [...base.alerts.subscriptions, ...parts(alerts).map(subscription)],
      ...(runbookBase && { runbookBase: runbookBase.replace(/\/+$/, '') }),
    },
    ...(telemetryOrigin && { telemetryApi: { ...TELEMETRY_LIMITS, allowedOrigin: telemetryOrigin } }),
  };
  checkStage(config);
  return config;
}

/** The parts of a text between commas. */
function parts(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);
}

function subscription(text: string): Subscription {
  const [, protocol, endpoint] = /^(email|sms):(.*)$/.exec(text) ?? ['', 'https', text];
  return { protocol: protocol as Subscription['protocol'], endpoint: endpoint ?? '' };
}

/** Throws with every problem found, so that one synth shows them all. */
export function checkStage(config: StageConfig): void {
  const problems = [...streamProblems(config), ...workerProblems(config.worker), ...edgeProblems(config)];
  if (problems.length > 0) {
    throw new Error(`stage "${config.stage}": ${problems.join('; ')}`);
  }
}

function streamProblems({ stream, worker }: StageConfig): string[] {
  const problems: string[] = [];
  // Kinesis keeps records for a day at least and a year at most.
  if (stream.retentionHours < 24 || stream.retentionHours > 8_760) {
    problems.push('stream.retentionHours must be 24 to 8760');
  }
  if (stream.mode === 'provisioned' && stream.shards < 1) {
    problems.push('stream.shards must be at least 1');
  }
  if (worker.lagScaleOutMs <= 0) {
    problems.push('worker.lagScaleOutMs must be positive');
  }
  return problems;
}

/**
 * Keys of the program's `[breakdowns]`, of which `cloudwatch.dimensions` is a choice. `player_version` is not
 * among them: it has no values unless a file of yours lists them, and the worker would refuse to start.
 */
export const DIMENSIONS: readonly string[] = ['device', 'os', 'country', 'cdn', 'rendition'];

function workerProblems(worker: WorkerConfig): string[] {
  const problems: string[] = [];
  if (worker.minTasks < 2) {
    problems.push('worker.minTasks must be at least 2');
  }
  if (worker.maxTasks < worker.minTasks) {
    problems.push('worker.maxTasks must not be below worker.minTasks');
  }
  if (worker.stopTimeoutSeconds <= worker.drainSeconds) {
    problems.push('worker.stopTimeoutSeconds must exceed worker.drainSeconds');
  }
  // Fargate ends a stopping task after two minutes, whatever is asked for.
  if (worker.stopTimeoutSeconds > 120) {
    problems.push('worker.stopTimeoutSeconds must not exceed 120');
  }
  const unknown = worker.dimensions.filter((name) => !DIMENSIONS.includes(name));
  for (const name of unknown) {
    problems.push(`"${name}" is not a dimension of viewers, have: ${DIMENSIONS.join(', ')}`);
  }
  if (new Set(worker.dimensions).size < worker.dimensions.length) {
    problems.push('worker.dimensions has one twice');
  }
  return problems;
}

const ADDRESS: Readonly<Record<Subscription['protocol'], RegExp>> = {
  email: /^[^@\s]+@[^@\s]+\.[^@\s]+$/,
  https: /^https:\/\/[^\s/]+/,
  sms: /^\+[0-9]{6,15}$/,
};

function edgeProblems({ alerts, telemetryApi, network }: StageConfig): string[] {
  const problems = alerts.subscriptions
    .filter(({ protocol, endpoint }) => !ADDRESS[protocol].test(endpoint))
    .map(({ protocol, endpoint }) => `"${endpoint}" is not an ${protocol} address`);
  if (telemetryApi !== undefined && !/^https?:\/\/[^\s/*]+$/.test(telemetryApi.allowedOrigin)) {
    problems.push('telemetryApi.allowedOrigin must be a plain origin');
  }
  const { runbookBase } = alerts;
  if (runbookBase !== undefined && !/^https?:\/\/[^\s/]+\/?/.test(runbookBase)) {
    problems.push(`alerts.runbookBase "${runbookBase}" must be an absolute address (https://...)`);
  }
  if (network.natGateways < 1) {
    problems.push('network.natGateways must be at least 1');
  }
  return problems;
}
