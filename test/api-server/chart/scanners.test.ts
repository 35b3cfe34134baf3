import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { program } from '../../../tools/programs/chart-tools.ts';
import { rendered, run } from '../../support/helm.ts';

/** What others' scanners say of the chart and of the image: nothing that has no answer here, and no answer to what nobody says. */

interface Said {
  readonly id: string;
  readonly of: string;
}

/** What a scanner finds and we mean, each with its reason. */
type Meant = readonly (readonly [id: string, of: RegExp, reason: string])[];

function expectMeant(said: readonly Said[], meant: Meant): void {
  expect(said.filter(({ id, of }) => !meant.some(([each, pattern]) => each === id && pattern.test(of)))).toEqual([]);
  const unused = meant.filter(([each, pattern]) => !said.some(({ id, of }) => id === each && pattern.test(of)));
  expect(unused).toEqual([]);
}

const NO_CPU_LIMIT = 'a throttled webhook holds up every pod of the cluster, and ensure whoever waits for it';
const PULLED_ONCE = 'a version is one image: to pull it again brings nothing, and needs the registry when a node is in trouble';

let folder: string;
let stream: string;
beforeAll(async () => {
  // As it is released: with the image's digest.
  const manifests = await rendered({ image: { digest: `sha256:${'0'.repeat(64)}` } });
  stream = manifests.map((each) => JSON.stringify(each)).join('\n---\n');
  folder = await mkdtemp(join(tmpdir(), 'cloister-scanned-'));
  await writeFile(join(folder, 'chart.yaml'), stream);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('kube-score', async () => {
  interface Scored {
    readonly object_name: string;
    readonly checks: readonly { readonly check: { readonly id: string }; readonly grade: number; readonly skipped: boolean }[];
  }
  const args = ['score', '--output-format=json', '--kubernetes-version=v1.36', '-'];
  const { stdout } = await run(await program('kube-score'), args, stream);
  const scored = JSON.parse(stdout) as readonly Scored[];
  expect(scored.length).toBeGreaterThan(5);
  const said = scored.flatMap(({ object_name, checks }) =>
    checks.filter(({ grade, skipped }) => !skipped && grade < 10).map(({ check }) => ({ id: check.id, of: object_name })),
  );
  expectMeant(said, [
    ['container-resources', /./, NO_CPU_LIMIT],
    ['container-image-pull-policy', /./, PULLED_ONCE],
    ['container-ephemeral-storage-request-and-limit', /./, 'nothing is written: every root is read-only, and there is no emptyDir'],
    ['container-security-context-user-group-id', /^DaemonSet.*node-profile$/, "the kubelet's folder on a node is root's"],
    ['deployment-has-host-podantiaffinity', /./, 'topologySpreadConstraints say it, and of each generation by itself'],
  ]);
});

describe.skipIf(spawnSync('checkov', ['--version']).status !== 0)('checkov, where it is installed', () => {
  /** @param file of which a framework's checks are asked */
  async function saidOf(file: string, framework: string): Promise<readonly Said[]> {
    interface Checked {
      readonly results: { readonly failed_checks: readonly { readonly check_id: string; readonly resource: string }[] };
      readonly summary: { readonly passed: number };
    }
    const args = [`--file=${file}`, `--framework=${framework}`, '--output=json', '--compact', '--quiet', '--skip-download'];
    const { results, summary } = JSON.parse((await run('checkov', args)).stdout) as Checked;
    expect(summary.passed).toBeGreaterThan(50);
    return results.failed_checks.map(({ check_id, resource }) => ({ id: check_id, of: resource }));
  }

  test('of the chart', async () => {
    expectMeant(await saidOf(join(folder, 'chart.yaml'), 'kubernetes'), [
      ['CKV_K8S_11', /./, NO_CPU_LIMIT],
      [
        'CKV_K8S_155',
        /^ClusterRole\..*\.cloister-ensure$/,
        'to keep the two webhook configurations is what it is for; it may touch these alone',
      ],
      ['CKV_K8S_8', /^DaemonSet\..*|^Pod\..*\.cloister-test$/, 'what only waits, and what ends by itself, has nothing to be asked'],
      ['CKV_K8S_9', /^DaemonSet\..*|^Pod\..*\.cloister-test$/, 'likewise: its init container is what has to succeed'],
    ]);
  });

  test('of the Dockerfile', async () => {
    expectMeant(await saidOf(join(import.meta.dirname, '../../../Dockerfile'), 'dockerfile'), [
      ['CKV_DOCKER_2', /./, "Kubernetes passes over HEALTHCHECK; the chart's probes ask"],
      ['CKV_DOCKER_7', /FROM$/, 'the tag is in the argument that names the base'],
    ]);
  });
});
