import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chartTool, customResourceDefinitions } from '../../../tools/programs/chart-tools.ts';
import { type ApiServer, startApiServer } from '../../support/api-server.ts';
import { CHART, manifestsIn, render, run } from '../../support/helm.ts';
import { writeSchemas } from '../../support/schemas.ts';

/** What the chart makes of many values files, judged by kubeconform with the API server's own schemas, and by the API server. */

const CLUSTER_WIDE = /^(Cluster|Validating|Mutating)/;

const folder = join(import.meta.dirname, 'values');
const presets = join(CHART, 'presets');
const files = [folder, presets].flatMap((each) =>
  readdirSync(each).map((name) => [relative(CHART, join(each, name)), join(each, name)] as const),
);

let apiServer: ApiServer & { stop(): Promise<void> };
let temporary: string;
let schemas: string | undefined;

/** They come into the published document a moment after they are served. */
const CUSTOM = ['ServiceMonitor', 'PodMonitor', 'PrometheusRule', 'Issuer', 'Certificate'];

beforeAll(async () => {
  temporary = await mkdtemp(join(tmpdir(), 'cloister-chart-'));
  apiServer = await startApiServer();
  const definitions = await apiServer.kubectl(['create', `--filename=${await customResourceDefinitions()}`]);
  if (definitions.code !== 0) throw new Error(definitions.stderr);
  const waited = await apiServer.kubectl(['wait', '--for=condition=established', 'crd', '--all', '--timeout=60s']);
  if (waited.code !== 0) throw new Error(waited.stderr);
  await apiServer.createNamespace('cloister-system');
  // Whose pod is asked for, too; a dry run makes none.
  await apiServer.admin.request('POST', '/api/v1/namespaces/cloister-system/serviceaccounts', { metadata: { name: 'cloister-test' } });
  do {
    await pause(200); // the hook's own timeout ends it
    schemas = await writeSchemas(apiServer.admin, temporary, CUSTOM);
  } while (schemas === undefined);
}, 180_000);
afterAll(async () => {
  await apiServer?.stop();
  await rm(temporary, { recursive: true, force: true });
});

test('`helm lint` reports nothing about the chart', async () => {
  const { code, stdout } = await run(await chartTool('helm'), ['lint', '--strict', '--quiet', CHART]);
  expect(stdout).toBe('');
  expect(code).toBe(0);
});

test('at least 15 values files are tested', () => expect(files.length).toBeGreaterThanOrEqual(15));

describe.each(files)('%s', (_, file) => {
  test('the rendered manifests are accepted by the API server with every field', async () => {
    const { code, stdout, stderr } = await render(readFileSync(file, 'utf8'));
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const manifests = manifestsIn(stdout);
    expect(manifests.length).toBeGreaterThan(15);
    expect(manifests.filter(({ kind, metadata }) => metadata.namespace === undefined && !CLUSTER_WIDE.test(kind))).toEqual([]);
    const titles = manifests.map(({ kind, metadata: { namespace = '', name } }) => `${kind} ${namespace}/${name}`);
    expect(titles.filter((title, index) => titles.indexOf(title) < index)).toEqual([]);

    const conforms = await run(await chartTool('kubeconform'), ['-strict', '-summary', `-schema-location=${schemas}`, '-'], stdout);
    expect(conforms.stdout).toMatch(/Invalid: 0, Errors: 0, Skipped: 0/);

    const taken = await apiServer.kubectl(['apply', '--server-side', '--dry-run=server', '--validate=strict', '--filename=-'], {
      input: stdout,
    });
    expect(taken.stderr).toBe('');
    expect(taken.code).toBe(0);
    expect(taken.stdout.trim().split('\n')).toHaveLength(manifests.length);
  });
});
