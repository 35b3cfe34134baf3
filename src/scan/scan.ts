import type { ApiConnection } from '../cluster/client.ts';
import { isForbidden } from '../cluster/client.ts';
import type { PageQuery } from '../cluster/pages.ts';
import { PROFILE_LABEL } from '../core/labels.ts';
import { printable } from '../core/printable.ts';
import { isObject } from '../core/shape.ts';
import { causeOf } from '../live/events.ts';
import { classFactsOf, type EventFacts, eventFactsOf, nodeFactsOf } from '../live/facts.ts';
import type { ScanReport } from '../report/scan/scan-report.ts';
import { isMirrorOf, judgePod, shouldBeGone } from './judge-pod.ts';
import { namespaceFactsOf } from './namespaces.ts';
import { isGoverned } from './policies.ts';
import { inTurns, makeReader, type Reader } from './reader.ts';
import { makeRows } from './rows.ts';
import type { NamespaceFacts, ScanSettings } from './types.ts';

/** What a scan finds; the command adds the cluster and the times. */
export type Scanned = Pick<ScanReport, 'rows' | 'namespaces' | 'mirrors' | 'incomplete' | 'notes' | 'isInconsistent'>;

export interface ScanOptions {
  /** Ends the scan: what is not read by then is incomplete. The message of its reason says why. */
  readonly signal: AbortSignal;
  /** Called after each page of pods, with the number of pods so far. */
  readonly onProgress?: (pods: number) => void;
}

type Namespaces = ReadonlyMap<string, NamespaceFacts>;

/** From this number of namespaces on, one list of all pods takes less time than a list for each. */
const MANY_NAMESPACES = 20;
/** Objects of a page; those of the first two are small. */
const PAGE_SIZES = { small: 500, nodes: 100 } as const;
const ALIVE = 'status.phase!=Succeeded,status.phase!=Failed';
/** Notes from events, which tenants can write without end. */
const MAX_EVENT_NOTES = 20;
/** What creates pods, and says in an event that it cannot. */
const WORKLOADS: ReadonlySet<string> = new Set(['ReplicaSet', 'StatefulSet', 'DaemonSet', 'Job', 'ReplicationController']);

/**
 * Reads and judges the pods that live. Nothing is written. Pods are read page by page, and of a pod only its row is kept.
 *
 * A list that fails ends only itself: `incomplete` says what is missing. Nodes, RuntimeClasses and events may be forbidden: `notes` says so, and no wall
 * is then proven.
 */
export async function scan(api: ApiConnection, settings: ScanSettings, { signal, onProgress }: ScanOptions): Promise<Scanned> {
  const reader = makeReader(api, signal);
  const [namespaces, nodes, classes] = await Promise.all([
    readNamespaces(reader, settings),
    readNamed(reader, NODES, nodeFactsOf, 'no wall is proven by the nodes'),
    readNamed(reader, CLASSES, classFactsOf, 'no wall of a RuntimeClass is proven'),
  ]);
  const rows = makeRows({ nodes, classes, now: settings.now });
  const mirrors: string[] = [];
  let overdue = 0;
  let pods = 0;
  const complete = await readPods(reader, {
    settings,
    namespaces,
    visit: (document, namespace) => {
      const drafts = judgePod(document, namespace, settings);
      if (drafts.length > 0 && shouldBeGone(document, settings.now)) overdue += 1;
      else if (drafts.length > 0 && isMirrorOf(document, nodes)) mirrors.push(`${namespace.name}/${drafts[0]?.name}`);
      else drafts.forEach(rows.add);
    },
    afterPage: (objects) => {
      pods += objects;
      onProgress?.(pods);
    },
  });
  const { events, failures } = await readEvents(reader, rows.failingNamespaces());
  if (overdue > 0)
    reader.notes.add(
      `Not judged, because the time is over until which they had to be deleted: ${overdue} ${overdue === 1 ? 'pod' : 'pods'}.`,
    );
  return {
    rows: rows.finish((namespace) => events.get(namespace)),
    // With a selector, pods were left out. Without nodes or classes, a pod may only seem to have nothing to report.
    namespaces: settings.labels === undefined && nodes !== undefined && classes !== undefined ? complete : [],
    incomplete: [...reader.incomplete],
    mirrors: mirrors.toSorted(),
    notes: [...reader.notes, ...limit(failures)],
    isInconsistent: reader.isInconsistent(),
  };
}

const NODES: PageQuery = { apiVersion: 'v1', kind: 'Node', size: PAGE_SIZES.nodes };
const CLASSES: PageQuery = { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', size: PAGE_SIZES.small };
const NAMESPACES: PageQuery = { apiVersion: 'v1', kind: 'Namespace', size: PAGE_SIZES.small, isMetadataOnly: true };

async function readNamespaces(reader: Reader, { namespaces: named }: ScanSettings): Promise<Namespaces> {
  const found = new Map<string, NamespaceFacts>();
  const keep = (document: unknown): void => {
    const facts = namespaceFactsOf(document);
    if (facts !== undefined) found.set(facts.name, facts);
  };
  if (named.length === 0) await reader.attempt(() => reader.each(NAMESPACES, keep));
  await inTurns(named, async (name) => {
    // A list of one: RBAC may allow it for this name alone.
    const isRead = await reader.attempt(() => reader.each({ ...NAMESPACES, fields: `metadata.name=${name}` }, keep));
    if (isRead && !found.has(name)) reader.incomplete.add(`namespace ${name} does not exist: check the name`);
  });
  return found;
}

/** @returns by name; undefined: the list could not be read */
async function readNamed<T extends { readonly name: string }>(
  reader: Reader,
  query: PageQuery,
  factsOf: (document: unknown) => T | undefined,
  consequence: string,
): Promise<ReadonlyMap<string, T> | undefined> {
  const found = new Map<string, T>();
  const keep = (document: unknown): void => {
    const facts = factsOf(document);
    if (facts !== undefined) found.set(facts.name, facts);
  };
  return (await reader.attempt(() => reader.each(query, keep), consequence)) ? found : undefined;
}

interface PodReading {
  readonly settings: ScanSettings;
  readonly namespaces: Namespaces;
  readonly visit: (document: object, namespace: NamespaceFacts) => void;
  readonly afterPage: (objects: number) => void;
}

/** @returns the namespaces where every pod that may have a row was read */
async function readPods(reader: Reader, reading: PodReading): Promise<readonly string[]> {
  const { settings, namespaces } = reading;
  const governed = [...namespaces.values()].filter((each) => isGoverned(each, settings)).map(({ name }) => name);
  const [...others] = new Set(namespaces.keys()).difference(new Set([...governed, ...settings.excluded]));
  if (settings.namespaces.length === 0 && governed.length >= MANY_NAMESPACES) {
    const isRead = await readAllPods(reader, reading);
    if (isRead !== 'forbidden') return isRead ? [...governed, ...others].toSorted() : [];
  }
  const complete: string[] = [];
  await inTurns(governed, async (namespace) => {
    if (await reader.attempt(() => eachPod(reader, reading, { namespace }))) complete.push(namespace);
  });
  if (settings.preview === undefined) complete.push(...(await readOptedIn(reader, reading, others)));
  return complete.toSorted();
}

/** In one list, with those of other namespaces. @returns whether they were read; `forbidden`: the namespaces must be read one by one */
async function readAllPods(reader: Reader, reading: PodReading): Promise<boolean | 'forbidden'> {
  let isRefused = false;
  const isRead = await reader.attempt(async () => {
    await eachPod(reader, reading, {}).catch((error: unknown) => {
      if (!isForbidden(error)) throw error;
      isRefused = true;
    });
  });
  return isRefused ? 'forbidden' : isRead;
}

/**
 * Pods that opt in by their own label.
 * @param names of the namespaces that no profile governs
 * @returns the namespaces whose pods with this label were all read
 */
async function readOptedIn(reader: Reader, reading: PodReading, names: readonly string[]): Promise<readonly string[]> {
  if (names.length === 0) return [];
  const wanted = new Set(names);
  const namespaces = new Map([...reading.namespaces].filter(([name]) => wanted.has(name)));
  const places =
    reading.settings.namespaces.length === 0 ? [{ covers: names }] : names.map((namespace) => ({ namespace, covers: [namespace] }));
  const complete: string[] = [];
  await inTurns(places, async ({ covers, ...place }) => {
    const isRead = await reader.attempt(() => eachPod(reader, { ...reading, namespaces }, { ...place, labels: PROFILE_LABEL }));
    if (isRead) complete.push(...covers);
  });
  return complete;
}

async function eachPod(
  reader: Reader,
  { settings, namespaces, visit, afterPage }: PodReading,
  { namespace, labels }: { readonly namespace?: string; readonly labels?: string },
): Promise<void> {
  const selectors = [labels, settings.labels].filter((each) => each !== undefined);
  const query: PageQuery = {
    apiVersion: 'v1',
    kind: 'Pod',
    fields: ALIVE,
    size: settings.pageSize,
    ...(namespace !== undefined && { namespace }),
    ...(selectors.length > 0 && { labels: selectors.join(',') }),
  };
  const visitPod = (item: unknown): void => {
    const metadata = isObject(item) && isObject(item.metadata) ? item.metadata : {};
    const facts = namespaces.get(String(metadata.namespace));
    // Items of a list lack their kind.
    if (isObject(item) && facts !== undefined) visit({ apiVersion: 'v1', kind: 'Pod', ...item }, facts);
  };
  await reader.each(query, visitPod, afterPage);
}

interface Events {
  /** The warnings about pods, newest first, by namespace. */
  readonly events: ReadonlyMap<string, readonly EventFacts[]>;
  /** Which workloads cannot create pods, each a sentence: such a pod has no row. */
  readonly failures: ReadonlySet<string>;
}

async function readEvents(reader: Reader, namespaces: readonly string[]): Promise<Events> {
  const events = new Map<string, readonly EventFacts[]>();
  const failures = new Set<string>();
  await inTurns(namespaces, async (namespace) => {
    const found: EventFacts[] = [];
    const query = { apiVersion: 'v1', kind: 'Event', namespace, fields: 'type=Warning', size: PAGE_SIZES.small };
    const keep = (document: unknown): void => {
      const facts = eventFactsOf(document);
      if (facts?.kind === 'Pod') found.push(facts);
      const failure = facts && describeFailedCreation(namespace, facts);
      if (failure !== undefined) failures.add(failure);
    };
    if (!(await reader.attempt(() => reader.each(query, keep), 'pods that do not start are named without a reason'))) return;
    const timeOf = ({ time }: EventFacts): number => time?.getTime() ?? 0;
    events.set(
      namespace,
      found.toSorted((a, b) => timeOf(b) - timeOf(a)),
    );
  });
  return { events, failures };
}

/** @returns undefined: the event says nothing of the kind, or its cause is not known */
function describeFailedCreation(namespace: string, event: EventFacts): string | undefined {
  const cause = WORKLOADS.has(event.kind) && event.reason === 'FailedCreate' ? causeOf(event) : undefined;
  return cause && printable(`${event.kind} ${namespace}/${event.object} cannot create pods: ${cause.meaning}; ${cause.remedy}.`, 400);
}

function limit(failures: ReadonlySet<string>): readonly string[] {
  const rest = failures.size - MAX_EVENT_NOTES;
  return [...[...failures].slice(0, MAX_EVENT_NOTES), ...(rest > 0 ? [`${rest} further workloads cannot create pods.`] : [])];
}
