import type { ReportConfig, StageConfig } from './config.ts';
import type { Ingest } from './constructs/ingest.ts';
import { PREFIX, type Storage } from './constructs/storage.ts';

/**
 * What the worker learns from its surroundings: `IVS_<SECTION>__<KEY>` is `section.key` of its
 * configuration. It refuses unknown keys, so a test compares these with the program's source.
 */
export function workerEnvironment(
  config: StageConfig,
  ingest: Ingest,
  storage: Storage,
): Record<string, string> {
  return {
    // For the object store client, which does not ask the instance for it.
    AWS_REGION: storage.bucket.stack.region,
    IVS_STREAM__NAME: ingest.stream.streamName,
    IVS_STREAM__CONSUMER: config.worker.enhancedFanOut ? 'enhanced' : 'polling',
    IVS_FLEET__LEASE_TABLE: storage.leases.tableName,
    IVS_TABLES__SESSIONS: storage.sessions.tableName,
    IVS_TABLES__METRICS: storage.metrics.tableName,
    IVS_TABLES__TTL_DAYS: String(config.storage.rowDays),
    IVS_EVENTS__BUS: ingest.domainBus.eventBusName,
    IVS_OBJECTS__ARCHIVE: `s3://${storage.bucket.bucketName}/${PREFIX.archive}`,
    IVS_OBJECTS__REJECTS: `s3://${storage.bucket.bucketName}/${PREFIX.rejects}`,
    IVS_SHUTDOWN__DEADLINE_MS: String(config.worker.drainSeconds * 1_000),
    // Up to 1.3 times as much was measured at the worst moment; the rest is the program itself.
    IVS_WORKER__MEMORY_MB: String(Math.floor(config.worker.memoryMib * 0.6)),
    ...(config.worker.reconcile && { IVS_RECONCILE__ENABLED: 'true' }),
    ...(config.worker.dimensions.length > 0 && {
      IVS_CLOUDWATCH__DIMENSIONS: JSON.stringify(config.worker.dimensions),
    }),
    RUST_LOG: config.worker.logLevel,
  };
}

/** What the report function learns from its surroundings. */
export function reportEnvironment(reports: ReportConfig, storage: Storage): Record<string, string> {
  return {
    IVS_TABLES__SESSIONS: storage.sessions.tableName,
    IVS_TABLES__METRICS: storage.metrics.tableName,
    REPORT_OUT: `s3://${storage.bucket.bucketName}`,
    REPORT_TZ: reports.timeZone,
    RUST_LOG: 'info',
  };
}
