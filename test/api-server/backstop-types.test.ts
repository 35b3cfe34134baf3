import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import { backends } from '../../src/core/profiles/index.ts';
import { backstop } from '../../src/in-tree/backstop.ts';
import { startApiServer } from '../support/api-server.ts';
import type { Client } from '../support/client.ts';

let apiServer: Awaited<ReturnType<typeof startApiServer>>;

// Its own: an older one can crash where a policy is created while others are evaluated.
beforeAll(async () => {
  apiServer = await startApiServer();
});
afterAll(() => apiServer?.stop());

test('Kubernetes finds no wrong type in the policy of any profile', async () => {
  const grantTo = ['dev', 'tool-*'];
  const whole = { grant: 'containers', grantTo, mayChoose: ['userns'], devices: ['nvidia.com/gpu'], serviceAccountToken: 'remove' };
  const exemption = { reason: 'test', expires: '2100-01-01', namespaces: ['team-*'], serviceAccounts: ['*'] };
  const config = parseConfig(
    stringify({
      apiVersion: 'cloister.dev/v1alpha1',
      kind: 'Config',
      profiles: Object.fromEntries(
        backends.flatMap(({ id }) => [
          [id, {}],
          [`${id}-whole`, { extends: id, ...whole, appArmorProfile: 'open', seLinuxType: 'container_engine_t' }],
        ]),
      ),
      exemptions: [
        { ...exemption, containers: ['dev*'], allow: { capabilities: ['NET_ADMIN'], seccomp: ['Unconfined'], apparmor: ['Unconfined'] } },
        {
          ...exemption,
          allow: { 'volume-types': ['nfs'], 'node-selection': ['metadata.name'], 'resource-claims': ['gpu'], 'unknown-fields': ['x'] },
        },
      ],
      governs: [{ namespaces: ['team-*'], enforce: 'userns' }],
    }),
    'types',
  );
  if (!config.ok) throw new Error(config.error.join('\n'));
  const policies = backstop(config.value, { url: 'https://192.0.2.1' }).filter(({ kind }) => kind === 'ValidatingAdmissionPolicy');
  expect(policies).toHaveLength(2 * backends.length);
  for (const policy of policies) {
    const { status, body } = await apiServer.admin.request('POST', POLICIES, policy);
    expect({ status, body }).toMatchObject({ status: 201 });
  }
  for (const { metadata } of policies) {
    expect((await checked(apiServer.admin, metadata.name)).typeChecking?.expressionWarnings ?? []).toEqual([]);
    await apiServer.admin.request('DELETE', `${POLICIES}/${metadata.name}`);
  }
});

const POLICIES = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies';

interface Checked {
  readonly observedGeneration?: number;
  readonly typeChecking?: { readonly expressionWarnings?: readonly object[] };
}

/** The status of a policy after the controller manager checked it. */
async function checked(client: Client, name: string): Promise<Checked> {
  for (;;) {
    const { body } = await client.request<{ readonly status?: Checked }>('GET', `${POLICIES}/${name}`);
    if (body.status?.observedGeneration !== undefined) return body.status;
    await sleep(100);
  }
}
