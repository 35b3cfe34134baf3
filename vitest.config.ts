import { defineConfig, type TestProjectConfiguration } from 'vitest/config';
import { EMULATED, hasMutatingPolicies, projectOf, survivesNewPolicies, VARIANT } from './test/support/kubernetes.ts';
import { KUBERNETES_VERSIONS } from './tools/programs/kubernetes.ts';

const apiServerTests = 'test/api-server/**/*.test.ts';
const nodeTests = 'test/node/**/*.test.ts';

/** The tests whose outcome depends on what the API server itself does with a pod: its fields, feature gates, Pod Security and matching of webhooks. */
const ofEachVersion = filesOf(
  'api-server',
  'backstop-outage',
  'grants',
  'label-integrity',
  'modes',
  'pod-security',
  'pod-security-fixtures',
  'refused',
  'reinvocation',
  'scope',
  'update',
);

/** Those of them that are short and differ most between versions: every run has them for each version that the pinned API server can emulate. */
const ofEveryRun = filesOf('backstop-outage', 'grants', 'modes', 'pod-security', 'refused', 'reinvocation', 'update');

/** What repairs without a webhook needs MutatingAdmissionPolicies. */
const needMutatingPolicies = filesOf('in-tree', 'in-tree-repair');

/** What creates policies all the time while others are evaluated. */
const createPolicies = filesOf('backstop');

function filesOf(...names: string[]): string[] {
  return names.map((name) => `test/api-server/${name}.test.ts`);
}

/** @param variant the API server, as `readVariant` reads it; undefined: the pinned one */
function clusterProject(
  name: string,
  groupOrder: number,
  { variant, include = [apiServerTests], exclude = [] }: { variant?: string; include?: string[]; exclude?: string[] } = {},
): TestProjectConfiguration {
  return {
    test: {
      name,
      include,
      exclude,
      globalSetup: 'test/support/cluster-setup.ts',
      sequence: { groupOrder },
      ...(variant !== undefined && { env: { [VARIANT]: variant } }),
      // Few at a time: the API server needs the processors too.
      maxWorkers: 2,
      testTimeout: 30_000,
      hookTimeout: 60_000,
    },
  };
}

/** The API servers that `./dev test --kubernetes` names; without it, the emulated ones. */
const named = (process.env[KUBERNETES_VERSIONS] ?? '').split(',').filter(Boolean);
const others = (named.length === 0 ? EMULATED : named).map((variant, index) => {
  const emulated = EMULATED.includes(variant) && { include: named.length === 0 ? ofEveryRun : ofEachVersion };
  const exclude = [...(hasMutatingPolicies(variant) ? [] : needMutatingPolicies), ...(survivesNewPolicies(variant) ? [] : createPolicies)];
  return clusterProject(projectOf(variant), 12 + index, { variant, exclude, ...emulated });
});

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
      clusterProject('cluster', 2),
      {
        test: {
          name: 'site',
          include: ['site/test/**/*.test.ts'],
          globalSetup: 'site/test/setup.ts',
          sequence: { groupOrder: 11 },
          // One at a time: each has a browser of its own.
          maxWorkers: 1,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'node',
          include: [nodeTests],
          globalSetup: 'test/node/fixture/setup.ts',
          sequence: { groupOrder: 10 },
          // Images are built in there, and the processors are the pods' and the control plane's too.
          maxWorkers: 2,
          testTimeout: 600_000,
          hookTimeout: 120_000,
        },
      },
      ...others,
    ],
  },
});
