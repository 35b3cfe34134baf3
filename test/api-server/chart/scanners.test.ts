import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chartTool } from '../../../tools/programs/chart-tools.ts';
import { missingForPython, pythonTool } from '../../../tools/programs/python.ts';
import { rendered, run } from '../../support/helm.ts';
import { describeUnless } from '../../support/needs.ts';

/** Findings of scanners about the chart and the image: each must be listed here with a reason, and each listed one must be found. */

interface Said {
  readonly id: string;
  readonly of: string;
}

/** Findings that are intended, each with its reason. */
type Meant = readonly (readonly [id: string, of: RegExp, reason: string])[];

function expectMeant(said: readonly Said[], meant: Meant): void {
  expect(said.filter(({ id, of }) => !meant.some(([each, pattern]) => each === id && pattern.test(of)))).toEqual([]);
  const unused = meant.filter(([each, pattern]) => !said.some(({ id, of }) => id === each && pattern.test(of)));
  expect(unused).toEqual([]);
}

const NO_CPU_LIMIT = 'a throttled webhook delays every pod of the cluster, and a throttled ensure delays installations';
const PULLED_ONCE = 'a version is one image, so pulling it again changes nothing and needs the registry during an outage';

let folder: string;
let stream: string;
beforeAll(async () => {
  // As it is released: with the image's digest; and with the scan.
  const manifests = await rendered({ image: { digest: `sha256:${'0'.repeat(64)}` }, scan: { enabled: true } });
  stream = manifests.map((each) => JSON.stringify(each)).join('\n---\n');
  folder = await mkdtemp(join(tmpdir(), 'cloister-scanned-'));
  await writeFile(join(folder, 'chart.yaml'), stream);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('kube-score reports only known findings', async () => {
  interface Scored {
    readonly object_name: string;
    readonly checks: readonly { readonly check: { readonly id: string }; readonly grade: number; readonly skipped: boolean }[];
  }
  const args = ['score', '--output-format=json', '--kubernetes-version=v1.36', '-'];
  const { stdout } = await run(await chartTool('kube-score'), args, stream);
  const scored = JSON.parse(stdout) as readonly Scored[];
  expect(scored.length).toBeGreaterThan(5);
  const said = scored.flatMap(({ object_name, checks }) =>
    checks.filter(({ grade, skipped }) => !skipped && grade < 10).map(({ check }) => ({ id: check.id, of: object_name })),
  );
  expectMeant(said, [
    ['container-resources', /./, NO_CPU_LIMIT],
    ['container-image-pull-policy', /./, PULLED_ONCE],
    [
      'container-ephemeral-storage-request-and-limit',
      /./,
      'the pods write nothing: every root file system is read-only, and there is no emptyDir',
    ],
    ['container-security-context-user-group-id', /^DaemonSet.*node-profile$/, "root owns the kubelet's folder on a node"],
    ['deployment-has-host-podantiaffinity', /./, 'topologySpreadConstraints do the same, separately for each revision'],
  ]);
});

describeUnless(await missingForPython(), 'checkov', () => {
  // Installs it, the first time.
  beforeAll(() => pythonTool('checkov'), 600_000);

  /** @param file the file to check with the rules of the framework */
  async function saidOf(file: string, framework: string): Promise<readonly Said[]> {
    interface Checked {
      readonly results: { readonly failed_checks: readonly { readonly check_id: string; readonly resource: string }[] };
      readonly summary: { readonly passed: number };
    }
    const [program, ...first] = await pythonTool('checkov');
    const args = [`--file=${file}`, `--framework=${framework}`, '--output=json', '--compact', '--quiet', '--skip-download'];
    const { results, summary } = JSON.parse((await run(program, [...first, ...args])).stdout) as Checked;
    expect(summary.passed).toBeGreaterThan(50);
    return results.failed_checks.map(({ check_id, resource }) => ({ id: check_id, of: resource }));
  }

  test('checkov reports only known findings about the chart', async () => {
    expectMeant(await saidOf(join(folder, 'chart.yaml'), 'kubernetes'), [
      ['CKV_K8S_11', /./, NO_CPU_LIMIT],
      [
        'CKV_K8S_155',
        /^ClusterRole\..*\.cloister-ensure$/,
        'its purpose is to write the two webhook configurations, and it may write only these',
      ],
      [
        'CKV_K8S_8',
        /^DaemonSet\..*|^Pod\..*\.cloister-test$/,
        'a container that only waits, or that ends by itself, has no state to probe',
      ],
      [
        'CKV_K8S_9',
        /^DaemonSet\..*|^Pod\..*\.cloister-test$/,
        'a container that only waits, or that ends by itself, has no state to probe; its init container must succeed',
      ],
    ]);
  });

  test('checkov reports only known findings about the Dockerfile', async () => {
    expectMeant(await saidOf(join(import.meta.dirname, '../../../Dockerfile'), 'dockerfile'), [
      ['CKV_DOCKER_2', /./, 'Kubernetes ignores HEALTHCHECK; the chart has probes'],
      ['CKV_DOCKER_7', /FROM$/, 'the argument with the name of the base contains the tag'],
    ]);
  });
});
