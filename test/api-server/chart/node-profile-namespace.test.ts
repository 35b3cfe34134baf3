import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ApiServer, startApiServer } from '../../support/api-server.ts';
import { CHART, helm, NAMESPACE } from '../../support/helm.ts';

/** The DaemonSet needs a hostPath: where Pod Security refuses it, an installation must not wait for it. */

let apiServer: ApiServer & { stop(): Promise<void> };
beforeAll(async () => {
  apiServer = await startApiServer();
  await apiServer.createNamespace(NAMESPACE);
  await apiServer.createNamespace('nodes', { 'pod-security.kubernetes.io/enforce': 'privileged' });
}, 120_000);
afterAll(() => apiServer?.stop());

const install = (values: object = {}) => helm(apiServer, ['install', 'cloister', CHART, '--dry-run=server', '--values=-'], values);

async function enforce(level: string): Promise<void> {
  const { code, stderr } = await apiServer.kubectl([
    'label',
    '--overwrite',
    'namespace',
    NAMESPACE,
    `pod-security.kubernetes.io/enforce=${level}`,
  ]);
  if (code !== 0) throw new Error(stderr);
}

test.each(['baseline', 'restricted'])(
  'an installation into a namespace that enforces %s stops, and names the value to set',
  async (level) => {
    await enforce(level);
    await expect(install()).rejects.toThrow(
      `nodeProfile: the namespace ${NAMESPACE} enforces Pod Security ${level}, which refuses the DaemonSet's hostPath: set nodeProfile.namespace to another namespace`,
    );
    for (const values of [{ nodeProfile: { namespace: 'nodes' } }, { profiles: { userns: { grant: 'sudo' } } }])
      expect(await install(values)).toMatchObject({ code: 0 });
  },
);

test('an installation into a namespace that enforces privileged, or into one that does not exist yet, goes on', async () => {
  await enforce('privileged');
  expect(await install()).toMatchObject({ code: 0 });
  expect(await install({ nodeProfile: { namespace: 'not-yet' } })).toMatchObject({ code: 0 });
});
