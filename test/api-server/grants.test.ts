import { beforeAll, describe, expect, test } from 'vitest';
import { type ApiServer, useApiServer } from '../support/api-server.ts';
import type { Answer, Client } from '../support/client.ts';
import { type PodManifest, plainPod } from '../support/pod-manifests.ts';

/** Which containers of a stored pod have a grant, and which are restricted. */

interface Container {
  readonly name: string;
  readonly env?: readonly object[];
  readonly securityContext?: {
    readonly allowPrivilegeEscalation?: boolean;
    readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
    readonly procMount?: string;
    readonly seccompProfile?: { readonly type: string };
  };
  readonly volumeMounts?: readonly { readonly name: string }[];
}

interface Stored {
  readonly spec: {
    readonly initContainers?: readonly Container[];
    readonly containers: readonly Container[];
    readonly ephemeralContainers?: readonly Container[];
  };
  readonly message?: string;
}

const PROFILES = ['userns-none', 'kata-qemu-none', 'sysbox-none', 'userns-containers', 'userns-named'] as const;
const IMAGE = 'registry.example/tools:1';

let admin: Client;

const podsOf = (profile: string): string => `/api/v1/namespaces/grants-${profile}/pods`;

beforeAll(async () => {
  const apiServer: ApiServer = await useApiServer();
  admin = apiServer.admin;
  for (const profile of PROFILES) await apiServer.createNamespace(`grants-${profile}`, { 'cloister.dev/enforce': profile });
});

async function create(profile: string, pod: PodManifest): Promise<Answer<Stored>> {
  const answer = await admin.request<Stored>('POST', podsOf(profile), pod);
  expect({ status: answer.status, message: answer.body.message }).toEqual({ status: 201, message: undefined });
  return answer;
}

describe.each(['userns-none', 'kata-qemu-none', 'sysbox-none'])('T30: under %s', (profile) => {
  const isRestricted = ({ env = [], securityContext = {} }: Container): void => {
    expect(securityContext.allowPrivilegeEscalation).toBe(false);
    if (profile === 'userns-none') return;
    expect(securityContext.capabilities).toMatchObject({ drop: ['ALL'] });
    expect(securityContext.capabilities?.add ?? []).toEqual([]);
    if (profile === 'sysbox-none') expect(env).toEqual([{ name: 'SYSBOX_SYSCONT_MODE', value: 'FALSE' }]);
  };
  const asking = { image: IMAGE, securityContext: { allowPrivilegeEscalation: true, capabilities: { add: ['SETUID', 'MKNOD'] } } };

  test('every container of every list is restricted, also a debug container', async () => {
    const initContainers = [
      { name: 'set-up', ...asking },
      { name: 'engine', restartPolicy: 'Always', ...asking },
    ];
    const { body } = await create(profile, plainPod('all', { initContainers, containers: [{ name: 'workspace', ...asking }] }));
    const debug = { spec: { ephemeralContainers: [{ name: 'debug', ...asking }] } };
    const added = await admin.request<Stored>('PATCH', `${podsOf(profile)}/all/ephemeralcontainers`, debug, {
      contentType: 'application/strategic-merge-patch+json',
    });
    expect({ status: added.status, message: added.body.message }).toEqual({ status: 200, message: undefined });
    const all = [body.spec.initContainers, body.spec.containers, added.body.spec.ephemeralContainers].flatMap((each) => each ?? []);
    expect(all.map(({ name }) => name)).toEqual(['set-up', 'engine', 'workspace', 'debug']);
    for (const container of all) isRestricted(container);
  });
});

describe('T30: a native sidecar', () => {
  const withSidecar = (name: string, sidecar: string): PodManifest =>
    plainPod(name, {
      initContainers: [
        { name: 'set-up', image: IMAGE },
        { name: sidecar, image: IMAGE, restartPolicy: 'Always' },
      ],
    });
  const hasGrant = ({ securityContext, volumeMounts = [] }: Container): boolean =>
    securityContext?.procMount === 'Unmasked' &&
    securityContext.seccompProfile?.type === 'Localhost' &&
    volumeMounts.some(({ name }) => name.startsWith('cloister-storage-'));
  const granted = ({ spec }: Stored): string[] =>
    [...(spec.initContainers ?? []), ...spec.containers].filter(hasGrant).map(({ name }) => name);

  test('a native sidecar gets the grant like a regular container, and an init container that ends does not', async () => {
    expect(granted((await create('userns-containers', withSidecar('plain', 'engine'))).body)).toEqual(['engine', 'workspace']);
  });

  test('a native sidecar gets the grant if grantTo names it', async () => {
    expect(granted((await create('userns-named', withSidecar('named', 'tooling-engine'))).body)).toEqual(['tooling-engine', 'workspace']);
    expect(granted((await create('userns-named', withSidecar('unnamed', 'engine'))).body)).toEqual(['workspace']);
  });
});

test('a pod without a container that grantTo names is admitted with one warning about it', async () => {
  const containers = ['editor', 'proxy'].map((name) => ({ name, image: IMAGE }));
  const { warnings } = await create('userns-named', plainPod('unmatched', { containers }));
  expect(warnings.filter((each) => each.includes('workspace-container'))).toEqual([
    'cloister userns-named: workspace-container: grantTo (workspace, tooling-*) matches no container (editor, proxy), so the grant has no effect; ' +
      'give the workspace container a name that grantTo matches, or ask the operator to add its name to grantTo',
  ]);
});
