import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, connect, dryRun } from '../../src/cluster/client.ts';
import { parseConfig } from '../../src/config/load.ts';
import { checkVersion, findHostUsersProfiles } from '../../src/ensure/version.ts';
import { temporaryFolder } from '../support/ensure.ts';

/** Answers of API servers to GET /version. test/api-server/ensure.test.ts reads that of a real one. */

const OLD = { major: '1', minor: '30', gitVersion: 'v1.30.14', compiler: 'gc', platform: 'linux/amd64' };

let server: Server;
let folder: string;
let cluster: Cluster;
let answer: { readonly status: number; readonly text: string };

beforeAll(async () => {
  server = createServer(({ url }, response) => {
    response.statusCode = url === '/version' ? answer.status : 500;
    response.end(answer.text);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  folder = await temporaryFolder();
  cluster = await clusterAt((server.address() as AddressInfo).port);
});
afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

/** Without TLS: a kubeconfig allows that only with `insecure-skip-tls-verify`. */
async function clusterAt(port: number): Promise<Cluster> {
  const kubeconfig = join(folder, `${port}.yaml`);
  await writeFile(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'u', user: {} }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
  );
  const connected = await connect({ kubeconfig });
  if (!connected.ok) throw new Error(connected.error);
  return connected.value;
}

async function warningsAt(body: unknown, { status = 200, profiles = ['userns'] } = {}): Promise<string[]> {
  answer = { status, text: typeof body === 'string' ? body : JSON.stringify(body) };
  const warnings: string[] = [];
  await checkVersion(cluster, profiles, (fields, message) => warnings.push(`${JSON.stringify(fields)} ${message}`));
  return warnings;
}

describe('checkVersion warns of an API server before 1.33, with the profiles whose pods it refuses', () => {
  test('the warning names the version, the profiles and the feature gate', async () => {
    expect(await warningsAt(OLD, { profiles: ['userns', 'team-a'] })).toEqual([
      '{"kubernetes":"1.30","profiles":["userns","team-a"]} the API server is older than Kubernetes 1.33: unless its feature gate UserNamespacesSupport is on, it drops hostUsers, and every pod of these profiles is refused',
    ]);
  });

  test.each<[string, object]>([
    ['1.32', { ...OLD, minor: '32' }],
    ['a provider’s 1.31+', { ...OLD, minor: '31+', gitVersion: 'v1.31.7-eks-473151a' }],
    ['1.36 that emulates 1.32', { major: '1', minor: '36', emulationMajor: '1', emulationMinor: '32' }],
    ['1.9', { ...OLD, minor: '9' }],
  ])('%s', async (_, body) => expect(await warningsAt(body)).toHaveLength(1));
});

describe('checkVersion does not warn', () => {
  test.each<[string, object]>([
    ['1.33', { ...OLD, minor: '33' }],
    ['a provider’s 1.33+', { ...OLD, minor: '33+' }],
    ['1.36, which names the version that it emulates', { major: '1', minor: '36', emulationMajor: '1', emulationMinor: '36' }],
    ['1.100', { ...OLD, minor: '100' }],
    ['Kubernetes 2', { major: '2', minor: '0' }],
  ])('of %s', async (_, body) => expect(await warningsAt(body)).toEqual([]));

  test.each<[string, number, unknown]>([
    ['an identity that may not read the version', 403, { kind: 'Status', message: 'forbidden', major: '1', minor: '30' }],
    ['numbers that are none', 200, { major: 'one', minor: '' }],
    ['an answer that is no object', 200, '1.30'],
    ['an answer that is no JSON', 200, '<html>'],
    ['an empty answer', 200, ''],
  ])('where the answer holds no version: %s', async (_, status, body) => expect(await warningsAt(body, { status })).toEqual([]));

  test('where no profile needs hostUsers', async () => expect(await warningsAt(OLD, { profiles: [] })).toEqual([]));

  test('where the API server cannot be reached: the next request reports it', async () => {
    expect(await (await clusterAt(1)).version()).toBeUndefined();
  });
});

test('a dry run reads the version of the same API server', async () => {
  answer = { status: 200, text: JSON.stringify(OLD) };
  expect(await dryRun(cluster).simulated.version()).toEqual({ major: 1, minor: 30 });
});

test.each([
  ['userns', ['userns']],
  ['sysbox', ['sysbox']],
  ['sysbox: {identity: crio-annotation}', []],
  ['team-a: {extends: userns, grant: none}', ['team-a']],
  ['kata-qemu', []],
  ['gvisor', []],
])('%s: the profiles that need hostUsers', (profile, ids) => {
  const written = `apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles:\n  ${profile}${profile.includes(':') ? '' : ':'}\n`;
  const config = parseConfig(written, 'config.yaml');
  if (!config.ok) throw new Error(config.error.join());
  expect(findHostUsersProfiles(config.value.profiles.values())).toEqual(ids);
});
