import { setTimeout as sleep } from 'node:timers/promises';
import type { TestProject } from 'vitest/node';
import { stringify } from 'yaml';
import { type ApiServer, type RuntimeClass, startApiServer } from './api-server.ts';
import { readVariant, variantIn } from './kubernetes.ts';
import { type CloisterAddress, startCloister } from './webhook.ts';

declare module 'vitest' {
  interface ProvidedContext {
    readonly cloister: CloisterAddress;
  }
}

const BACKENDS = ['userns', 'sysbox', 'kata-qemu', 'kata-clh', 'kata-fc', 'kata-acrn', 'gvisor'] as const;

/** Every backend with its defaults, and with every grant; then what single tests need. */
const CONFIG = stringify({
  apiVersion: 'cloister.dev/v1alpha1',
  kind: 'Config',
  // These tests ask the webhook, whose denials have causes. Other tests ask the policies, which speak first.
  backstop: false,
  profiles: {
    ...Object.fromEntries(
      BACKENDS.flatMap((backend) => [
        [backend, {}],
        ...['none', 'sudo', 'containers'].map((grant) => [`${backend}-${grant}`, { extends: backend, grant }]),
      ]),
    ),
    'userns-sysadmin': { extends: 'userns', grant: 'containers', nesting: 'sysadmin' },
    'userns-named': { extends: 'userns', grant: 'containers', grantTo: ['workspace', 'tooling-*'] },
    'userns-choosy': { extends: 'userns', mayChoose: ['kata-qemu', 'userns-none'] },
    'userns-tokenless': { extends: 'userns', serviceAccountToken: 'remove' },
    'userns-patient': { extends: 'userns', antiAffinity: 'all-namespaces', maxTerminationGracePeriodSeconds: 86_400 },
  },
  exemptions: [
    {
      reason: "the mesh's init container sets up iptables",
      expires: '2100-01-01',
      namespaces: ['limits-mesh'],
      serviceAccounts: ['*'],
      containers: ['istio-init'],
      allow: { capabilities: ['NET_ADMIN'] },
    },
  ],
});

/** As the installers of the runtimes create them; `foreign` belongs to no profile. */
export const RUNTIME_CLASSES: Readonly<Record<string, RuntimeClass>> = {
  'sysbox-runc': { handler: 'sysbox-runc', scheduling: { nodeSelector: { 'sysbox-runtime': 'running' } } },
  'kata-qemu': kata('kata-qemu', { cpu: '250m', memory: '320Mi' }),
  'kata-clh': kata('kata-clh', { cpu: '250m', memory: '130Mi' }),
  'kata-fc': kata('kata-fc', { cpu: '250m', memory: '130Mi' }),
  'kata-acrn': kata('kata-acrn', { cpu: '250m', memory: '130Mi' }),
  gvisor: { handler: 'runsc' },
  foreign: {
    handler: 'foreign',
    overhead: { podFixed: { cpu: '10m', memory: '10Mi' } },
    scheduling: { nodeSelector: { 'example.com/foreign': 'yes' } },
  },
};

function kata(handler: string, podFixed: Readonly<Record<string, string>>): RuntimeClass {
  return { handler, overhead: { podFixed }, scheduling: { nodeSelector: { 'katacontainers.io/kata-runtime': 'true' } } };
}

export async function createRuntimeClasses(apiServer: ApiServer): Promise<void> {
  for (const [name, runtimeClass] of Object.entries(RUNTIME_CLASSES)) await apiServer.createRuntimeClass(name, runtimeClass);
}

/** Namespaces with this label may have labels of Cloister that name no profile, as after the profile was removed from the configuration. */
export const MISLABELLED = { 'test/mislabelled': 'yes' } as const;

/** Keeps the policy that refuses such labels away from the namespaces that tests need with them. */
async function admitMislabelled({ admin }: ApiServer): Promise<void> {
  const binding = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/cloister-namespace-labels';
  const matchExpressions = Object.keys(MISLABELLED).map((key) => ({ key, operator: 'DoesNotExist' }));
  const patch = { spec: { matchResources: { objectSelector: { matchExpressions } } } };
  const patched = await admin.request('PATCH', binding, patch, { contentType: 'application/merge-patch+json' });
  if (patched.status !== 200) throw new Error(JSON.stringify(patched.body));
  const probe = { metadata: { name: 'mislabelled', labels: { ...MISLABELLED, 'cloister.dev/enforce': 'none-such' } } };
  // The caller's own timeout ends it.
  while ((await admin.request('POST', '/api/v1/namespaces?dryRun=All', probe)).status !== 201) await sleep(50);
}

/** One API server with one Cloister for all cluster tests of a run: they start in seconds, but not in milliseconds. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const apiServer = await startApiServer({ kubernetes: readVariant(variantIn(project.name)) });
  try {
    await createRuntimeClasses(apiServer);
    const cloister = await startCloister(apiServer, { config: CONFIG, apply: true });
    await admitMislabelled(apiServer);
    project.provide('apiServer', apiServer.connection);
    project.provide('cloister', {
      url: cloister.url,
      operationsUrl: cloister.operationsUrl,
      metricsUrl: cloister.metricsUrl,
      profiles: cloister.profiles,
    });
    return async () => {
      await cloister.stop();
      await apiServer.stop();
    };
  } catch (error) {
    await apiServer.stop();
    throw error;
  }
}
