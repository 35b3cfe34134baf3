import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ApiConnection, type ApiResponse, ClusterError, FORBIDDEN, PASSED_ON, rejectionOf } from '../cluster/client.ts';
import { NAMESPACE_LABELS } from '../core/labels.ts';
import type { Toleration } from '../core/pod.ts';
import type { Profile } from '../core/profiles/profile.ts';
import { type Context, GIVE_RIGHTS } from '../doctor/check.ts';
import type { Deployment, Namespace, Proof, ProofOutcome } from '../doctor/facts.ts';
import { enforcing } from '../doctor/in-force.ts';
import { findProbeReport } from '../doctor/probe-report.ts';
import { hasUserNamespace } from '../doctor/profiles.ts';
import { chooseNodes, type NodeChoice } from '../doctor/proofs.ts';
import { causeOf, explainEvents } from '../live/events.ts';
import { type EventFacts, eventFactsOf, type NodeFacts } from '../live/facts.ts';
import { missingRight } from './missing-right.ts';
import { type PodManifest, plainPod } from './pods.ts';
import { DRY_RUN, isAllowed, rejectionIn } from './probes.ts';

/** How pods are run. */
export interface ProofSettings {
  readonly nodes: NodeChoice;
  /** undefined: that of the serving pods. */
  readonly image?: string | undefined;
  /** Until a pod prints its report, in milliseconds. */
  readonly waitMs?: number;
}

export interface ProofSource {
  readonly api: ApiConnection;
  readonly context: Context;
  /** Those in which something can be created. */
  readonly namespaces: readonly Namespace[];
  readonly nodes: readonly NodeFacts[];
  readonly deployment: Deployment | undefined;
  readonly settings: ProofSettings;
  /** Ends the proofs, and the requests of `api`; its reason is thrown after the pods are deleted. */
  readonly signal?: AbortSignal | undefined;
}

const WAIT_MS = 60_000;
const LOOK_EVERY_MS = 1_000;
/** Longer than `WAIT_MS`: all pods that printed a report ran at the same time. */
const DEADLINE_SECONDS = 90;
/** Pods at the same time. */
const MAX_PODS = 20;
const MANAGED_BY = { 'app.kubernetes.io/managed-by': 'cloister-doctor' };
const INSTANCE = 'app.kubernetes.io/instance';
/** A report has about 2 kB. */
const MAX_LOG_BYTES = 65_536;

/** A pod that is to run. */
interface PlannedPod {
  readonly profile: Profile;
  readonly namespace: string;
  readonly node: NodeFacts;
  readonly body: PodManifest;
}

/**
 * Runs a pod of each profile on each chosen node, and two where their ids are compared, and reads what they print. The pods are deleted before this function
 * returns or throws.
 */
export async function runProofs(source: ProofSource): Promise<readonly Proof[]> {
  const { profiles, profile: only } = source.context;
  const chosen = [...profiles.values()].filter(({ id }) => only === undefined || only === id);
  const instance = randomBytes(4).toString('hex');
  const planned = await Promise.all(chosen.map((profile) => planFor(profile, source, instance)));
  const found: Proof[] = planned.flatMap((plan) => ('pods' in plan ? [] : [plan]));
  const byNode = Map.groupBy(
    planned.flatMap((plan) => ('pods' in plan ? plan.pods : [])),
    ({ node }) => node.name,
  );
  for (const batch of batchesOf([...byNode.values()])) found.push(...(await runBatch(batch, source, instance)));
  return found;
}

/** The pods of a node run at the same time. */
function batchesOf(groups: readonly (readonly PlannedPod[])[]): readonly (readonly PlannedPod[])[] {
  const batches: PlannedPod[][] = [];
  for (const group of groups) {
    const last = batches.at(-1);
    if (last !== undefined && last.length + group.length <= MAX_PODS) last.push(...group);
    else batches.push([...group]);
  }
  return batches;
}

/** The pods of a profile, or why there are none. */
async function planFor(profile: Profile, source: ProofSource, instance: string): Promise<Proof | { readonly pods: readonly PlannedPod[] }> {
  const { api, context, namespaces, nodes, deployment, settings } = source;
  const about = { profile: profile.id, namespace: undefined, node: undefined, leftBehind: undefined };
  const notTried = (why: string, remedy: string): Proof => ({ ...about, outcome: { is: 'not tried', why, remedy } });
  const [namespace] = enforcing(profile.id, namespaces, context);
  if (namespace === undefined) {
    return notTried(
      'no namespace enforces the profile, and pods run only where one does',
      `Label a namespace with ${NAMESPACE_LABELS.enforce}=${profile.id}. This command creates no namespace.`,
    );
  }
  const image = settings.image ?? deployment?.image;
  if (image === undefined) {
    return notTried('there is no Deployment of Cloister whose image could run', 'Name the image of Cloister with --image.');
  }
  const place = { ...about, namespace: namespace.name };
  const mayDelete = await isAllowed(api, { group: '', resource: 'pods', verb: 'delete', namespace: namespace.name });
  if (!mayDelete) {
    const why = 'no pod is created that cannot be deleted: this identity needs delete on pods';
    return { ...place, outcome: { is: 'not tried', why, remedy: GIVE_RIGHTS } };
  }
  const makePod = (): PodManifest =>
    runningPod(profile, namespace, instance, {
      image,
      imagePullPolicy: settings.image === undefined ? deployment?.imagePullPolicy : undefined,
    });
  const path = `${podsIn(namespace.name)}?${DRY_RUN}`;
  const response = await api.send('POST', path, { body: makePod() });
  const rejection = rejectionIn(response);
  if (rejection !== undefined) return { ...place, outcome: rejection };
  const { nodeSelector = {}, tolerations = [] } = (response.body as RunningPod).spec;
  const found = chooseNodes(nodes, { nodeSelector, tolerations }, settings.nodes);
  if (found.length === 0) {
    const selects = Object.entries(nodeSelector).map(([key, value]) => `${key}=${value}`);
    const why = `no ready node takes the pods of the profile${selects.length === 0 ? '' : `, which ask for ${selects.join(', ')}`}`;
    return {
      ...place,
      outcome: { is: 'not tried', why, remedy: 'See the scheduling of the RuntimeClass, and the taints and labels of the nodes.' },
    };
  }
  await deleteEnded(api, namespace.name);
  // A user namespace is compared with another one.
  const copies = hasUserNamespace(profile) ? 2 : 1;
  const pods = found.flatMap((node) =>
    Array.from({ length: copies }, (): PlannedPod => ({ profile, namespace: namespace.name, node, body: makePod() })),
  );
  return { pods };
}

interface Image {
  readonly image: string;
  readonly imagePullPolicy: string | undefined;
}

/** The plain pod, which prints a report. No scheduler has its scheduler's name: this command binds it to its node, and the pod asks for no node. */
function runningPod(profile: Profile, namespace: Namespace, instance: string, image: Image): PodManifest {
  const args = ['probe', `--hold=${DEADLINE_SECONDS}s`];
  const pod = plainPod(profile, namespace, { ...MANAGED_BY, [INSTANCE]: instance }, { ...image, args, cpuLimit: '1' });
  return {
    ...pod,
    spec: {
      ...pod.spec,
      schedulerName: 'cloister-doctor',
      restartPolicy: 'Never',
      activeDeadlineSeconds: DEADLINE_SECONDS,
      terminationGracePeriodSeconds: 1,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
    },
  };
}

const podsIn = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`;

/** As the API server returns it. */
interface RunningPod {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly nodeSelector?: Readonly<Record<string, string>>;
    readonly tolerations?: readonly Toleration[];
    readonly securityContext?: SecurityContext;
    readonly containers: readonly { readonly securityContext?: SecurityContext }[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly containerStatuses?: readonly { readonly state?: ContainerState }[];
  };
}

interface SecurityContext {
  readonly seccompProfile?: { readonly localhostProfile?: string };
}

interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly running?: object;
  readonly terminated?: { readonly exitCode: number; readonly reason?: string };
}

/** Creates pods, waits for their reports, and deletes them: also after an error, and after the signal. */
async function runBatch(batch: readonly PlannedPod[], source: ProofSource, instance: string): Promise<readonly Proof[]> {
  const outcomes = new Map<PlannedPod, ProofOutcome>();
  const left = new Map<PlannedPod, string | undefined>();
  // A request that is interrupted may have created its pod: every pod that was asked for is deleted.
  const asked: PlannedPod[] = [];
  try {
    for (const pod of batch) {
      source.signal?.throwIfAborted();
      asked.push(pod);
      const refused = await startPod(pod, source);
      if (refused !== undefined) outcomes.set(pod, refused);
    }
    await watch(batch, outcomes, source, instance);
  } finally {
    await Promise.all(asked.map(async (pod) => left.set(pod, await deletePod(source.api, pod.namespace, pod.body.metadata.name))));
  }
  return batch.map((pod) => ({
    profile: pod.profile.id,
    namespace: pod.namespace,
    node: pod.node,
    outcome: outcomes.get(pod) ?? TOO_LATE,
    leftBehind: left.get(pod),
  }));
}

const TOO_LATE: ProofOutcome = { is: 'unread', why: 'the pod printed no report in time', remedy: 'Run this command again.' };

/** @returns undefined: the pod exists, and is bound to its node */
async function startPod({ namespace, node, body }: PlannedPod, { api }: ProofSource): Promise<ProofOutcome | undefined> {
  const created = await api.send('POST', podsIn(namespace), { body });
  const rejection = rejectionIn(created);
  if (rejection !== undefined) return rejection;
  const { name } = body.metadata;
  const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name }, target: { apiVersion: 'v1', kind: 'Node', name: node.name } };
  const bound = await api.send('POST', `${podsIn(namespace)}/${name}/binding`, { body: binding });
  if (bound.status < 300) return undefined;
  const why = messageOf(api, bound, `bind a pod to node ${node.name}`, { resource: 'pods/binding', verb: 'create' });
  return { is: 'not tried', why, remedy: GIVE_RIGHTS };
}

function messageOf(
  api: ApiConnection,
  response: ApiResponse,
  what: string,
  { resource, verb }: { readonly resource: string; readonly verb: string },
) {
  return (missingRight(rejectionOf(api, response, what), { group: '', resource, verbs: [verb] }) as Error).message;
}

/** Looks at the pods until each has an outcome, or the time is over. */
async function watch(
  batch: readonly PlannedPod[],
  outcomes: Map<PlannedPod, ProofOutcome>,
  source: ProofSource,
  instance: string,
): Promise<void> {
  const { settings, signal } = source;
  const end = performance.now() + (settings.waitMs ?? WAIT_MS);
  for (;;) {
    const isLast = performance.now() >= end;
    const waiting = batch.filter((pod) => !outcomes.has(pod));
    if (waiting.length === 0) return;
    for (const [namespace, pods] of Map.groupBy(waiting, (pod) => pod.namespace)) {
      const live = await listPods(source, namespace, instance);
      await Promise.all(
        pods.map(async (pod) => {
          const found = 'missing' in live ? live.missing : await outcomeOf(pod, live.pods.get(pod.body.metadata.name), source, isLast);
          if (found !== undefined) outcomes.set(pod, found);
        }),
      );
    }
    if (isLast) return;
    await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}

type ListedPods = { readonly pods: ReadonlyMap<string, RunningPod> } | { readonly missing: ProofOutcome };

async function listPods({ api }: ProofSource, namespace: string, instance: string): Promise<ListedPods> {
  const selector = encodeURIComponent(`${INSTANCE}=${instance}`);
  const response = await api.send('GET', `${podsIn(namespace)}?labelSelector=${selector}`);
  if (response.status >= 300) {
    const why = messageOf(api, response, `list pods in ${namespace}`, { resource: 'pods', verb: 'list' });
    return { missing: { is: 'unread', why, remedy: GIVE_RIGHTS } };
  }
  const { items } = response.body as { readonly items: readonly RunningPod[] };
  return { pods: new Map(items.map((pod) => [pod.metadata.name, pod])) };
}

/**
 * @param isLast whether the time is over
 * @returns undefined: it is not decided yet
 */
async function outcomeOf(
  planned: PlannedPod,
  pod: RunningPod | undefined,
  source: ProofSource,
  isLast: boolean,
): Promise<ProofOutcome | undefined> {
  if (pod === undefined) {
    return { is: 'unread', why: 'another client deleted the pod', remedy: 'Run this command again, and see who deletes pods there.' };
  }
  const { running, terminated, waiting } = pod.status?.containerStatuses?.[0]?.state ?? {};
  if (running !== undefined || terminated !== undefined) return reportIn(planned, pod, source, { terminated, isLast });
  const { phase, reason = '', message = '' } = pod.status ?? {};
  if (phase === 'Failed') return notStarted({ message: `${reason}: ${message}`, remedy: 'Read the message of the kubelet.' });
  // What the kubelet says about a container is also an event, which this identity may not be allowed to read.
  const said = waiting?.message === undefined ? [] : [{ reason: 'Failed', message: waiting.message }];
  const events = await eventsOf(planned, source);
  const cause = [...said, ...(events ?? [])].map(causeOf).find((each) => each !== undefined);
  if (cause !== undefined)
    return notStarted({ message: cause.meaning, remedy: `${capitalized(cause.remedy)}.` }, cause.id === 'no-seccomp-profile');
  if (PULL_FAILURES.has(waiting?.reason ?? '')) {
    const remedy = 'Make the image available to the node and the namespace, or name another one with --image.';
    return notStarted({ message: `the image cannot be pulled: ${waiting?.message ?? waiting?.reason}`, remedy });
  }
  if (!isLast) return undefined;
  const explained = explainEvents(events);
  const unknown = events === undefined ? 'this identity needs list on events to say why' : 'no event says why';
  return notStarted({
    message: `not within ${(source.settings.waitMs ?? WAIT_MS) / 1_000} s: ${explained?.message ?? unknown}`,
    remedy: explained === undefined ? 'Read the log of the kubelet of the node.' : `${capitalized(explained.remedy)}.`,
  });
}

const PULL_FAILURES: ReadonlySet<string> = new Set(['ErrImagePull', 'ImagePullBackOff', 'ErrImageNeverPull', 'InvalidImageName']);

const capitalized = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function notStarted({ message, remedy }: { readonly message: string; readonly remedy: string }, lacksSeccompProfile = false): ProofOutcome {
  return { is: 'not started', why: message, remedy, lacksSeccompProfile };
}

/** The report that the pod printed. */
async function reportIn(
  { namespace, body }: PlannedPod,
  { spec }: RunningPod,
  { api }: ProofSource,
  { terminated, isLast }: { readonly terminated: ContainerState['terminated']; readonly isLast: boolean },
): Promise<ProofOutcome | undefined> {
  const path = `${podsIn(namespace)}/${body.metadata.name}/log?limitBytes=${MAX_LOG_BYTES}`;
  const response = await api.send('GET', path, { accept: PASSED_ON });
  if (response.status >= 300) {
    // The kubelet has no log yet, or the API server does not reach the kubelet.
    if (terminated === undefined && !isLast && response.status !== FORBIDDEN) return undefined;
    const why = messageOf(api, response, 'read the log of a pod', { resource: 'pods/log', verb: 'get' });
    return { is: 'unread', why, remedy: GIVE_RIGHTS };
  }
  const log = response.body as string;
  const report = findProbeReport(log);
  if (report !== undefined) {
    const contexts = [spec.securityContext, ...spec.containers.map(({ securityContext }) => securityContext)];
    return { is: 'ran', report, seccompProfiles: contexts.flatMap((each) => each?.seccompProfile?.localhostProfile ?? []) };
  }
  if (terminated === undefined) return undefined;
  const said = log.trim().split('\n').at(-1) || terminated.reason || 'it printed nothing';
  return {
    is: 'unread',
    why: `the pod ended with exit code ${terminated.exitCode} and without a report: ${said}`,
    remedy: 'Name the image of this version of Cloister with --image.',
  };
}

/** The warnings about a pod, newest first; undefined: they may not be read. */
async function eventsOf({ namespace, body }: PlannedPod, { api }: ProofSource): Promise<readonly EventFacts[] | undefined> {
  const fields = encodeURIComponent(`involvedObject.name=${body.metadata.name},type=Warning`);
  const response = await api.send('GET', `/api/v1/namespaces/${namespace}/events?fieldSelector=${fields}`);
  if (response.status >= 300) return undefined;
  const { items } = response.body as { readonly items: readonly unknown[] };
  const timeOf = ({ time }: EventFacts): number => time?.getTime() ?? 0;
  return items.flatMap((each) => eventFactsOf(each) ?? []).toSorted((a, b) => timeOf(b) - timeOf(a));
}

const DELETE_ATTEMPTS = 3;
const UNINTERRUPTED = new AbortController().signal;

/** @returns why the pod is still there, with its name; undefined: it is not */
async function deletePod(api: ApiConnection, namespace: string, name: string): Promise<string | undefined> {
  let why = '';
  for (let attempt = 1; attempt <= DELETE_ATTEMPTS; attempt += 1) {
    if (attempt > 1) await sleep(LOOK_EVERY_MS);
    try {
      const response = await api.send('DELETE', `${podsIn(namespace)}/${name}`, { body: { gracePeriodSeconds: 1 }, signal: UNINTERRUPTED });
      if (response.status < 300 || response.status === 404) return undefined;
      why = messageOf(api, response, `delete pod ${name}`, { resource: 'pods', verb: 'delete' });
    } catch (error) {
      if (!(error instanceof ClusterError)) throw error;
      why = error.message;
    }
  }
  return `pod ${namespace}/${name} is left behind: ${why}`;
}

/** Deletes the pods of an earlier run that was killed. Their containers ended by themselves. */
async function deleteEnded(api: ApiConnection, namespace: string): Promise<void> {
  const selector = Object.entries(MANAGED_BY).map(([key, value]) => `${key}=${value}`);
  const response = await api.send('GET', `${podsIn(namespace)}?labelSelector=${encodeURIComponent(selector.join())}`);
  if (response.status >= 300) return;
  const { items } = response.body as { readonly items: readonly RunningPod[] };
  const ended = items.filter(({ status }) => status?.phase === 'Succeeded' || status?.phase === 'Failed');
  await Promise.all(ended.map(({ metadata }) => deletePod(api, namespace, metadata.name)));
}
