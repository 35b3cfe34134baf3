import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ClusterError, type DeletingCluster } from '../../src/cluster/client.ts';
import { type LiveObject, type Reference, titleOf } from '../../src/cluster/object.ts';
import type { ServingPod } from '../../src/cluster/serving.ts';
import { parseConfig } from '../../src/config/load.ts';
import { RUNNING_PODS_STAY } from '../../src/ensure/enforcement.ts';
import { namesOf, secretsOf } from '../../src/ensure/objects.ts';
import { type Dependencies, reconcile } from '../../src/ensure/reconcile.ts';
import type { DesiredState } from '../../src/ensure/types.ts';
import { policiesBesideWebhook } from '../../src/in-tree/beside.ts';
import { type Entry, entriesOf } from '../../src/manifests/entries.ts';
import { createAuthority, issueCertificate } from '../../src/tls/certificate.ts';
import { certificatesIn, type Issued } from '../../src/tls/pem.ts';
import { RUNS } from '../support/properties.ts';
import { SEED } from '../support/seed.ts';

/**
 * `cloister ensure` from any state of a cluster, on a cluster in memory: each run ends, hands-off objects are not changed, and no write makes
 * the API server distrust a pod that it trusted.
 */

const now = new Date('2030-01-01T00:00:00Z');
const DAY = 24 * 60 * 60 * 1_000;
const service = { namespace: 'cloister', name: 'cloister' };
const config = parseConfig('apiVersion: cloister.dev/v1alpha1\nkind: Config\n', 'config.yaml');
if (!config.ok) throw new Error(config.error.join());
const desired: DesiredState = {
  service,
  certificates: 'ensure',
  configurations: entriesOf(config.value, { service }),
  samples: [],
  policies: policiesBesideWebhook(config.value, { service }),
  version: '1',
  configuration: 'digest',
  overlapMs: 600_000,
};
const secrets = secretsOf(desired);

const days = (count: number): Date => new Date(now.getTime() + count * DAY);
const authorityMadeAt = (at: Date): Promise<Issued> => createAuthority('ca', { now: at, days: 365 });
const leafOf = (authority: Issued, at: Date): Promise<Issued> => issueCertificate(authority, namesOf(service), { now: at, days: 30 });
/** Created once, because this takes most of the time. */
const AUTHORITIES = {
  young: await authorityMadeAt(days(-10)),
  other: await authorityMadeAt(days(-20)),
  due: await authorityMadeAt(days(-300)),
  expired: await authorityMadeAt(days(-400)),
};
type AuthorityName = keyof typeof AUTHORITIES;
const names = Object.keys(AUTHORITIES) as AuthorityName[];
const madeLeaves = names.map(async (name) => [name, await leafOf(AUTHORITIES[name], days(name === 'expired' ? -399 : -5))] as const);
const LEAVES = new Map(await Promise.all(madeLeaves));

type SecretState = 'missing' | 'empty' | 'garbage' | 'wrong key' | AuthorityName;
const secretState = fc.constantFrom<SecretState>('missing', 'empty', 'garbage', 'wrong key', ...names);
type EntriesState = 'missing' | 'empty' | 'drifted' | 'whole';

/** States of a cluster and its serving pods. */
const found = fc.record({
  authority: secretState,
  serving: secretState,
  remembered: fc.subarray(names),
  entries: fc.tuple(...desired.configurations.map(() => fc.constantFrom<EntriesState>('missing', 'empty', 'drifted', 'whole'))),
  published: fc.subarray(names),
  handsOff: fc.subarray([secrets.authority, secrets.serving, ...desired.configurations].map(titleOf)),
  pods: fc.array(
    fc.record({
      presents: fc.option(fc.constantFrom(...names)),
      isReady: fc.boolean(),
      isCurrent: fc.boolean(),
      follows: fc.boolean(),
    }),
    { maxLength: 3 },
  ),
});
type Found = typeof found extends fc.Arbitrary<infer T> ? T : never;

/** States that failed once. */
const KEPT: readonly Found[] = [
  {
    // An unusable authority that is marked hands-off, while its predecessor is in use.
    authority: 'wrong key',
    serving: 'missing',
    remembered: [],
    entries: ['missing', 'whole'],
    published: ['due'],
    handsOff: ['Secret cloister/cloister-ca'],
    pods: [{ presents: 'due', isReady: true, isCurrent: true, follows: false }],
  },
];

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const bundleOf = (authorities: readonly AuthorityName[]): string =>
  base64(authorities.map((name) => AUTHORITIES[name].certificate).join(''));

function secretOf(reference: Reference, state: SecretState, pairs: ReadonlyMap<string, Issued>, more: object): object | undefined {
  if (state === 'missing') return undefined;
  const young = pairs.get('young') as Issued;
  const { certificate, key } = pairs.get(state) ?? { certificate: state, key: state };
  const data = {
    empty: { 'tls.crt': '', 'tls.key': '' },
    'wrong key': { 'tls.crt': base64(young.certificate), 'tls.key': base64(AUTHORITIES.other.key) },
  }[state as string] ?? { 'tls.crt': base64(certificate), 'tls.key': base64(key) };
  return { ...reference, data: { ...data, ...more } };
}

function entriesFor(index: number, state: EntriesState, caBundle: string): object | undefined {
  const configuration = desired.configurations[index];
  if (state === 'missing' || configuration === undefined) return undefined;
  const { webhooks, ...empty } = configuration;
  if (state === 'empty') return empty;
  const whole = webhooks.map((entry) => ({ ...entry, clientConfig: { ...entry.clientConfig, caBundle } }));
  return { ...empty, webhooks: state === 'drifted' ? whole.slice(1).map((entry) => ({ ...entry, failurePolicy: 'Ignore' })) : whole };
}

interface Memory extends DeletingCluster {
  readonly objects: Map<string, LiveObject>;
}

/** Versions and conflicts as in the API server. */
function memory(initial: readonly object[], onWrite: (title: string) => void): Memory {
  const objects = new Map<string, LiveObject>();
  let version = 0;
  const put = (object: Reference): void => {
    version += 1;
    const { uid = `uid-${version}` } = object.metadata as LiveObject['metadata'];
    objects.set(titleOf(object), structuredClone({ ...object, metadata: { ...object.metadata, uid, resourceVersion: String(version) } }));
  };
  for (const object of initial) put(object as Reference);
  return {
    objects,
    // Not cloned again: the policies are large, and `reconcile` changes no object that it reads.
    read: async (object) => objects.get(titleOf(object)),
    list: async (_, kind) => [...objects.values()].filter((each) => each.kind === kind && isOfBackstop(each)),
    tryCreate: async (object) => object,
    async create(object) {
      if (objects.has(titleOf(object))) return false;
      put(object);
      onWrite(titleOf(object));
      return true;
    },
    async update(object) {
      if (objects.get(titleOf(object))?.metadata.resourceVersion !== object.metadata.resourceVersion) return false;
      put(object);
      onWrite(titleOf(object));
      return true;
    },
    async delete(object) {
      if (objects.get(titleOf(object))?.metadata.resourceVersion !== object.metadata.resourceVersion) return false;
      onWrite(titleOf(object));
      return objects.delete(titleOf(object));
    },
  };
}

const isOfBackstop = ({ metadata }: LiveObject): boolean =>
  (metadata as { readonly labels?: Readonly<Record<string, string>> }).labels?.['app.kubernetes.io/component'] === 'backstop';

function clusterOf(state: Found, onWrite: (title: string) => void): Memory {
  const authorities = new Map<string, Issued>(Object.entries(AUTHORITIES));
  const remembered = state.remembered.length === 0 ? {} : { 'ca.crt': bundleOf(state.remembered) };
  const objects = [
    secretOf(secrets.authority, state.authority, authorities, remembered),
    secretOf(secrets.serving, state.serving, LEAVES, {}),
    ...state.entries.map((each, index) => entriesFor(index, each, bundleOf(state.published))),
  ].flatMap((each) => (each === undefined ? [] : [each as Reference]));
  const marked = objects.map((each) =>
    state.handsOff.includes(titleOf(each))
      ? { ...each, metadata: { ...each.metadata, annotations: { 'cloister.dev/hands-off': 'true' } } }
      : each,
  );
  return memory(marked, onWrite);
}

const leafIn = (secret: LiveObject | undefined): X509Certificate | undefined =>
  certificatesIn(Buffer.from((secret?.data as Record<string, string> | undefined)?.['tls.crt'] ?? '', 'base64').toString())[0];

/** Serving pods, which load the certificate of the Secret during a pause. */
function podsOf(state: Found, cluster: Memory) {
  const leaves = state.pods.map(({ presents }) =>
    presents === null ? undefined : new X509Certificate((LEAVES.get(presents) as Issued).certificate),
  );
  return {
    leaves,
    ask: async (): Promise<readonly ServingPod[]> =>
      state.pods.map(({ isReady, isCurrent }, index) => {
        const leaf = leaves[index];
        const pod = { address: `10.0.0.${index}:8443`, isReady, version: '1', configuration: isCurrent ? 'digest' : 'older' };
        return leaf === undefined ? { ...pod, problem: `${pod.address} does not answer` } : { ...pod, leaf };
      }),
    loadSecret(): void {
      const leaf = leafIn(cluster.objects.get(titleOf(secrets.serving)));
      for (const [index, { follows }] of state.pods.entries()) if (follows && leaf !== undefined) leaves[index] = leaf;
    },
  };
}

function entriesOfCluster({ objects }: Memory): readonly Entry[] {
  return desired.configurations.flatMap((each) => (objects.get(titleOf(each))?.webhooks ?? []) as readonly Entry[]);
}

/** As an API server decides: by the authorities of the entry, at this time. */
function trusts({ clientConfig }: Entry, leaf: X509Certificate): boolean {
  if (now >= leaf.validToDate || now < leaf.validFromDate) return false;
  const authorities = certificatesIn(Buffer.from(clientConfig.caBundle ?? '', 'base64').toString());
  return authorities.some((each) => now < each.validToDate && leaf.checkIssued(each) && leaf.verify(each.publicKey));
}

function isTrusted(entries: readonly Entry[], leaf: X509Certificate): boolean {
  return entries.length > 0 && entries.every((entry) => trusts(entry, leaf));
}

const silent: Dependencies['logger'] = { info() {}, warn() {} };
const timeouts = { settleMs: 1, waitMs: 3_000 };

function dependenciesOf(cluster: Memory, pods: ReturnType<typeof podsOf>): Dependencies {
  return { cluster, observePods: pods.ask, now: () => now, pause: async () => pods.loadSecret(), logger: silent };
}

describe('T64, F19: from any state', () => {
  test('a run ends, changes no hands-off object, keeps trusted pods trusted, and leaves nothing to write for the next run', {
    timeout: 240_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(found, async (state) => {
        let before: readonly Entry[] = [];
        const cluster = clusterOf(state, (title) => {
          expect(marked).not.toContain(title);
          const after = entriesOfCluster(cluster);
          // A presented certificate stays trusted, and a certificate that pods will present next is already trusted.
          for (const leaf of pods.leaves) if (leaf !== undefined && isTrusted(before, leaf)) expect(isTrusted(after, leaf)).toBe(true);
          const next = leafIn(cluster.objects.get(title));
          if (title === titleOf(secrets.serving) && next !== undefined && after.length > 0) expect(isTrusted(after, next)).toBe(true);
          before = after;
        });
        before = entriesOfCluster(cluster);
        const marked = [...cluster.objects].filter(([, { metadata }]) => metadata.annotations !== undefined).map(([title]) => title);
        const pods = podsOf(state, cluster);
        await reconcile(desired, dependenciesOf(cluster, pods), timeouts);
        const again = await reconcile(desired, dependenciesOf(cluster, pods), timeouts);
        expect(again.plan.steps).toEqual([]);
        expect((await reconcile(desired, dependenciesOf(cluster, pods), timeouts)).writes).toBe(0);
      }),
      { seed: SEED, numRuns: RUNS * 0.01, examples: KEPT.map((each): [Found] => [each]) },
    );
  });

  test('a run reaches the desired state where no object is marked hands-off and a ready pod loads the Secret', async () => {
    const able = found.map((state) => ({
      ...state,
      handsOff: [],
      pods: [{ presents: null, isReady: true, isCurrent: true, follows: true }],
    }));
    await fc.assert(
      fc.asyncProperty(able, async (state) => {
        const cluster = clusterOf(state, () => {});
        const pods = podsOf(state, cluster);
        const { plan } = await reconcile(desired, dependenciesOf(cluster, pods), timeouts);
        expect([plan.waiting, plan.handsOff]).toEqual([[], []]);
        const entries = entriesOfCluster(cluster);
        expect(entries.map(({ name }) => name)).toEqual(desired.configurations.flatMap(({ webhooks }) => webhooks.map(({ name }) => name)));
        pods.loadSecret();
        const [leaf] = pods.leaves;
        expect(leaf !== undefined && isTrusted(entries, leaf)).toBe(true);
      }),
      { seed: SEED, numRuns: RUNS * 0.005 },
    );
  });
});

describe('other writers and failures', () => {
  const state: Found = {
    authority: 'missing',
    serving: 'missing',
    remembered: [],
    entries: ['missing', 'missing'],
    published: [],
    handsOff: [],
    pods: [],
  };
  const fail = (isRetryable: boolean) => async (): Promise<never> => {
    throw new ClusterError('no', { isRetryable });
  };

  test('a writer that reverts each write is reported', async () => {
    const cluster = clusterOf(state, () => cluster.objects.clear());
    await expect(reconcile(desired, dependenciesOf(cluster, podsOf(state, cluster)), timeouts)).rejects.toThrow(
      'is changed back after each write',
    );
  });

  test('a retryable error is retried three times, and another error is reported at once', async () => {
    for (const [isRetryable, expected] of [
      [true, 3],
      [false, 1],
    ] as const) {
      let requests = 0;
      const cluster = clusterOf(state, () => {});
      const broken = {
        ...cluster,
        create: async () => {
          requests += 1;
          return fail(isRetryable)();
        },
      };
      await expect(reconcile(desired, { ...dependenciesOf(cluster, podsOf(state, cluster)), cluster: broken }, timeouts)).rejects.toThrow(
        'no',
      );
      expect(requests).toBe(expected);
    }
  });

  test('a single failure is retried', async () => {
    const cluster = clusterOf(state, () => {});
    let requests = 0;
    const flaky: DeletingCluster = {
      ...cluster,
      async read(object) {
        requests += 1;
        return requests === 5 ? fail(true)() : cluster.read(object);
      },
    };
    const { plan } = await reconcile(
      desired,
      { ...dependenciesOf(cluster, podsOf(state, cluster)), cluster: flaky },
      { ...timeouts, waitMs: 0 },
    );
    expect(plan.steps).toEqual([]);
  });
});

describe('namespaces that the configuration enforces by name', () => {
  const able: Found = {
    authority: 'missing',
    serving: 'missing',
    remembered: [],
    entries: ['missing', 'missing'],
    published: [],
    handsOff: [],
    pods: [{ presents: null, isReady: true, isCurrent: true, follows: true }],
  };
  const governing = (text: string): DesiredState => {
    const parsed = parseConfig(`apiVersion: cloister.dev/v1alpha1\nkind: Config\n${text}`, 'config.yaml');
    if (!parsed.ok) throw new Error(parsed.error.join());
    return { ...desired, configurations: entriesOf(parsed.value, { service }), policies: policiesBesideWebhook(parsed.value, { service }) };
  };

  test('a run that changes them warns once that pods which already run stay as they are, and no other run does', async () => {
    const cluster = clusterOf(able, () => {});
    const pods = podsOf(able, cluster);
    const warnings: unknown[] = [];
    const logger: Dependencies['logger'] = { info() {}, warn: (fields: unknown, text?: unknown) => void warnings.push([fields, text]) };
    const warningsOf = async (state: DesiredState): Promise<readonly unknown[]> => {
      warnings.length = 0;
      const { plan } = await reconcile(state, { ...dependenciesOf(cluster, pods), logger }, timeouts);
      expect(plan.waiting).toEqual([]);
      return [...warnings];
    };
    const warned = [[{ entries: ['userns.governed.enforce.cloister.dev'] }, RUNNING_PODS_STAY]];
    expect(await warningsOf(desired)).toEqual([]);
    const audited = governing('default: {audit: userns}');
    expect(await warningsOf(audited)).toEqual([]);
    const enforced = governing('default: {enforce: userns, except: [a, b]}');
    expect(await warningsOf(enforced)).toEqual(warned);
    expect(await warningsOf(enforced)).toEqual([]);
    // Other entries change.
    const more = governing('profiles: {userns: {}, gvisor: {}}\ndefault: {enforce: userns, except: [a, b]}');
    expect(await warningsOf(more)).toEqual([]);
    expect(await warningsOf(governing('default: {enforce: userns, except: [a]}'))).toEqual(warned);
    expect(await warningsOf(audited)).toEqual([]);
    // A namespace is excluded, and then no longer.
    expect(await warningsOf(governing('excludedNamespaces: [agents]\n'))).toEqual([]);
    const entries = ['userns.namespace.enforce', 'userns.pod.enforce', 'namespace.unknown.enforce', 'pod.unknown.enforce'];
    expect(await warningsOf(desired)).toEqual([[{ entries: entries.map((name) => `${name}.cloister.dev`) }, RUNNING_PODS_STAY]]);
  });
});

describe('the policies of the profiles', () => {
  const able: Found = {
    authority: 'missing',
    serving: 'missing',
    remembered: [],
    entries: ['missing', 'missing'],
    published: [],
    handsOff: [],
    pods: [{ presents: null, isReady: true, isCurrent: true, follows: true }],
  };
  const configured = (text: string, isOn = true): DesiredState => {
    const parsed = parseConfig(`apiVersion: cloister.dev/v1alpha1\nkind: Config\nbackstop: ${isOn}\n${text}`, 'config.yaml');
    if (!parsed.ok) throw new Error(parsed.error.join());
    const target = { service };
    return { ...desired, configurations: entriesOf(parsed.value, target), policies: policiesBesideWebhook(parsed.value, target) };
  };
  const BINDING = 'ValidatingAdmissionPolicyBinding';
  const two = configured('profiles: {userns: {mayChoose: [gvisor]}, gvisor: {}}');
  const backstopIn = ({ objects }: Memory, kind = BINDING): string[] =>
    [...objects.values()].filter((each) => each.kind === kind && isOfBackstop(each)).map(({ metadata }) => metadata.name);

  async function run(state: DesiredState, cluster: Memory, given: Found = able) {
    return reconcile(state, dependenciesOf(cluster, podsOf(given, cluster)), timeouts);
  }

  test('T28: are written at once, before any serving pod is ready', async () => {
    const cluster = clusterOf({ ...able, pods: [] }, () => {});
    const { plan } = await run(two, cluster, { ...able, pods: [] });
    expect(plan.waiting.length).toBeGreaterThan(0);
    expect(backstopIn(cluster, 'ValidatingAdmissionPolicy')).toEqual([
      'cloister-missing-policy',
      'cloister-profile-userns',
      'cloister-profile-gvisor',
      'cloister-unknown-profile',
    ]);
  });

  test('belong to their bindings, so that the cluster deletes them with these', async () => {
    const cluster = clusterOf(able, () => {});
    await run(two, cluster);
    const owner = cluster.objects.get(`${BINDING} cloister-profile-gvisor-namespace`);
    const title = 'ValidatingAdmissionPolicy cloister-profile-gvisor';
    const { apiVersion, kind, metadata } = owner as LiveObject;
    const wanted = [{ apiVersion, kind, name: metadata.name, uid: metadata.uid }];
    expect(cluster.objects.get(title)?.metadata.ownerReferences).toEqual(wanted);
    // Another object of the same name took the place of the binding.
    cluster.objects.set(titleOf(owner as LiveObject), { ...(owner as LiveObject), metadata: { ...metadata, uid: 'other' } });
    await run(two, cluster);
    expect(cluster.objects.get(title)?.metadata.ownerReferences).toEqual([{ ...wanted[0], uid: 'other' }]);
  });

  test.each([
    [
      'a profile is removed',
      configured('profiles: {userns: {}}'),
      ['cloister-profile-userns-namespace', 'cloister-profile-userns-unlabelled'],
    ],
    ['they are switched off', configured('', false), []],
  ])('lose their bindings where %s, and other bindings with the label stay', async (_, state, left) => {
    const cluster = clusterOf(able, () => {});
    await run(two, cluster);
    const foreign = {
      apiVersion: 'x/v1',
      kind: BINDING,
      metadata: { name: 'foreign', labels: { 'app.kubernetes.io/component': 'backstop' } },
    };
    await cluster.create(foreign);
    const { plan } = await run(state, cluster);
    expect(plan.steps).toEqual([]);
    expect(backstopIn(cluster).filter((name) => name.startsWith('cloister-profile-'))).toEqual(left);
    expect(backstopIn(cluster)).toContain('foreign');
  });

  test('lose the bindings that refuse pods without a policy first, because each policy is deleted with its binding', async () => {
    const cluster = clusterOf(able, () => {});
    await run(two, cluster);
    const deleted: string[] = [];
    const { delete: remove } = cluster;
    cluster.delete = (live) => {
      deleted.push(live.metadata.name);
      return remove(live);
    };
    await run(configured('', false), cluster);
    const areOfMissing = deleted.map((name) => name.startsWith('cloister-missing-policy'));
    expect(areOfMissing).toEqual(areOfMissing.toSorted().reverse());
    expect(areOfMissing.filter(Boolean)).toHaveLength(6);
    expect(deleted.length).toBeGreaterThan(3);
  });

  test('T72: bindings that may not be deleted are listed, and everything else is written', async () => {
    const cluster = clusterOf(able, () => {});
    await run(two, cluster);
    const forbidden = async (): Promise<boolean> => {
      throw new ClusterError('no', { isRetryable: false, status: 403 });
    };
    const state = configured('profiles: {userns: {grant: containers}}');
    const { plan } = await reconcile(
      state,
      { ...dependenciesOf(cluster, podsOf(able, cluster)), cluster: { ...cluster, delete: forbidden } },
      timeouts,
    );
    expect(plan.waiting).toEqual([]);
    expect(plan.steps.map(({ do: what, object }) => `${what} ${object.metadata.name}`)).toEqual([
      'delete cloister-missing-policy-gvisor-namespace',
      'delete cloister-missing-policy-gvisor-chosen',
      'delete cloister-missing-policy-gvisor-opted-in',
      'delete cloister-profile-gvisor-namespace',
      'delete cloister-profile-gvisor-chosen',
      'delete cloister-profile-gvisor-unlabelled',
    ]);
  });

  test('change with the entries: not while a serving pod answers with another configuration, but while none answers', async () => {
    const cluster = clusterOf(able, () => {});
    await run(two, cluster);
    const state = configured('profiles: {userns: {grant: none, mayChoose: [gvisor]}, gvisor: {}}');
    const specNow = (): string => JSON.stringify(cluster.objects.get('ValidatingAdmissionPolicy cloister-profile-userns')?.spec);
    const before = specNow();
    const older: Found = { ...able, pods: [{ presents: 'young', isReady: true, isCurrent: false, follows: true }] };
    const { plan } = await run(state, cluster, older);
    expect(plan.waiting.map(({ step }) => step.object.metadata.name)).toContain('cloister-profile-userns');
    expect(specNow()).toBe(before);
    await run(state, cluster, { ...able, pods: [{ presents: null, isReady: true, isCurrent: false, follows: false }] });
    expect(specNow()).not.toBe(before);
  });
});
