import { beforeAll, describe, expect, test } from 'vitest';
import { readPage, rowsOf, sectionOf } from '../docs/page.ts';
import { type ApiServer, useApiServer } from '../support/api-server.ts';
import { differences } from '../support/kubernetes.ts';
import { dockerInDocker, hostNamespaces, plainPod, sidecars } from '../support/pod-manifests.ts';

/** What Cloister makes of a pod, as the API server's own Pod Security admission judges it in the same namespace. */

const BASELINE = { 'pod-security.kubernetes.io/enforce': 'baseline', 'pod-security.kubernetes.io/enforce-version': 'latest' };
const pods = { plain: plainPod(), 'docker-in-docker': dockerInDocker(), 'host-namespaces': hostNamespaces(), sidecars: sidecars() };

let apiServer: ApiServer;

beforeAll(async () => {
  apiServer = await useApiServer();
});

interface Problem {
  readonly message: string;
}

async function namespaceFor(profile: string, labels: Readonly<Record<string, string>>): Promise<string> {
  const name = `pod-security-${profile}-${labels['pod-security.kubernetes.io/enforce-version']?.replaceAll('.', '-')}`;
  await apiServer.createNamespace(name, { 'cloister.dev/enforce': profile, ...labels });
  return `/api/v1/namespaces/${name}/pods`;
}

describe.each([
  'userns-none',
  'userns-sudo',
  'userns-containers',
  'sysbox-none',
  'sysbox-sudo',
  'sysbox-containers',
  'kata-qemu-none',
  'kata-qemu-sudo',
  'gvisor-none',
  'gvisor-sudo',
  'gvisor-containers',
])('T30: pods repaired under %s satisfy baseline', (profile) => {
  test.each(Object.entries(pods))('the repaired pod %s satisfies baseline', async (_, pod) => {
    const path = await paths.of(profile);
    const { status, body } = await apiServer.admin.request<Problem>('POST', path, pod);
    if (profile === 'userns-containers' && !differences.acceptsUnmaskedProc) {
      expect(body.message).toContain('violates PodSecurity "baseline:latest": procMount');
      return;
    }
    expect({ status, message: body.message }).toEqual({ status: 201, message: undefined });
  });
});

const paths = {
  made: new Map<string, Promise<string>>(),
  of(profile: string): Promise<string> {
    const path = this.made.get(profile) ?? namespaceFor(profile, BASELINE);
    this.made.set(profile, path);
    return path;
  },
};

test.each([
  ['userns-sysadmin', '"SYS_ADMIN"'],
  ['kata-qemu-containers', '"NET_ADMIN", "SYS_ADMIN", "SYS_RESOURCE"'],
])(
  'baseline rejects the capabilities that %s grants: they need a privileged namespace, or an exemption of the runtime class',
  async (profile, list) => {
    const path = await paths.of(profile);
    const { status, body } = await apiServer.admin.request<Problem>('POST', path, plainPod());
    expect(status).toBe(403);
    expect(body.message).toContain(
      `violates PodSecurity "baseline:latest": non-default capabilities (container "workspace" must not include ${list} in securityContext.capabilities.add)`,
    );
    expect((await apiServer.admin.request('GET', `${path}/plain`)).status).toBe(404);
  },
);

test('baseline up to 1.34 rejects an unmasked /proc even with a user namespace', async () => {
  const path = await namespaceFor('userns-containers', { ...BASELINE, 'pod-security.kubernetes.io/enforce-version': 'v1.34' });
  const { status, body } = await apiServer.admin.request<Problem>('POST', path, plainPod());
  expect(status).toBe(403);
  expect(body.message).toContain('violates PodSecurity "baseline:v1.34": procMount');
});

/** docs/install.md: the strictest level under which each grant is had. */
const MATRIX = rowsOf(sectionOf(readPage('docs/install.md'), 'Pod Security of the namespaces with workspaces')).flatMap(
  ([names = '', ...cells], row) => {
    const backends = [...names.matchAll(/`([a-z-]+)`/g)].map(([, backend = '']) => backend);
    const isSysadmin = names.includes('nesting: sysadmin');
    return backends.flatMap((backend) =>
      ['none', 'sudo', 'containers'].map((grant, index) => {
        const profile = isSysadmin && grant === 'containers' ? 'userns-sysadmin' : `${backend}-${grant}`;
        return [profile, grant, /`(\w+)`/.exec(cells[index] ?? '')?.[1] ?? '', row] as const;
      }),
    );
  },
);

const LEVELS = ['privileged', 'baseline', 'restricted'];

/** As strict as its author can write it and still be given the grant: what a container denies itself, it is not given. */
function strictPod(grant: string) {
  const own = grant === 'none' ? { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } : {};
  const container = { name: 'workspace', image: 'registry.example/workspace:1', securityContext: own };
  return plainPod('strict', { containers: [container], securityContext: { runAsNonRoot: true, runAsUser: 1000 } });
}

test('the page has a Pod Security level for each profile and grant', () => {
  expect(MATRIX.length).toBeGreaterThanOrEqual(24);
  expect(MATRIX.filter(([, , level]) => !LEVELS.includes(level))).toEqual([]);
});

test.each(MATRIX)(
  'under %s, the strictest possible pod with the grant %s passes %s and no stricter level, as on the page',
  async (profile, grant, level, row) => {
    const taken: string[] = [];
    for (const each of LEVELS) {
      // A namespace of its own: a label that is changed is in force only a moment later.
      const name = `matrix-${row}-${profile}-${each}`;
      await apiServer.createNamespace(name, { 'cloister.dev/enforce': profile, 'pod-security.kubernetes.io/enforce': each });
      const { status } = await apiServer.admin.request('POST', `/api/v1/namespaces/${name}/pods?dryRun=All`, strictPod(grant));
      if (status === 201) taken.push(each);
    }
    // The page names the level of Pod Security 1.35 and later.
    const isUnmasked = profile === 'userns-containers' && grant === 'containers';
    expect(taken.at(-1)).toBe(isUnmasked && !differences.acceptsUnmaskedProc ? 'privileged' : level);
  },
);
