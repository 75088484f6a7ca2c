import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { AttributeType, Billing, ProjectionType, TableEncryptionV2, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  ObjectOwnership,
  StorageClass,
} from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import type { StorageConfig } from '../config.ts';
import { type KeySpec, type TableSpec, tableSpec } from '../schemas.ts';

/** Key prefixes of the bucket; the lifecycle rules and the grants are per prefix. */
export const PREFIX = { archive: 'archive', rejects: 'rejects', reports: 'reports' } as const;

export interface StorageProps {
  readonly storage: StorageConfig;
  readonly protectData: boolean;
}

/** Where results stay: the two data tables, the lease table, and the archive and report bucket. */
export class Storage extends Construct {
  readonly sessions: TableV2;
  readonly metrics: TableV2;
  readonly leases: TableV2;
  readonly bucket: Bucket;

  constructor(scope: Construct, id: string, props: StorageProps) {
    super(scope, id);
    this.sessions = this.table('Sessions', tableSpec('StreamingSessions'), props.protectData);
    this.metrics = this.table('Metrics', tableSpec('StreamingMetrics'), props.protectData);
    this.leases = this.table('Leases', tableSpec('ivs-processor'), props.protectData);
    this.bucket = this.archive(props);
  }

  private table(id: string, spec: TableSpec, protectData: boolean): TableV2 {
    return new TableV2(this, id, {
      tableName: spec.name,
      partitionKey: attribute(spec.partitionKey),
      ...(spec.sortKey && { sortKey: attribute(spec.sortKey) }),
      globalSecondaryIndexes: spec.indexes.map((index) => ({
        indexName: index.name,
        partitionKey: attribute(index.partitionKey),
        sortKey: attribute(index.sortKey),
        projectionType: index.projection === 'ALL' ? ProjectionType.ALL : ProjectionType.KEYS_ONLY,
      })),
      ...(spec.ttlAttribute && { timeToLiveAttribute: spec.ttlAttribute }),
      billing: Billing.onDemand(),
      encryption: TableEncryptionV2.awsManagedKey(),
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection: protectData,
      removalPolicy: protectData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
  }

  private archive({ storage, protectData }: StorageProps): Bucket {
    const removalPolicy = protectData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY;
    const closed = {
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      encryption: BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      removalPolicy,
    };
    const accessLogs = new Bucket(this, 'AccessLogs', {
      ...closed,
      lifecycleRules: [{ expiration: Duration.days(90) }],
    });
    return new Bucket(this, 'Archive', {
      ...closed,
      // Segments have deterministic names and are written again on a retry: keep no old versions.
      versioned: false,
      serverAccessLogsBucket: accessLogs,
      lifecycleRules: [
        { id: 'incomplete-uploads', abortIncompleteMultipartUploadAfter: Duration.days(3) },
        {
          id: PREFIX.archive,
          prefix: `${PREFIX.archive}/`,
          transitions: [
            {
              storageClass: StorageClass.INFREQUENT_ACCESS,
              transitionAfter: Duration.days(storage.archiveInfrequentAccessDays),
            },
          ],
          expiration: Duration.days(storage.archiveDays),
        },
        { id: PREFIX.rejects, prefix: `${PREFIX.rejects}/`, expiration: Duration.days(storage.rejectDays) },
      ],
    });
  }
}

function attribute({ name, type }: KeySpec): { name: string; type: AttributeType } {
  return { name, type: type === 'N' ? AttributeType.NUMBER : AttributeType.STRING };
}
