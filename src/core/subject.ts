import { type Path, valueAt } from './path.ts';
import { type Pod, podIs } from './pod.ts';
import { err, ok, type Result } from './result.ts';
import { isObject, type Mismatch } from './shape.ts';

/** A pod in its document: a Pod, or the template of a workload. */
export interface Subject {
  /** API group of the kind. */
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  /** undefined: the document sets none. */
  readonly namespace: string | undefined;
  readonly pod: Pod;
  /** Path of the pod in the document: [] in a Pod, ['spec', 'template'] in a Deployment. */
  readonly at: Path;
  /** The whole document. */
  readonly document: object;
  /**
   * Fields of the pod in the document that its author did not write, as paths from the pod. `pod` lacks these fields. Indices of lists are those of
   * the document.
   */
  readonly leftOut?: readonly Path[];
}

/** The path of the pod in each kind that contains one, by API group and kind. */
const POD_PATHS: ReadonlyMap<string, Path> = new Map<string, Path>([
  ['/Pod', []],
  ['/PodTemplate', ['template']],
  ['/ReplicationController', ['spec', 'template']],
  ['apps/DaemonSet', ['spec', 'template']],
  ['apps/Deployment', ['spec', 'template']],
  ['apps/ReplicaSet', ['spec', 'template']],
  ['apps/StatefulSet', ['spec', 'template']],
  ['batch/CronJob', ['spec', 'jobTemplate', 'spec', 'template']],
  ['batch/Job', ['spec', 'template']],
]);

/** The path of the pod in a kind; undefined: the kind contains no pod that Cloister knows of. */
export function podPathOf(group: string, kind: string): Path | undefined {
  return POD_PATHS.get(`${group}/${kind}`);
}

/**
 * Finds the pod inside a document of the given kind, and checks its shape.
 * @param document parsed JSON or YAML; it is only read
 */
export function subjectOf(document: unknown, group: string, kind: string): Result<Subject, Mismatch> {
  const at = podPathOf(group, kind);
  if (at === undefined) return err({ path: [], expected: `a kind that holds pods, not ${kind}` });
  let found: unknown = document;
  for (const [depth, step] of at.entries()) {
    if (!isObject(found)) return err({ path: at.slice(0, depth), expected: 'an object' });
    found = found[step];
  }
  if (!isObject(found)) return err({ path: at, expected: 'an object' });
  if (!isObject(found.spec)) return err({ path: [...at, 'spec'], expected: 'an object' });
  const mismatch = podIs(found);
  if (mismatch !== undefined) return err({ path: [...at, ...mismatch.path], expected: mismatch.expected });

  const metadata = isObject(document) && isObject(document.metadata) ? document.metadata : {};
  const textOf = (field: unknown): string | undefined => (typeof field === 'string' && field !== '' ? field : undefined);
  return ok({
    group,
    kind,
    name: textOf(metadata.name) ?? textOf(metadata.generateName) ?? '',
    namespace: textOf(metadata.namespace),
    pod: found as Pod,
    at,
    document: document as object,
  });
}

/** The subject with another version of its document, whose pod is not checked again. */
export function withDocument(subject: Subject, document: object): Subject {
  const { at, leftOut = [] } = subject;
  return { ...subject, document, pod: leftOut.reduce(withoutKey, valueAt(document, at)) as Pod };
}

/** A copy of the value without one of its keys; the value is not changed. */
function withoutKey(value: unknown, [key, ...rest]: Path): unknown {
  if (!isObject(value) || typeof key !== 'string' || !Object.hasOwn(value, key)) return value;
  const { [key]: inner, ...others } = value;
  return rest.length === 0 ? others : { ...others, [key]: withoutKey(inner, rest) };
}
