import { defineConfig } from 'vitest/config';

const clusterTests = 'test/cluster/**/*.test.ts';

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [clusterTests],
          // Numbered from 1: of order 0, what has a single worker runs last.
          sequence: { groupOrder: 1 },
          // Tests assert no times: a busy machine is not a fault.
          testTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'cluster',
          include: [clusterTests],
          globalSetup: 'test/support/cluster-setup.ts',
          sequence: { groupOrder: 2 },
          // Few at a time: the API server needs the processors too.
          maxWorkers: 2,
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
