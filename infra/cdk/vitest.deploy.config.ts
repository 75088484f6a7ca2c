import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test-deploy/**/*.test.ts'],
    testTimeout: 120_000,
    // The first run also makes a Python environment.
    hookTimeout: 300_000,
    maxWorkers: 1,
  },
});
