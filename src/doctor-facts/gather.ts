import { type ApiConnection, ClusterError, FORBIDDEN, PLAIN_TEXT, rejectionOf, versionIn } from '../cluster/client.ts';
import { differences } from '../cluster/difference.ts';
import { collectionPath, type LiveObject, titleOf } from '../cluster/object.ts';
import { pages } from '../cluster/pages.ts';
import { type Endpoint, endpointsOf, observePod } from '../cluster/serving.ts';
import { PROFILE_LABEL } from '../core/labels.ts';
import { MUTATING_CONFIGURATION, VALIDATING_CONFIGURATION } from '../core/object-names.ts';
import type { Context } from '../doctor/check.ts';
import type {
  ApiServerVersion,
  EntryDrift,
  Fact,
  FactName,
  Facts,
  FactValues,
  GovernedPod,
  LiveConfiguration,
  LiveEntry,
  Neighbour,
  ObjectDrift,
} from '../doctor/facts.ts';
import { isNeverGoverned, profileByModeIn } from '../doctor/in-force.ts';
import { ORIGINS } from '../doctor/rights.ts';
import { authoritiesOf, entriesIn, isHandsOff, namesOf } from '../ensure/objects.ts';
import { printDifference, printEntryDifferences } from '../ensure/wording.ts';
import { policiesBesideWebhook } from '../in-tree/beside.ts';
import { causeOf, eventCauses } from '../live/events.ts';
import { classFactsOf, type EventFacts, eventFactsOf, nodeFactsOf } from '../live/facts.ts';
import { type Entry, entriesOf, type Target } from '../manifests/entries.ts';
import { storageOf } from '../manifests/storage.ts';
import { isSignedBy } from '../tls/renewal.ts';
import { readKubelets } from './kubelets.ts';
import { admissionIn, gatesIn } from './metrics.ts';
import { missingRight } from './missing-right.ts';
import * as live from './objects.ts';
import { probeLabel, probePods } from './probes.ts';
import { type ProofSettings, runProofs } from './proofs.ts';

/** Where facts come from. */
export interface FactSource {
  readonly api: ApiConnection;
  readonly context: Context;
  readonly target: Extract<Target, { readonly service: unknown }>;
  /** The serving pods; absent: those of the EndpointSlices of the Service. */
  readonly servingEndpoints?: readonly Endpoint[];
  readonly operationsPort: number;
  /** Time limit for reading all objects of one kind, or the text of one path, in milliseconds. */
  readonly timeoutMs?: number;
  /** How pods are run, where a check asks for it. */
  readonly proofs?: ProofSettings;
  /** Ends all reading; its reason is thrown after the pods that run are deleted. */
  readonly signal?: AbortSignal;
}

/** Reads facts, all at the same time. What cannot be read is missing, with the reason. */
export async function gatherFacts(names: readonly FactName[], source: FactSource): Promise<Facts> {
  const reading = readingOf(names, { ...source, api: withSignal(source.api, source.signal) });
  const all = Object.keys(ORIGINS) as FactName[];
  const read = all.map(async (name) => [name, await reading.fact(name)] as const);
  // An error of one reader is thrown when every other one has ended: pods that run are deleted first.
  await Promise.allSettled(read);
  return Object.fromEntries(await Promise.all(read)) as Facts;
}

/** The connection, each of whose requests ends with the signal unless it has a signal of its own. */
const withSignal = (api: ApiConnection, signal: AbortSignal | undefined): ApiConnection =>
  signal === undefined ? api : { ...api, send: (method, path, content) => api.send(method, path, { signal, ...content }) };

/** A command sends this request first: if the API server does not answer it within 10 s, other requests fail, too. @throws ClusterError */
export async function readVersion(api: ApiConnection): Promise<ApiServerVersion> {
  const response = await api.send('GET', '/version');
  if (response.status >= 300) throw missingRight(rejectionOf(api, response, 'read /version'), { path: '/version', verbs: ['get'] });
  const version = versionIn(response.body);
  if (version === undefined) throw new ClusterError(`${api.server} reports no version of Kubernetes`, { isRetryable: false });
  const { gitVersion = `v${version.major}.${version.minor}` } = response.body as { readonly gitVersion?: string };
  return { text: gitVersion, ...version };
}

/**
 * The Service that the webhook entries in the cluster name.
 * @param timeoutMs for the whole list
 * @returns undefined: there are no entries, or they may not be listed; throws a ClusterError
 */
export async function findService(api: ApiConnection, timeoutMs = LIST_TIMEOUT_MS): Promise<FactSource['target'] | undefined> {
  const query = {
    apiVersion: ADMISSION,
    kind: 'ValidatingWebhookConfiguration',
    fields: `metadata.name=${VALIDATING_CONFIGURATION}`,
    size: 1,
  };
  try {
    for await (const { items } of pages(api, query, { signal: AbortSignal.timeout(timeoutMs) })) {
      const [service] = (items as readonly LiveObject[]).flatMap(entriesIn).flatMap(({ clientConfig }) => clientConfig.service ?? []);
      return service && { service: { namespace: service.namespace, name: service.name, port: service.port } };
    }
  } catch (error) {
    if (isTimeout(error)) throw tooSlow(query.kind, timeoutMs);
    if (!(error instanceof ClusterError) || error.status !== FORBIDDEN) throw error;
  }
  return undefined;
}

const NOT_READ = { missing: 'no check asked for it' };
const NOT_FOUND = 404;
/** Objects in a page. */
const PAGE_SIZE = 100;
/** With more namespaces, one list of all pods takes fewer requests than a list for each. */
const MAX_LISTS = 20;
const RUNNING = 'status.phase!=Succeeded,status.phase!=Failed';
const ADMISSION = 'admissionregistration.k8s.io/v1';

interface Place {
  readonly namespace?: string;
  readonly labels?: string;
  readonly fields?: string;
}

interface Reading {
  /** A fact that a check asked for, or why it is missing. */
  fact<Name extends FactName>(name: Name): Promise<Fact<FactValues[Name]>>;
  /** Throws a ClusterError that names the missing right. Each fact is read once, however many others need it. */
  value<Name extends FactName>(name: Name): Promise<FactValues[Name]>;
  /** Lists every object of a kind. Before the next page is read, each object of a page is reduced to the parts that are needed. */
  list<Live, T>(apiVersion: string, kind: string, reduce: (object: Live) => T, place?: Place): Promise<readonly T[]>;
  /** The answer of a path, as a text. */
  text(path: string): Promise<string>;
  /** What several facts need, read once. */
  once<T>(name: string, read: () => Promise<T>): Promise<T>;
}

function readingOf(names: readonly FactName[], source: FactSource): Reading {
  const { api, timeoutMs = LIST_TIMEOUT_MS, signal } = source;
  const signals = signal === undefined ? [] : [signal];
  const known = new Map<string, Promise<unknown>>();
  const reading: Reading = {
    async fact(name) {
      if (!names.includes(name)) return NOT_READ;
      try {
        return { value: await reading.value(name) };
      } catch (error) {
        if (!(error instanceof ClusterError)) throw error;
        return { missing: error.message };
      }
    },
    value: <Name extends FactName>(name: Name) => reading.once(name, () => READERS[name](reading, source) as Promise<FactValues[Name]>),
    once<T>(name: string, read: () => Promise<T>) {
      const found = (known.get(name) as Promise<T> | undefined) ?? read();
      known.set(name, found);
      return found;
    },
    async list<Live, T>(apiVersion: string, kind: string, reduce: (object: Live) => T, place: Place = {}) {
      const found: T[] = [];
      try {
        const query = { apiVersion, kind, size: PAGE_SIZE, ...place };
        for await (const { items } of pages(api, query, { signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), ...signals]) })) {
          for (const item of items) found.push(reduce(item as Live));
        }
      } catch (error) {
        if (isTimeout(error)) throw tooSlow(kind, timeoutMs);
        throw missingRight(error, { group: groupOf(apiVersion), resource: resourceOf(apiVersion, kind), verbs: ['list'] });
      }
      return found;
    },
    text: (path) =>
      reading.once(path, async () => {
        const response = await api.send('GET', path, { accept: PLAIN_TEXT, timeoutMs });
        if (response.status >= 300) throw missingRight(rejectionOf(api, response, `read ${path}`), { path, verbs: ['get'] });
        return response.body as string;
      }),
  };
  return reading;
}

const LIST_TIMEOUT_MS = 60_000;

const groupOf = (apiVersion: string): string => (apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '');
const resourceOf = (apiVersion: string, kind: string): string => collectionPath(apiVersion, kind, undefined).split('/').at(-1) ?? '';

const isTimeout = (error: unknown): boolean => error instanceof DOMException && error.name === 'TimeoutError';
const tooSlow = (kind: string, timeoutMs: number): ClusterError =>
  new ClusterError(`the list of ${kind} objects took longer than ${timeoutMs / 1_000} s`, { isRetryable: true });

const isOurs = ({ name }: { readonly name: string }): boolean => name === MUTATING_CONFIGURATION || name === VALIDATING_CONFIGURATION;

const READERS: { readonly [Name in FactName]: (reading: Reading, source: FactSource) => Promise<FactValues[Name]> } = {
  serverVersion: (_, { api }) => readVersion(api),
  async gates(reading) {
    const read = await reading.text('/metrics').then(gatesIn, (error: unknown) => error as Error);
    if (!(read instanceof Error)) return read;
    const admitted = await gatesShownBy(reading);
    if (admitted.size === 0) throw read;
    return admitted;
  },
  admission: async (reading) => admissionIn(await reading.text('/metrics')),
  async hasPolicies(_, { api }) {
    const path = `/apis/${ADMISSION}`;
    const response = await api.send('GET', path);
    if (response.status === NOT_FOUND) return false;
    if (response.status >= 300) throw missingRight(rejectionOf(api, response, `read ${path}`), { path, verbs: ['get'] });
    const { resources = [] } = response.body as { readonly resources?: readonly { readonly name: string }[] };
    return resources.some(({ name }) => name === 'validatingadmissionpolicies');
  },
  nodes: async (reading) => (await reading.list('v1', 'Node', nodeFactsOf)).filter(isKnown),
  classes: async (reading) => (await reading.list('node.k8s.io/v1', 'RuntimeClass', classFactsOf)).filter(isKnown),
  namespaces: (reading) => reading.list('v1', 'Namespace', live.namespaceOf),
  async governedPods(reading, { context }) {
    const names = await enforcingNames(reading, context);
    const podOf = (pod: ListedPod): GovernedPod => live.governedPodOf(pod, context.profiles.values());
    const optedIn = await reading.list('v1', 'Pod', podOf, { fields: RUNNING, labels: PROFILE_LABEL });
    const governed = await podsIn(names, reading, podOf);
    const outside = optedIn.filter(({ namespace }) => !names.includes(namespace) && mayGovern(namespace, context));
    return [...governed, ...outside];
  },
  async neighbours(reading, { context }) {
    const [governed, enforcing] = await Promise.all([reading.value('governedPods'), enforcingNames(reading, context)]);
    const optedIn = governed.filter(({ namespace, claims }) => claims.length > 0 && !enforcing.includes(namespace));
    const neighbourOf = (pod: ListedPod): Neighbour => {
      const { namespace, name, claims, walls } = live.governedPodOf(pod, context.profiles.values());
      return { namespace, name, claims, walls };
    };
    const names = [...new Set(optedIn.map(({ namespace }) => namespace))];
    const known = new Set(governed.map(({ namespace, name }) => `${namespace}/${name}`));
    return (await podsIn(names, reading, neighbourOf)).filter(({ namespace, name }) => !known.has(`${namespace}/${name}`));
  },
  async events(reading, { context }) {
    const [governed, enforcing] = await Promise.all([reading.value('governedPods'), enforcingNames(reading, context)]);
    const wanted = new Set([...enforcing, ...governed.map(({ namespace }) => namespace)]);
    const known = (document: unknown): EventFacts | undefined => {
      const event = eventFactsOf(document);
      return event && wanted.has(event.namespace) && causeOf(event) ? event : undefined;
    };
    const timeOf = ({ time }: EventFacts): number => time?.getTime() ?? 0;
    const lists = EVENT_REASONS.map((reason) => reading.list('v1', 'Event', known, { fields: `type=Warning,reason=${reason}` }));
    const found = (await Promise.all(lists)).flat().filter(isKnown);
    return found.toSorted((a, b) => timeOf(b) - timeOf(a));
  },
  installerPods: (reading) => reading.list('v1', 'Pod', live.installerPodOf, { labels: INSTALLER_PODS, fields: RUNNING }),
  async deviceClaims(reading) {
    const kinds = ['ResourceClaim', 'ResourceClaimTemplate'] as const;
    const lists = kinds.map((kind) =>
      listIfServed(reading, 'resource.k8s.io/v1', kind, (each: ListedPod) => live.deviceClaimOf(kind, each)),
    );
    // An API server before 1.34 does not have the version, nor the feature by default.
    return (await Promise.all(lists)).flatMap((found) => found ?? []);
  },
  async deployment(reading, { context: { service } }) {
    const [first] = await reading.list('apps/v1', 'Deployment', live.deploymentOf, { namespace: service.namespace, labels: WEBHOOK_PODS });
    return first;
  },
  ownPods: (reading, { context: { service } }) =>
    reading.list('v1', 'Pod', live.ownPodOf, { namespace: service.namespace, labels: WEBHOOK_PODS, fields: RUNNING }),
  budgets: (reading, { context: { service } }) =>
    reading.list('policy/v1', 'PodDisruptionBudget', live.budgetOf, { namespace: service.namespace, labels: WEBHOOK_PODS }),
  async endpoints(reading, source) {
    return (await endpointsIn(reading, source)).map(({ host, port, isReady }) => ({ address: `${host}:${port}`, isReady }));
  },
  async servingPods(reading, source) {
    const endpoints = source.servingEndpoints ?? (await endpointsIn(reading, source));
    const ours = (await liveConfigurations(reading)).filter(({ metadata }) => isOurs(metadata)).flatMap(entriesIn);
    const [name] = namesOf(source.context.service);
    const pods = await Promise.all(endpoints.map((each) => observePod(each, name)));
    return pods.map(({ address, version, configuration, leaf, problem }) => ({
      address,
      version,
      configuration,
      problem,
      leaf: leaf && {
        serial: leaf.serialNumber,
        from: leaf.validFromDate,
        to: leaf.validToDate,
        distrustedBy: ours.filter((entry) => !authoritiesOf(entry).some((each) => isSignedBy(leaf, each))).map((entry) => entry.name),
        coversService: leaf.checkHost(name, { subject: 'never' }) !== undefined,
      },
    }));
  },
  async entryDrift(reading, { context, target }) {
    const found = new Map((await liveConfigurations(reading)).map((each) => [titleOf(each), each]));
    return entriesOf(context, target).map((desired): EntryDrift => {
      const title = titleOf(desired);
      const object = found.get(title);
      if (object === undefined || entriesIn(object).length === 0) {
        return { title, isMissing: true, differences: [], foreign: [], isHandsOff: object !== undefined && isHandsOff(object) };
      }
      const entries = entriesIn(object).map(withoutBundle);
      const names = new Set(desired.webhooks.map(({ name }) => name));
      return {
        title,
        isMissing: false,
        differences: printEntryDifferences(
          entries.filter(({ name }) => names.has(name)),
          desired.webhooks,
        ),
        foreign: entries.filter(({ name }) => !names.has(name)).map(({ name }) => name),
        isHandsOff: isHandsOff(object),
      };
    });
  },
  async policyDrift(reading, { context, target }) {
    const kinds = ['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'];
    const listed = await Promise.all(kinds.map((kind) => reading.list(ADMISSION, kind, (object: LiveObject) => ({ ...object, kind }))));
    const found = new Map<string, LiveObject>(listed.flat().map((each) => [titleOf(each), each]));
    return policiesBesideWebhook(context, target).map((desired): ObjectDrift => {
      const title = titleOf(desired);
      const object = found.get(title);
      if (object === undefined) return { title, isMissing: true, differences: [], isHandsOff: false };
      return {
        title,
        isMissing: false,
        differences: differences(object.spec, desired.spec, ['spec']).map(printDifference),
        isHandsOff: isHandsOff(object),
      };
    });
  },
  async webhooks(reading) {
    return (await liveConfigurations(reading)).map((each) => ({
      kind: each.kind as LiveConfiguration['kind'],
      name: each.metadata.name,
      entries: entriesIn(each) as readonly LiveEntry[],
    }));
  },
  async mutatingPolicies(reading) {
    const of = (version: string) =>
      listIfServed(reading, `admissionregistration.k8s.io/${version}`, 'MutatingAdmissionPolicy', live.mutatingPolicyOf);
    return (await of('v1')) ?? (await of('v1beta1')) ?? [];
  },
  async authorities(reading) {
    const ours = (await liveConfigurations(reading)).filter(({ metadata }) => isOurs(metadata)).flatMap(entriesIn);
    const found = new Map(ours.flatMap(authoritiesOf).map((each) => [each.fingerprint256, each]));
    return [...found.values()].map(({ serialNumber, validFromDate, validToDate }) => ({
      serial: serialNumber,
      from: validFromDate,
      to: validToDate,
    }));
  },
  async ensureJob(reading, { context: { service } }) {
    const [first] = await reading.list('batch/v1', 'CronJob', live.ensureJobOf, { namespace: service.namespace, labels: ENSURE_PODS });
    return first;
  },
  async rbac(reading) {
    const rbac = 'rbac.authorization.k8s.io/v1';
    const [clusterRoles, roles, clusterBindings, bindings] = await Promise.all([
      reading.list(rbac, 'ClusterRole', live.roleOf),
      reading.list(rbac, 'Role', live.roleOf),
      reading.list(rbac, 'ClusterRoleBinding', live.bindingOf),
      reading.list(rbac, 'RoleBinding', live.bindingOf),
    ]);
    return { roles: [...clusterRoles, ...roles], bindings: [...clusterBindings, ...bindings] };
  },
  async claims(reading) {
    const volumes = await reading.list(
      'v1',
      'PersistentVolume',
      (each: live.LiveVolume) => [each.metadata.name, storageOf(each.spec)] as const,
    );
    const storage = new Map(volumes);
    return reading.list('v1', 'PersistentVolumeClaim', (each: live.LiveClaim) => live.claimOf(each, storage));
  },
  quotas: (reading) => reading.list('v1', 'ResourceQuota', live.quotaOf),
  networkPolicies: (reading) => reading.list('networking.k8s.io/v1', 'NetworkPolicy', live.networkPolicyOf),
  limitRanges: (reading) => reading.list('v1', 'LimitRange', live.limitRangeOf),
  probes: async (reading, { api, context }) => probePods(api, context, await lastingNamespaces(reading)),
  labelProbe: async (reading, { api, context }) => probeLabel(api, context, await lastingNamespaces(reading)),
  kubelets: async (reading, { api }) =>
    readKubelets(
      api,
      (await reading.value('nodes')).map(({ name }) => name),
    ),
  async proofs(reading, { api, context, proofs = { nodes: 'kinds' }, signal }) {
    const [namespaces, nodes, deployment] = await Promise.all([
      lastingNamespaces(reading),
      reading.value('nodes'),
      reading.value('deployment'),
    ]);
    return runProofs({ api, context, namespaces, nodes, deployment, settings: proofs, signal });
  },
};

/** Label selectors of what the chart installs: the serving pods with their Deployment, and the CronJob of `ensure`. */
const WEBHOOK_PODS = 'app.kubernetes.io/name=cloister,app.kubernetes.io/component=webhook';
const ENSURE_PODS = 'app.kubernetes.io/name=cloister,app.kubernetes.io/component=ensure';

/** As the chart labels the pods of its DaemonSet. */
const INSTALLER_PODS = 'app.kubernetes.io/name=cloister,app.kubernetes.io/component=node-profile';

type ListedPod = Parameters<typeof live.governedPodOf>[0];

/** The reasons of the events whose cause can be known: a field selector has one of them. */
const EVENT_REASONS: readonly string[] = [...new Set(eventCauses.flatMap(({ reasons }) => reasons))];

const isKnown = <T>(found: T | undefined): found is T => found !== undefined;

async function enforcingNames(reading: Reading, context: Context): Promise<readonly string[]> {
  return (await reading.value('namespaces')).filter((each) => profileByModeIn(each, context).enforce !== undefined).map(({ name }) => name);
}

/** The pods of these namespaces: a list for each, or one of all where there are many. */
async function podsIn<T>(names: readonly string[], reading: Reading, reduce: (pod: ListedPod) => T): Promise<readonly T[]> {
  if (names.length <= MAX_LISTS) {
    return (await Promise.all(names.map((namespace) => reading.list('v1', 'Pod', reduce, { namespace, fields: RUNNING })))).flat();
  }
  const wanted = new Set(names);
  const reduceWanted = (pod: ListedPod): readonly T[] => (wanted.has(pod.metadata.namespace ?? '') ? [reduce(pod)] : []);
  return (await reading.list('v1', 'Pod', reduceWanted, { fields: RUNNING })).flat();
}

/** @returns undefined: the API server does not have the version, or the kind */
async function listIfServed<Live, T>(
  reading: Reading,
  apiVersion: string,
  kind: string,
  reduce: (object: Live) => T,
): Promise<readonly T[] | undefined> {
  try {
    return await reading.list(apiVersion, kind, reduce);
  } catch (error) {
    if (!(error instanceof ClusterError) || error.status !== NOT_FOUND) throw error;
    return undefined;
  }
}

const mayGovern = (namespace: string, context: Context): boolean =>
  !isNeverGoverned(namespace, context) && context.only?.includes(namespace) !== false;

/** The feature gates that are known to be on, because the API server kept their fields in a dry run; empty without dry runs (`--read-only`). */
async function gatesShownBy(reading: Reading): Promise<ReadonlyMap<string, boolean>> {
  const fact = await reading.fact('probes');
  const pods = 'missing' in fact ? [] : fact.value.flatMap(({ outcome }) => (outcome.is === 'admitted' ? [outcome.pod] : []));
  return new Map([
    ...(pods.some(({ hostUsers }) => hostUsers === false) ? [['UserNamespacesSupport', true] as const] : []),
    ...(pods.some(({ isProcUnmasked }) => isProcUnmasked) ? [['ProcMountType', true] as const] : []),
  ]);
}

/** The namespaces that are not being deleted. Nothing can be created in a namespace that is being deleted. */
async function lastingNamespaces(reading: Reading): Promise<FactValues['namespaces']> {
  return (await reading.value('namespaces')).filter(({ isTerminating }) => !isTerminating);
}

function endpointsIn(reading: Reading, { context: { service }, operationsPort }: FactSource): Promise<readonly Endpoint[]> {
  return reading.once('EndpointSlices of the Service', async () => {
    const place = { namespace: service.namespace, labels: `kubernetes.io/service-name=${service.name}` };
    return endpointsOf(await reading.list('discovery.k8s.io/v1', 'EndpointSlice', (each: ListedSlice) => each, place), operationsPort);
  });
}

type ListedSlice = Parameters<typeof endpointsOf>[0][number];

/** Items of a list lack their kind. */
function liveConfigurations(reading: Reading): Promise<readonly LiveObject[]> {
  return reading.once('webhook configurations', async () => {
    const kinds = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'];
    const listed = await Promise.all(kinds.map((kind) => reading.list(ADMISSION, kind, (object: LiveObject) => ({ ...object, kind }))));
    return listed.flat();
  });
}

/** The entry without its caBundle, which the check `ca-matches` judges. */
function withoutBundle(entry: Entry): Entry {
  const { caBundle: _, ...clientConfig } = entry.clientConfig;
  return { ...entry, clientConfig };
}
