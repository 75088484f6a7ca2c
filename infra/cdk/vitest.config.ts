import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // The first synthesis with cdk-nag takes seconds, on a busy machine many.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // One worker that keeps its modules: each stage is synthesized once for all files.
    maxWorkers: 1,
    isolate: false,
  },
});
