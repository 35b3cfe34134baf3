import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { type ApiServer, useApiServer } from '../support/api-server.ts';
import type { Answer } from '../support/client.ts';
import { reviewOf } from '../support/hostile-pods.ts';
import { differences } from '../support/kubernetes.ts';
import { type PodManifest, plainPod } from '../support/pod-manifests.ts';

/** Limits on what one pod may do to other tenants and to Cloister, through a real API server, beside the answer of its Pod Security. */

interface Stored {
  readonly message?: string;
  readonly details?: { readonly causes?: readonly { readonly reason: string; readonly field: string; readonly message: string }[] };
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly affinity?: object;
    readonly terminationGracePeriodSeconds?: number;
    readonly volumes?: readonly object[];
    readonly [field: string]: unknown;
  };
}

const NAMESPACES = {
  enforced: { 'cloister.dev/enforce': 'userns' },
  patient: { 'cloister.dev/enforce': 'userns-patient' },
  tokenless: { 'cloister.dev/enforce': 'userns-tokenless' },
  mesh: { 'cloister.dev/enforce': 'userns' },
  /** Pod Security alone. */
  baseline: { 'pod-security.kubernetes.io/enforce': 'baseline' },
} as const;

let apiServer: ApiServer;

beforeAll(async () => {
  apiServer = await useApiServer();
  for (const [name, labels] of Object.entries(NAMESPACES)) await apiServer.createNamespace(`limits-${name}`, labels);
});

const create = (namespace: keyof typeof NAMESPACES, pod: PodManifest): Promise<Answer<Stored>> =>
  apiServer.admin.request<Stored>('POST', `/api/v1/namespaces/limits-${namespace}/pods?fieldValidation=Ignore`, pod);

const causesOf = ({ body }: Answer<Stored>) => body.details?.causes?.map(({ reason, field }) => [reason, field]);

const antiAffinity = (term: object): { readonly affinity: object } => ({
  affinity: {
    podAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'topology.kubernetes.io/zone', labelSelector: {}, ...term }],
    },
  },
});
const YEAR_SECONDS = 31_536_000;

describe('T77: a pod that disturbs other tenants by its place and its end', () => {
  const probe = { httpGet: { path: '/', port: 80 }, terminationGracePeriodSeconds: YEAR_SECONDS };
  const selfish = (name: string): PodManifest =>
    plainPod(name, {
      ...antiAffinity({ namespaces: ['kube-system'], namespaceSelector: {} }),
      terminationGracePeriodSeconds: YEAR_SECONDS,
      containers: [{ name: 'workspace', image: 'registry.example/workspace:1', livenessProbe: probe }],
    });

  test('Pod Security baseline admits the pod unchanged', async () => {
    const { status, body } = await create('baseline', selfish('selfish'));
    expect(status).toBe(201);
    expect(body.spec).toMatchObject({
      ...antiAffinity({ namespaces: ['kube-system'], namespaceSelector: {} }),
      terminationGracePeriodSeconds: YEAR_SECONDS,
    });
  });

  test('its anti-affinity is reduced to its own namespace, and its grace periods to an hour', async () => {
    const { status, body, warnings } = await create('enforced', selfish('selfish'));
    expect(status).toBe(201);
    expect(body.spec.affinity).toEqual(antiAffinity({}).affinity);
    expect(body.spec).toMatchObject({
      terminationGracePeriodSeconds: 3_600,
      containers: [{ livenessProbe: { terminationGracePeriodSeconds: 3_600 } }],
    });
    expect(warnings.join('\n')).toMatch(/takes away .*anti-affinity \(.*grace-period \(/s);
  });

  test('anti-affinity to its own namespace stays, and so does what the profile allows', async () => {
    const own = antiAffinity({ namespaces: ['limits-enforced'] });
    expect((await create('enforced', plainPod('own', own))).body.spec).toMatchObject(own);
    const { status, body } = await create(
      'patient',
      plainPod('patient', { ...antiAffinity({ namespaceSelector: {} }), terminationGracePeriodSeconds: 86_400 }),
    );
    expect(status).toBe(201);
    expect(body.spec).toMatchObject({ ...antiAffinity({ namespaceSelector: {} }), terminationGracePeriodSeconds: 86_400 });
  });
});

describe('T78: a pod without a service account token', () => {
  const certificate = { signerName: 'example.com/identity', keyType: 'ED25519', credentialBundlePath: 'bundle.pem' };
  const withSource = (name: string, source: object): PodManifest =>
    plainPod(name, { volumes: [{ name: 'identity', projected: { sources: [source] } }] });

  test('a projected token is refused, and Pod Security admits it', async () => {
    const source = { serviceAccountToken: { path: 'token', audience: 'vault' } };
    expect(causesOf(await create('tokenless', withSource('token', source)))).toContainEqual(['service-account-token', 'spec.volumes[0]']);
    expect((await create('baseline', withSource('token', source))).status).toBe(201);
  });

  test('a pod certificate is refused, also where the API server drops it after the mutating entry, because its feature gate is off', async () => {
    const denial = await ask('/validate/enforce/userns-tokenless', withSource('certificate', { podCertificate: certificate }));
    expect(denial).toContain('holds a certificate of the pod');
    expect(denial).not.toContain('dropped');
    const refused = await create('tokenless', withSource('certificate', { podCertificate: certificate }));
    if (!differences.knowsPodCertificates) {
      expect(refused.status).toBe(201);
      expect(refused.body.spec.volumes).toMatchObject([{ projected: { sources: [{}] } }]);
      return;
    }
    expect(refused.status).toBe(403);
    const [path, problem] = differences.keepsCertificateSources
      ? ['spec.volumes[0].projected', 'volume "identity" holds a certificate of the pod\'s identity; remove its podCertificate source']
      : [
          'spec.volumes[0].projected.sources[0]',
          'source 0 of volume "identity" is empty: it was sent so, or the API server dropped a podCertificate or clusterTrustBundle, whose feature gate is off; remove this source',
        ];
    expect(refused.body.message).toContain(`To change:
- service-account-token: ${path}: ${problem}
Repaired automatically once the above is fixed:
- user-namespace: `);
    expect(causesOf(refused)?.[0]).toEqual(['service-account-token', path]);
  });
});

describe('a projected source that the API server drops', () => {
  const withSources = (name: string, ...sources: object[]): PodManifest =>
    plainPod(name, { volumes: [{ name: 'trust', projected: { sources } }] });

  test('a source that no rule judges causes no denial, whether the API server keeps or drops it', async () => {
    const bundle = { clusterTrustBundle: { name: 'example.com:roots', path: 'roots.pem' } };
    const { status, body } = await create('tokenless', withSources('bundle', { downwardAPI: {} }, bundle));
    expect({ status, message: body.message }).toEqual({ status: 201, message: undefined });
    expect(body.spec.volumes).toContainEqual(
      expect.objectContaining({
        projected: expect.objectContaining({ sources: [{ downwardAPI: {} }, differences.keepsCertificateSources ? bundle : {}] }),
      }),
    );
  });
});

describe('T06: an exemption that names containers', () => {
  const securityContext = { capabilities: { add: ['NET_ADMIN'] } };
  const image = 'registry.example/mesh:1';

  test('the init container of the mesh keeps its capability, and the workspace beside it loses it', async () => {
    const pod = plainPod('mesh', {
      initContainers: [{ name: 'istio-init', image, securityContext }],
      containers: [{ name: 'workspace', image, securityContext }],
    });
    const { status, body } = await create('mesh', pod);
    expect(status).toBe(201);
    expect(body.spec).toMatchObject({
      initContainers: [{ securityContext: { capabilities: { add: ['NET_ADMIN'] } } }],
      containers: [{ securityContext: { capabilities: {} } }],
    });
    expect(JSON.stringify(body.spec.containers)).not.toContain('NET_ADMIN');
    expect((await create('baseline', pod)).status).toBe(403);
  });
});

describe('T22, T24: a pod whose findings are too long', () => {
  const annotations = Object.fromEntries(
    Array.from({ length: 990 }, (_, index) => [`run.oci.${'x'.repeat(50)}${index}/${'y'.repeat(60)}`, 'v'.repeat(120)]),
  );
  const large = (name: string): PodManifest => ({ ...plainPod(name), metadata: { name, annotations } });

  test('Pod Security admits the pod, and Cloister refuses it for its size', async () => {
    expect(JSON.stringify(large('large')).length).toBeGreaterThan(240_000);
    expect((await create('baseline', large('large'))).status).toBe(201);
    const answer = await create('enforced', large('large'));
    expect(answer.status).toBe(403);
    expect(answer.body.message).toContain(
      '- pod-size: spec.containers: the escapes of the pod have more than 128 Ki characters; fix some of them',
    );
  });
});

describe('T12: fields that this version does not know', () => {
  const future = plainPod('future', {
    futureContainers: [{ name: 'x', image: 'y', securityContext: { privileged: true } }],
    containers: [{ name: 'workspace', image: 'registry.example/workspace:1', novelty: true, volumeMounts: [] }],
  });

  test('an API server that does not know them either drops them, and nothing is reported', async () => {
    const { status, body, warnings } = await create('enforced', future);
    expect(status).toBe(201);
    expect(body.spec).not.toHaveProperty('futureContainers');
    expect(warnings.join('\n')).not.toContain('unknown-fields');
  });

  test('in a review of a newer API server they are reported and counted, and the pod is allowed', async () => {
    const repaired = plainPod('future', {
      ...future.spec,
      hostUsers: false,
      securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
    });
    const counted = await countOf('unknown');
    const { allowed, warnings } = JSON.parse(await ask('/validate/enforce/userns', repaired)).response;
    expect(allowed).toBe(true);
    expect(warnings.filter((each: string) => each.includes('unknown-fields'))).toEqual([
      expect.stringContaining('field futureContainers holds containers that this version does not judge'),
      expect.stringContaining('field novelty is unknown to this version'),
    ]);
    await expect.poll(() => countOf('unknown'), { timeout: 10_000 }).toBe(counted + 2);
  });
});

async function countOf(kind: string): Promise<number> {
  const text = await (await fetch(`${inject('cloister').metricsUrl}/metrics`)).text();
  return Number(new RegExp(`^cloister_findings_total\\{rule="unknown-fields",kind="${kind}"\\} (\\d+)$`, 'm').exec(text)?.[1]);
}

/** The answer to a review as a newer API server would send it. */
async function ask(path: string, pod: PodManifest): Promise<string> {
  const ca = await readFile(apiServer.caFile);
  return new Promise((resolve, reject) => {
    const call = request(
      `${inject('cloister').url}${path}`,
      { ca, method: 'POST', headers: { 'content-type': 'application/json' } },
      (response) => {
        text(response).then(resolve, reject);
      },
    );
    call.on('error', reject).end(JSON.stringify(reviewOf(pod)));
  });
}
