import { isObject } from '../core/shape.ts';
import { type ApiConnection, ClusterError, clusterOf, isForbidden } from './client.ts';
import { differences } from './difference.ts';
import { type LiveObject, type Reference, titleOf } from './object.ts';
import { pages } from './pages.ts';

/** A Report of OpenReports as it should be in the cluster. */
export interface DesiredReport extends Reference {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly ownerReferences: readonly object[];
  };
  readonly results: readonly DesiredResult[];
}

interface DesiredResult {
  /** When it was first found. */
  readonly timestamp: object;
  readonly properties: { readonly resultID: string };
}

/** What a scan leaves in the cluster. */
export interface DesiredReports {
  readonly reports: readonly DesiredReport[];
  /** Where `reports` is all that there should be, so that other reports of earlier scans are deleted. */
  readonly namespaces: readonly string[];
}

/** Numbers of reports. */
export interface ReportWrites {
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly deleted: number;
  /** Why not all is as desired, each a sentence for the user. Empty: all is. */
  readonly problems: readonly string[];
}

/** In the order in which a scan writes. */
type ReportVerb = 'list' | 'update' | 'delete' | 'create';

const API_VERSION = 'openreports.io/v1alpha1';
const PAGE_SIZE = 100;
/** Requests at a time: a scan leaves the API server to others. */
const CONCURRENT = 4;
const NOT_FOUND = 404;

const ABSENT = 'the cluster has no reports.openreports.io: install the CustomResourceDefinitions of OpenReports, or choose another output';

/**
 * Creates the reports that are missing, updates those with other content, and deletes those that should not be there. A result that was found
 * before keeps the time at which it was found first, so that a second scan of the same pods writes nothing. Reports of other tools are not read.
 *
 * Where a right is missing in a namespace, the others are written. Any other rejection ends the writing, and the next scan continues.
 * @param labels of every report, which select the reports of earlier scans
 * @param signal ends the writing; its reason is thrown
 */
export async function writeOpenReports(
  api: ApiConnection,
  { reports, namespaces }: DesiredReports,
  labels: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<ReportWrites> {
  const cluster = clusterOf(api);
  const complete = new Set(namespaces);
  const desired = new Map(reports.map((report) => [titleOf(report), report]));
  const missing = new Map(desired);
  const counts = { created: 0, updated: 0, unchanged: 0, deleted: 0 };
  const problems: string[] = [];
  const refused = new Map<ReportVerb, RefusedVerb>();

  try {
    await readAll();
    await forEach([...missing.values()], create);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof ClusterError)) throw error;
    problems.push(error.status === NOT_FOUND ? ABSENT : error.message);
  }
  return { ...counts, problems: [...[...refused.values()].map(printRefusal), ...problems] };

  async function readAll(): Promise<void> {
    try {
      await read({});
    } catch (error) {
      if (!isForbidden(error)) throw error;
      const places = new Set([...namespaces, ...reports.map(({ metadata }) => metadata.namespace)]);
      for (const namespace of places) await permitted('list', namespace, () => read({ namespace }));
    }
  }

  async function read(place: { readonly namespace?: string }): Promise<void> {
    const query = { apiVersion: API_VERSION, kind: 'Report', labels: printSelector(labels), size: PAGE_SIZE, ...place };
    for await (const { items } of pages(api, query, { signal })) await forEach(items.map(withKind), reconcile);
  }

  async function reconcile(live: LiveObject): Promise<void> {
    const { namespace = '' } = live.metadata;
    const report = desired.get(titleOf(live));
    missing.delete(titleOf(live));
    if (report === undefined) {
      if (!complete.has(namespace)) return;
      // A report that is not there any more went with its pod.
      await permitted('delete', namespace, async () => {
        if (await cluster.delete(live)) counts.deleted += 1;
      });
      return;
    }
    const wanted = withKnownTimes(report, live);
    if (isAsDesired(live, wanted)) counts.unchanged += 1;
    else await permitted('update', namespace, () => update(live, wanted));
  }

  async function update(live: LiveObject, wanted: DesiredReport): Promise<void> {
    const { labels: liveLabels } = live.metadata as { readonly labels?: object };
    const metadata = { ...live.metadata, ...wanted.metadata, labels: { ...liveLabels, ...wanted.metadata.labels } };
    if (await cluster.update({ ...wanted, metadata })) counts.updated += 1;
    else if ((await cluster.read(wanted)) !== undefined) problems.push(printContention(wanted));
  }

  async function create(report: DesiredReport): Promise<void> {
    const { namespace } = report.metadata;
    await permitted('create', namespace, async () => {
      try {
        if (await cluster.create(report)) counts.created += 1;
        else problems.push(printConflict(report, await cluster.read(report)));
      } catch (error) {
        if (!isGone(error)) throw error;
      }
    });
  }

  /** Does it unless the right for it is known to be missing in the namespace, or turns out to be. */
  async function permitted(verb: ReportVerb, namespace: string, task: () => Promise<void>): Promise<void> {
    signal.throwIfAborted();
    if (refused.get('list')?.namespaces.has(namespace) || refused.get(verb)?.namespaces.has(namespace)) return;
    try {
      await task();
    } catch (error) {
      if (!isForbidden(error)) throw error;
      const known = refused.get(verb) ?? { message: error.message, namespaces: new Set() };
      known.namespaces.add(namespace);
      refused.set(verb, known);
    }
  }
}

/** A right that is missing in some namespaces. */
interface RefusedVerb {
  /** Of the first of them. */
  readonly message: string;
  readonly namespaces: Set<string>;
}

const MAX_NAMED = 10;

function printRefusal({ message, namespaces }: RefusedVerb): string {
  const [, ...others] = namespaces;
  if (others.length === 0) return message;
  const rest = others.length - MAX_NAMED;
  return `${message} (the same in ${others.slice(0, MAX_NAMED).join(', ')}${rest > 0 ? ` and ${rest} more namespaces` : ''})`;
}

function printContention(report: DesiredReport): string {
  return `${titleOf(report)} was not written, because another client changed it at the same time: scan again`;
}

/** @param live what has the name of the report; undefined: it is gone again */
function printConflict(report: DesiredReport, live: LiveObject | undefined): string {
  const { labels } = (live?.metadata ?? report.metadata) as { readonly labels?: Readonly<Record<string, string>> };
  if (Object.entries(report.metadata.labels).every(([key, value]) => labels?.[key] === value)) return printContention(report);
  const { name, namespace } = report.metadata;
  return `${titleOf(report)} was not written, because another client made a Report of this name: read it, delete it with \`kubectl delete reports.openreports.io ${name} --namespace ${namespace}\`, and scan again`;
}

/** Whether there is no place for the report any more: its namespace is gone, or is about to go. */
function isGone(error: unknown): boolean {
  if (!(error instanceof ClusterError)) return false;
  return error.status === NOT_FOUND || (isForbidden(error) && error.message.includes('because it is being terminated'));
}

function printSelector(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** Items of a list may lack their kind. */
const withKind = (item: unknown): LiveObject => ({ ...(item as LiveObject), apiVersion: API_VERSION, kind: 'Report' });

function withKnownTimes(report: DesiredReport, { results }: LiveObject): DesiredReport {
  const found = (Array.isArray(results) ? results : []).filter(isObject);
  const times = new Map(found.map(({ properties, timestamp }) => [isObject(properties) ? properties.resultID : undefined, timestamp]));
  return {
    ...report,
    results: report.results.map((result) => {
      const timestamp = times.get(result.properties.resultID);
      return isObject(timestamp) ? { ...result, timestamp } : result;
    }),
  };
}

/** Other labels and fields of the object belong to others. */
function isAsDesired(live: LiveObject, { metadata, ...fields }: DesiredReport): boolean {
  const { labels, ownerReferences } = live.metadata as {
    readonly labels?: Readonly<Record<string, string>>;
    readonly ownerReferences?: unknown;
  };
  return (
    Object.entries(metadata.labels).every(([key, value]) => labels?.[key] === value) &&
    differences(ownerReferences, metadata.ownerReferences).length === 0 &&
    Object.entries(fields).every(([field, value]) => differences(live[field], value).length === 0)
  );
}

/** Does the task for several items at a time. After an error no further task starts; the error is thrown when the others have ended. */
async function forEach<Item>(items: readonly Item[], task: (item: Item) => Promise<void>): Promise<void> {
  const queue = queueOf(items);
  const work = async (): Promise<void> => {
    for (const item of queue) await task(item);
  };
  const ended = await Promise.allSettled(Array.from({ length: CONCURRENT }, work));
  for (const each of ended) if (each.status === 'rejected') throw each.reason;
}

/** Leaving a loop over a generator by an error ends it for every other loop too, which is not so with the iterator of an array. */
function* queueOf<Item>(items: readonly Item[]): Generator<Item, void, undefined> {
  yield* items;
}
