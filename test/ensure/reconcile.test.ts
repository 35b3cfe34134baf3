import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Cluster, ClusterError } from '../../src/cluster/client.ts';
import { type LiveObject, type Reference, titleOf } from '../../src/cluster/object.ts';
import type { ServingPod } from '../../src/cluster/serving.ts';
import { parseConfig } from '../../src/config.ts';
import { namesOf, secretsOf, type Wanted } from '../../src/ensure/plan.ts';
import { bring, type World } from '../../src/ensure/reconcile.ts';
import { type Entry, entriesOf } from '../../src/manifests/entries.ts';
import { policies } from '../../src/manifests/policies.ts';
import { createAuthority, issueCertificate } from '../../src/tls/certificate.ts';
import { certificatesIn, type Issued } from '../../src/tls/pem.ts';
import { RUNS } from '../support/properties.ts';
import { SEED } from '../support/seed.ts';

/**
 * `cloister ensure` from any state that a cluster can be found in, on a cluster in memory: it comes to an end, it keeps its hands off, and no
 * write of it ever makes the API server distrust a pod that it trusted.
 */

const now = new Date('2030-01-01T00:00:00Z');
const DAY = 24 * 60 * 60 * 1_000;
const service = { namespace: 'cloister', name: 'cloister' };
const config = parseConfig('apiVersion: cloister.dev/v1alpha1\nkind: Config\n', 'config.yaml');
if (!config.ok) throw new Error(config.error.join());
const wanted: Wanted = {
  service,
  certificates: 'ensure',
  configurations: entriesOf(config.value, { service }),
  policies: policies(),
  version: '1',
  configuration: 'digest',
  overlapMs: 600_000,
};
const secrets = secretsOf(wanted);

const days = (count: number): Date => new Date(now.getTime() + count * DAY);
const authorityMadeAt = (at: Date): Promise<Issued> => createAuthority('ca', { now: at, days: 365 });
const leafOf = (authority: Issued, at: Date): Promise<Issued> => issueCertificate(authority, namesOf(service), { now: at, days: 30 });
/** Made beforehand, since making them takes most of the time. */
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

/** A cluster and its serving pods, as they may be found. */
const found = fc.record({
  authority: secretState,
  serving: secretState,
  remembered: fc.subarray(names),
  entries: fc.tuple(...wanted.configurations.map(() => fc.constantFrom<EntriesState>('missing', 'empty', 'drifted', 'whole'))),
  published: fc.subarray(names),
  handsOff: fc.subarray([secrets.authority, secrets.serving, ...wanted.configurations].map(titleOf)),
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

/** Cases that once failed. */
const KEPT: readonly Found[] = [
  {
    // An authority that is no good, and that nobody may replace, while its predecessor is at work.
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
  const configuration = wanted.configurations[index];
  if (state === 'missing' || configuration === undefined) return undefined;
  const { webhooks, ...empty } = configuration;
  if (state === 'empty') return empty;
  const whole = webhooks.map((entry) => ({ ...entry, clientConfig: { ...entry.clientConfig, caBundle } }));
  return { ...empty, webhooks: state === 'drifted' ? whole.slice(1).map((entry) => ({ ...entry, failurePolicy: 'Ignore' })) : whole };
}

interface Memory extends Cluster {
  readonly objects: Map<string, LiveObject>;
}

/** What the API server does with objects: versions, and conflicts. */
function memory(initial: readonly object[], onWrite: (title: string) => void): Memory {
  const objects = new Map<string, LiveObject>();
  let version = 0;
  const put = (object: Reference): void => {
    version += 1;
    objects.set(titleOf(object), structuredClone({ ...object, metadata: { ...object.metadata, resourceVersion: String(version) } }));
  };
  for (const object of initial) put(object as Reference);
  return {
    objects,
    read: async (object) => structuredClone(objects.get(titleOf(object))),
    list: async () => [],
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
  };
}

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

/** Serving pods, which take up what the Secret holds when they are given time. */
function podsOf(state: Found, cluster: Memory) {
  const leaves = state.pods.map(({ presents }) =>
    presents === null ? undefined : new X509Certificate((LEAVES.get(presents) as Issued).certificate),
  );
  return {
    leaves,
    ask: async (): Promise<readonly ServingPod[]> =>
      state.pods.map(({ isReady, isCurrent }, index) => {
        const leaf = leaves[index];
        const told = { address: `10.0.0.${index}:8443`, isReady, version: '1', configuration: isCurrent ? 'digest' : 'older' };
        return leaf === undefined ? { ...told, problem: `${told.address} does not answer` } : { ...told, leaf };
      }),
    takeUp(): void {
      const leaf = leafIn(cluster.objects.get(titleOf(secrets.serving)));
      for (const [index, { follows }] of state.pods.entries()) if (follows && leaf !== undefined) leaves[index] = leaf;
    },
  };
}

function entriesOfCluster({ objects }: Memory): readonly Entry[] {
  return wanted.configurations.flatMap((each) => (objects.get(titleOf(each))?.webhooks ?? []) as readonly Entry[]);
}

/** As an API server decides it: by the authorities of the entry, at the time. */
function trusts({ clientConfig }: Entry, leaf: X509Certificate): boolean {
  if (now >= leaf.validToDate || now < leaf.validFromDate) return false;
  const authorities = certificatesIn(Buffer.from(clientConfig.caBundle ?? '', 'base64').toString());
  return authorities.some((each) => now < each.validToDate && leaf.checkIssued(each) && leaf.verify(each.publicKey));
}

function isTrusted(entries: readonly Entry[], leaf: X509Certificate): boolean {
  return entries.length > 0 && entries.every((entry) => trusts(entry, leaf));
}

const silent: World['logger'] = { info() {}, warn() {} };
const patience = { settleMs: 1, waitMs: 3_000 };

function worldOf(cluster: Memory, pods: ReturnType<typeof podsOf>): World {
  return { cluster, askServers: pods.ask, now: () => now, pause: async () => pods.takeUp(), logger: silent };
}

describe('T64, F19: from any state', () => {
  test('a run ends; hands off is kept; no pod that was trusted is distrusted; a second run has nothing to write', {
    timeout: 240_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(found, async (state) => {
        let before: readonly Entry[] = [];
        const cluster = clusterOf(state, (title) => {
          expect(marked).not.toContain(title);
          const after = entriesOfCluster(cluster);
          // Nothing that is presented becomes distrusted, and what pods will present next is trusted already.
          for (const leaf of pods.leaves) if (leaf !== undefined && isTrusted(before, leaf)) expect(isTrusted(after, leaf)).toBe(true);
          const next = leafIn(cluster.objects.get(title));
          if (title === titleOf(secrets.serving) && next !== undefined && after.length > 0) expect(isTrusted(after, next)).toBe(true);
          before = after;
        });
        before = entriesOfCluster(cluster);
        const marked = [...cluster.objects].filter(([, { metadata }]) => metadata.annotations !== undefined).map(([title]) => title);
        const pods = podsOf(state, cluster);
        await bring(wanted, worldOf(cluster, pods), patience);
        const again = await bring(wanted, worldOf(cluster, pods), patience);
        expect(again.plan.steps).toEqual([]);
        expect((await bring(wanted, worldOf(cluster, pods), patience)).writes).toBe(0);
      }),
      { seed: SEED, numRuns: RUNS * 0.01, examples: KEPT.map((each): [Found] => [each]) },
    );
  });

  test('all is whole in the end, where nothing is marked and a ready pod follows', async () => {
    const able = found.map((state) => ({
      ...state,
      handsOff: [],
      pods: [{ presents: null, isReady: true, isCurrent: true, follows: true }],
    }));
    await fc.assert(
      fc.asyncProperty(able, async (state) => {
        const cluster = clusterOf(state, () => {});
        const pods = podsOf(state, cluster);
        const { plan } = await bring(wanted, worldOf(cluster, pods), patience);
        expect([plan.waiting, plan.left]).toEqual([[], []]);
        const entries = entriesOfCluster(cluster);
        expect(entries.map(({ name }) => name)).toEqual(wanted.configurations.flatMap(({ webhooks }) => webhooks.map(({ name }) => name)));
        pods.takeUp();
        const [leaf] = pods.leaves;
        expect(leaf !== undefined && isTrusted(entries, leaf)).toBe(true);
      }),
      { seed: SEED, numRuns: RUNS * 0.005 },
    );
  });
});

describe('others at work', () => {
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

  test('who undoes each write is found out', async () => {
    const cluster = clusterOf(state, () => cluster.objects.clear());
    await expect(bring(wanted, worldOf(cluster, podsOf(state, cluster)), patience)).rejects.toThrow('is changed back time and again');
  });

  test('what may pass is tried again, a few times; what may not is told at once', async () => {
    for (const [isRetryable, expected] of [
      [true, 3],
      [false, 1],
    ] as const) {
      let asked = 0;
      const cluster = clusterOf(state, () => {});
      const broken = {
        ...cluster,
        create: async () => {
          asked += 1;
          return fail(isRetryable)();
        },
      };
      await expect(bring(wanted, { ...worldOf(cluster, podsOf(state, cluster)), cluster: broken }, patience)).rejects.toThrow('no');
      expect(asked).toBe(expected);
    }
  });

  test('a moment’s failure is survived', async () => {
    const cluster = clusterOf(state, () => {});
    let asked = 0;
    const flaky: Cluster = {
      ...cluster,
      async read(object) {
        asked += 1;
        return asked === 5 ? fail(true)() : cluster.read(object);
      },
    };
    const { plan } = await bring(wanted, { ...worldOf(cluster, podsOf(state, cluster)), cluster: flaky }, { ...patience, waitMs: 0 });
    expect(plan.steps).toEqual([]);
  });
});
