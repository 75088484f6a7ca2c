import { fileURLToPath } from 'node:url';
import { IgnoreMode } from 'aws-cdk-lib';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';

/** The repository: the build needs the whole Cargo workspace. */
export const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url));

/**
 * What both images are built from. Only the workspace is staged at synth (never `cdk.out`, which
 * would be copied into itself); docker runs at deploy.
 */
export const IMAGE_ASSET = {
  file: 'processor/Dockerfile',
  platform: Platform.LINUX_ARM64,
  ignoreMode: IgnoreMode.DOCKER,
  exclude: [
    '*',
    '!Cargo.toml',
    '!Cargo.lock',
    '!processor',
    '!schemas',
    // Cargo wants every member of the workspace to be there, built or not.
    '!tests',
    '**/target',
  ],
};

/** Stages of `processor/Dockerfile`. */
export const IMAGE_TARGET = { worker: 'worker', report: 'report' } as const;
