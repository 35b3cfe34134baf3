import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import type { Answer, Client } from '../support/client.ts';
import { createService, runEnsure, startServingPod } from '../support/ensure.ts';
import { goldenFiles } from '../support/golden.ts';
import { type PodManifest, plainPod } from '../support/pod-manifests.ts';
import { type Cloister, startCloister } from '../support/webhook.ts';

/**
 * T29: what the author of a pod, and `cloister ensure`, see where an API server drops fields of pods because a feature gate is off, as it is by
 * default before Kubernetes 1.33. From 1.36 on, the gates cannot be turned off: the API server emulates 1.33. ProcMountType needs UserNamespacesSupport, so
 * that only the first can be off alone.
 */

const CONFIG = `apiVersion: cloister.dev/v1alpha1
kind: Config
profiles:
  gvisor: {}
  userns: {}
  userns-containers: {extends: userns, grant: containers}
  sysbox: {}
exemptions:
  - {reason: a device, expires: '2100-01-01', namespaces: [exempt], serviceAccounts: ['*'], allow: {resource-claims: [gpu]}}
`;
/** The other profiles have entries already. */
const ENSURED = 'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles:\n  added: {extends: userns, grant: containers}\n';

const golden = goldenFiles('feature-gates');
const compared: string[] = [];

interface Pod {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly hostUsers?: boolean;
    readonly resourceClaims?: readonly object[];
    readonly containers: readonly { readonly securityContext?: { readonly procMount?: string } }[];
  };
  readonly message?: string;
}

interface Running {
  readonly apiServer: ApiServer;
  readonly cloister: Cloister;
  readonly tenant: Client;
}

/** @param featureGates of an API server for the tests of a block */
function useGates(featureGates: string): () => Running {
  let running: (Running & { stop(): Promise<void> }) | undefined;
  beforeAll(async () => {
    const apiServer = await startApiServer({ kubernetes: { emulated: '1.33', featureGates } });
    await apiServer.createRuntimeClass('sysbox-runc', { handler: 'sysbox-runc' });
    await apiServer.createRuntimeClass('gvisor', { handler: 'runsc' });
    const cloister = await startCloister(apiServer, { config: CONFIG, apply: true });
    let tenant: Client | undefined;
    for (const [namespace, profile] of [...PROFILES.map((each) => [each, each] as const), ['exempt', 'userns'] as const]) {
      await apiServer.createNamespace(namespace, { 'cloister.dev/enforce': profile });
      tenant = await apiServer.createTenant(namespace, 'author');
    }
    if (tenant === undefined) throw new Error('there is no namespace');
    const stop = async () => {
      await cloister.stop();
      await apiServer.stop();
    };
    running = { apiServer, cloister, tenant, stop };
  }, 120_000);
  afterAll(() => running?.stop());
  return () => {
    if (running === undefined) throw new Error('the API server does not run');
    return running;
  };
}

const PROFILES = ['gvisor', 'userns', 'userns-containers', 'sysbox'] as const;

const post = ({ tenant }: Running, namespace: string, pod: PodManifest): Promise<Answer<Pod>> =>
  tenant.request<Pod>('POST', `/api/v1/namespaces/${namespace}/pods`, pod);

/** What kubectl prints for the author, compared with a golden file. */
async function expectPrinted({ tenant }: Running, namespace: string, pod: PodManifest, name: string): Promise<void> {
  const { stdout, stderr } = await tenant.kubectl(['create', '--namespace', namespace, '--filename=-'], { input: JSON.stringify(pod) });
  compared.push(`${name}.txt`);
  expect(stdout + stderr).toBe(await golden.text(`${name}.txt`, stdout + stderr));
}

/** What one run of `cloister ensure` logs about fields. */
async function warningsOfEnsure({ apiServer }: Running): Promise<readonly string[]> {
  await createService(apiServer);
  const pod = await startServingPod(apiServer, ENSURED);
  try {
    const { logged } = await runEnsure(apiServer.admin.kubeconfig, {
      config: ENSURED,
      port: pod.endpoint.port,
      pods: [pod.endpoint],
      waitMs: 60_000,
      onPause: () => pod.sync(),
    });
    return logged.filter((line) => line.includes('"field"'));
  } finally {
    await pod.cloister.stop();
  }
}

const claiming = (name: string): PodManifest => plainPod(name, { resourceClaims: [{ name: 'gpu', resourceClaimName: 'gpu' }] });

describe('UserNamespacesSupport and ProcMountType are off, as before Kubernetes 1.33', () => {
  const running = useGates('UserNamespacesSupport=false,ProcMountType=false');

  test.each([
    ['userns', plainPod('plain'), 'user-namespaces-off'],
    ['userns', plainPod('set', { hostUsers: false }), 'user-namespaces-off.set-by-author'],
    ['userns-containers', plainPod('plain'), 'user-namespaces-off.containers'],
    ['sysbox', plainPod('plain'), 'user-namespaces-off.sysbox'],
    ['userns', claiming('claiming'), 'resource-claims-off'],
  ] as const)('under %s, the pod is refused in words that name the gate (%#)', async (namespace, pod, name) => {
    await expectPrinted(running(), namespace, pod, name);
    const { status, body } = await post(running(), namespace, pod);
    expect(status).toBe(403);
    expect(body.message).toMatch(/the feature gate (UserNamespacesSupport|DynamicResourceAllocation) is off/);
    const stored = await running().apiServer.admin.request('GET', `/api/v1/namespaces/${namespace}/pods/${pod.metadata.name}`);
    expect(stored.status).toBe(404);
  });

  test('under gvisor, which needs no user namespace, the pod is stored without a word about gates', async () => {
    const { status, warnings } = await post(running(), 'gvisor', plainPod('guest'));
    expect([status, warnings.filter((each) => each.includes('gate'))]).toEqual([201, []]);
  });

  test('ensure logs a warning for each field that is dropped, before the first entries', async () => {
    const warnings = await warningsOfEnsure(running());
    expect([...warnings].sort()).toEqual([
      'the API server drops a field that the profile needs {"profile":"added","field":"spec.containers[0].securityContext.procMount","why":"the feature gate ProcMountType is off (it is on by default since Kubernetes 1.33); nested containers fail"}',
      'the API server drops a field that the profile needs {"profile":"added","field":"spec.hostUsers","why":"the feature gate UserNamespacesSupport is off (it is on by default since Kubernetes 1.33); every pod of the profile is refused"}',
    ]);
  });
});

describe('ProcMountType alone is off', () => {
  const running = useGates('ProcMountType=false');

  test('a pod with the grant containers is stored, and a warning says that containers fail and names the gate', async () => {
    await expectPrinted(running(), 'userns-containers', plainPod('plain'), 'proc-mount-off');
    const { body, warnings } = await post(running(), 'userns-containers', plainPod('warned'));
    expect(body.metadata.annotations?.['cloister.dev/profile-applied']).toBe('userns-containers/containers');
    expect([body.spec.hostUsers, body.spec.containers[0]?.securityContext?.procMount]).toEqual([false, 'Default']);
    expect(warnings.filter((each) => each.includes('the feature gate ProcMountType is off'))).toHaveLength(1);
  });

  test('a pod with the grant sudo is stored without a word about gates', async () => {
    const { status, warnings } = await post(running(), 'userns', plainPod('sudo'));
    expect([status, warnings.filter((each) => each.includes('gate'))]).toEqual([201, []]);
  });

  test('a pod with an exempted claim is stored without it, and a warning says so', async () => {
    await expectPrinted(running(), 'exempt', claiming('claiming'), 'resource-claims-off.exempted');
    const { body } = await running().apiServer.admin.request<Pod>('GET', '/api/v1/namespaces/exempt/pods/claiming');
    expect(body.spec.resourceClaims).toBeUndefined();
    expect(body.spec.hostUsers).toBe(false);
  });

  test('ensure logs a warning for procMount alone', async () => {
    const warnings = await warningsOfEnsure(running());
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('the feature gate ProcMountType is off');
  });
});

test('every golden file is compared with what an author sees', async () => {
  expect(await golden.orphans(compared)).toEqual([]);
});
