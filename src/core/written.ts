import { isManagedBy, managedEntriesOf } from './managed-fields.ts';
import type { Path } from './path.ts';
import { type Pod, specOf } from './pod.ts';
import { isAddedRuntimeAnnotation, isRuntimeAnnotation } from './rules/runtime-annotations.ts';
import { isObject } from './shape.ts';
import { type Subject, withDocument } from './subject.ts';

export interface Written {
  /** The pod as its author wrote it, in its unchanged document. */
  readonly subject: Subject;
  /** Fields that are left out although the author may have written them: nothing shows who wrote them. */
  readonly unattributed: readonly Path[];
}

/**
 * A pod that was read from a cluster also holds what others wrote: the scheduler its node, the API server the overhead of its RuntimeClass, a
 * network plugin its addresses. None of it is a fault of its author, so it is left out. Other documents stay as they are.
 *
 * `metadata.managedFields` show who wrote a field: the entry with the pod's containers is the author's, and includes what webhooks changed. A binding
 * leaves no entry. This is a hint and no proof: users who may update a pod may also send other managedFields, and the author of a file may add all of
 * it. So a file may show that its author wrote a field, and never that the cluster did.
 * @param from where the object was read
 */
export function asWritten(subject: Subject, { from }: { readonly from: 'cluster' | 'file' } = { from: 'cluster' }): Written {
  if (!isFromCluster(subject)) return { subject, unattributed: [] };
  const owned = ownedByAuthor(subject.document);
  const leftOut: Path[] = [];
  const unattributed: Path[] = [];
  const leaveOut = (path: Path): void => {
    if (owned?.has(path) === true) return;
    leftOut.push(path);
    if (owned === undefined || from === 'file') unattributed.push(path);
  };
  if (specOf(subject.pod).nodeName) leaveOut(['spec', 'nodeName']);
  for (const key of networkStatusOf(subject.pod)) leaveOut(['metadata', 'annotations', key]);
  // The API server writes the overhead, and rejects any other value of the author.
  if (specOf(subject.pod).runtimeClassName) leftOut.push(['spec', 'overhead']);
  return { subject: withDocument({ ...subject, leftOut }, subject.document), unattributed };
}

/** Whether the API server stored the object. A manifest has neither a uid nor a status. */
function isFromCluster({ kind, document }: Subject): boolean {
  const { metadata, status } = document as { readonly metadata?: unknown; readonly status?: unknown };
  return kind === 'Pod' && isObject(status) && isObject(metadata) && typeof metadata.uid === 'string';
}

/** Annotations in which a network plugin reports what it assigned. An author may also write them, to ask for it. */
function networkStatusOf({ metadata }: Pod): string[] {
  return Object.keys(metadata?.annotations ?? {}).filter((key) => isRuntimeAnnotation(key) && !isAddedRuntimeAnnotation(key));
}

interface Owned {
  has(path: Path): boolean;
}

/** The manager of the entry that the API server makes for fields whose managers are unknown, when the object is applied. */
const UNKNOWN_MANAGER = 'before-first-apply';

/** The fields that the author wrote; undefined: the object does not show them. */
function ownedByAuthor(document: object): Owned | undefined {
  const entries = managedEntriesOf(document);
  const authors = entries.filter((entry) => isManagedBy(entry, ['spec', 'containers']));
  if (authors.length === 0 || authors.some(({ manager }) => manager === UNKNOWN_MANAGER)) return undefined;
  // If any entry has nodeName, a request named the node: a binding leaves no entry.
  return { has: (path) => (path[0] === 'spec' ? entries : authors).some((entry) => isManagedBy(entry, path)) };
}
