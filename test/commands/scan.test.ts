import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { freePort } from '../support/control-plane.ts';
import { json, startFalseApiServer } from '../support/false-api-server.ts';
import { cloister, MAIN } from '../support/run.ts';

/** What needs no API server; test/api-server/scan.test.ts has the rest. */

test('an API server that cannot be reached is reported at once, with its address', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cloister-scan-'));
  const kubeconfig = join(folder, 'kubeconfig');
  const server = `https://127.0.0.1:${await freePort()}`;
  const content = {
    clusters: [{ name: 'a', cluster: { server } }],
    users: [{ name: 'a', user: {} }],
    contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
    'current-context': 'a',
  };
  await writeFile(kubeconfig, JSON.stringify(content));
  const ran = await cloister(['scan', '--kubeconfig', kubeconfig]);
  await rm(folder, { recursive: true });
  expect(ran).toEqual({ code: 2, stdout: '', stderr: `error: the API server at ${server} cannot be reached: ECONNREFUSED\n` });
});

test.each([
  [['--page-size', '0'], /--page-size.*It must be a number from 1 to 1000\./],
  [['-n', 'Team_A'], /--namespace.*It must be the name of a namespace/],
  [['-o', 'xml'], /--output.*Allowed choices are text, wide, json, html, openreports/],
  [['--max-reports', '0'], /--max-reports.*It must be a number from 1 on\./],
  [['--write'], /error: --write needs -o openreports: /],
  [['--write', '-o', 'json'], /error: --write needs -o openreports: /],
  [['--write', '-o', 'openreports', '--profile', 'userns', '-n', 'a'], /error: --write cannot be used with --profile: /],
])('%j is a usage error', async (args, message) => {
  const { code, stderr } = await cloister(['scan', ...args]);
  expect(code).toBe(2);
  expect(stderr).toMatch(message);
});

test('Ctrl-C ends a scan at once, with nothing on standard output', async () => {
  let child: ChildProcess | undefined;
  const server = await startFalseApiServer([json(200, { gitVersion: 'v1.36.3' }), () => child?.kill('SIGINT')]);
  const args = [MAIN, 'scan', '--kubeconfig', server.kubeconfig, '--config', 'examples/config.yaml'];
  child = spawn(process.execPath, args, { cwd: join(import.meta.dirname, '../..'), stdio: ['ignore', 'pipe', 'pipe'] });
  const [[code, signal], stdout, stderr] = await Promise.all([
    once(child, 'close'),
    text(child.stdout as Readable),
    text(child.stderr as Readable),
  ]);
  await server.stop();
  expect({ code, signal, stdout, stderr }).toEqual({ code: null, signal: 'SIGINT', stdout: '', stderr: '' });
});

test('--print-rbac prints only lists, and no rights for a configuration that a file has', async () => {
  const { code, stdout } = await cloister(['scan', '--print-rbac', '--config', 'examples/config.yaml']);
  expect(code).toBe(0);
  const roles = parseAllDocuments(stdout).map(
    (document) => document.toJS() as { kind: string; metadata: { name: string }; rules: { resources: string[]; verbs: string[] }[] },
  );
  // The chart has a ClusterRole cloister-scan, which `kubectl apply` must not replace.
  expect(roles.map(({ kind, metadata }) => [kind, metadata.name])).toEqual([['ClusterRole', 'cloister-scan-user']]);
  expect(roles.flatMap(({ rules }) => rules.flatMap(({ resources }) => resources)).toSorted()).toEqual([
    'events',
    'namespaces',
    'nodes',
    'pods',
    'runtimeclasses',
  ]);
  for (const { rules } of roles) for (const { verbs } of rules) expect(verbs).toEqual(['list']);
});

test.each([
  [[], ['ClusterRole']],
  [
    ['-n', 'team-a,team-b'],
    ['Role', 'Role'],
  ],
])('--print-rbac adds the rights for Reports only with --write: %j', async (flags, kinds) => {
  const print = async (...more: readonly string[]) => {
    const { stdout } = await cloister(['scan', '--print-rbac', '--config', 'examples/config.yaml', ...flags, ...more]);
    return parseAllDocuments(stdout).map(
      (document) => document.toJS() as { kind: string; rules: { resources: string[]; verbs: string[] }[] },
    );
  };
  expect(JSON.stringify(await print('-o', 'openreports'))).not.toContain('reports');
  const writing = (await print('-o', 'openreports', '--write')).filter(({ rules }) =>
    rules.some(({ resources }) => resources.includes('reports')),
  );
  expect(writing.map(({ kind }) => kind)).toEqual(kinds);
});

/** A cluster with a namespace, and with serving pods at these addresses. */
async function clusterWith(addresses: readonly string[]) {
  const port = await freePort();
  const slice = {
    addressType: 'IPv4',
    ports: [{ name: 'https', port }],
    endpoints: addresses.map((address) => ({ addresses: [address] })),
  };
  const server = await startFalseApiServer([
    (response, request) => {
      const { url = '' } = request;
      const items = url.includes('endpointslices') ? [slice] : [];
      json(200, url === '/version' ? { gitVersion: 'v1.36.3' } : { metadata: {}, items })(response, request);
    },
  ]);
  return { ...server, flags: ['--kubeconfig', server.kubeconfig] };
}

test.each([
  ['the system', 'kube-system'],
  ['the installation', 'cloister-system'],
  ['the configuration', 'infra'],
])('a namespace that %s excludes cannot be scanned', async (_, name) => {
  const cluster = await clusterWith([]);
  const folder = await mkdtemp(join(tmpdir(), 'cloister-scan-'));
  const config = join(folder, 'config.yaml');
  await writeFile(config, 'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {userns: {}}\nexcludedNamespaces: [infra]\n');
  const flags = [...cluster.flags, '--config', config, '--cloister-namespace', 'cloister-system', '-n', `team-a,${name}`];
  const ran = await cloister(['scan', ...flags]);
  await Promise.all([cluster.stop(), rm(folder, { recursive: true })]);
  const stderr = `error: --namespace ${name}: Cloister never governs this namespace, and does not scan it\n`;
  expect(ran).toEqual({ code: 2, stdout: '', stderr });
});

test('other users can read the file of --metrics, whatever the umask is', async () => {
  const cluster = await clusterWith([]);
  const folder = await mkdtemp(join(tmpdir(), 'cloister-scan-'));
  const file = join(folder, 'cloister.prom');
  const script = 'umask 077; exec "$0" "$@"';
  const flags = [...cluster.flags, '--config', 'examples/config.yaml', '--metrics', file];
  const child = spawn('sh', ['-c', script, process.execPath, MAIN, 'scan', ...flags], { stdio: 'ignore' });
  const [code] = await once(child, 'close');
  const [{ mode }, files] = await Promise.all([stat(file), readdir(folder)]);
  await Promise.all([cluster.stop(), rm(folder, { recursive: true })]);
  expect([code, mode & 0o777, files]).toEqual([0, 0o644, ['cloister.prom']]);
});

test('serving pods that do not state their configuration are counted beside those that do', async () => {
  const cluster = await clusterWith(['127.0.0.1', '127.0.0.2']);
  const operations = createServer((_, response) => response.end(JSON.stringify({ version: '1', configuration: 'b24c' })));
  await once(operations.listen(0, '127.0.0.1'), 'listening');
  const { port } = operations.address() as AddressInfo;
  const { stderr } = await cloister([
    'scan',
    ...cluster.flags,
    ...['--config', 'examples/config.yaml', '--cloister-namespace', 'cloister-system', '--operations-port', `${port}`],
  ]);
  operations.close();
  await cluster.stop();
  expect(stderr).toMatch(/^1 of 2 serving pods do not state their configuration: 127\.0\.0\.2:\d+ does not answer: .*\.$/m);
  expect(stderr).toMatch(/^The webhook runs another configuration than the one that was scanned with/m);
});
