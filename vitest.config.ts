import { defineConfig } from 'vitest/config';

const apiServerTests = 'test/api-server/**/*.test.ts';
const nodeTests = 'test/node/**/*.test.ts';

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [apiServerTests, nodeTests],
          // Numbered from 1: of order 0, what has a single worker runs last.
          sequence: { groupOrder: 1 },
          // Tests assert no times: a busy machine is not a fault.
          testTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'cluster',
          include: [apiServerTests],
          globalSetup: 'test/support/cluster-setup.ts',
          sequence: { groupOrder: 2 },
          // Few at a time: the API server needs the processors too.
          maxWorkers: 2,
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'node',
          include: [nodeTests],
          globalSetup: 'test/node/fixture/setup.ts',
          sequence: { groupOrder: 3 },
          // Images are built in there, and the processors are the pods' and the control plane's too.
          maxWorkers: 2,
          testTimeout: 600_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
