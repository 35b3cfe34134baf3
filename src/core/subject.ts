import type { Path } from './path.ts';
import { type Pod, podIs } from './pod.ts';
import type { Result } from './result.ts';
import { isObject } from './shape.ts';

/** A pod in its document: a Pod, or the template of a workload. */
export interface Subject {
  readonly kind: string;
  readonly name: string;
  /** undefined: the document sets none. */
  readonly namespace: string | undefined;
  readonly pod: Pod;
  /** Path of the pod in the document: [] in a Pod, ['spec', 'template'] in a Deployment. */
  readonly at: Path;
  /** The whole document. */
  readonly document: object;
}

export interface Malformed {
  readonly path: Path;
  readonly expected: string;
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
export function subjectOf(document: unknown, group: string, kind: string): Result<Subject, Malformed> {
  const at = podPathOf(group, kind);
  if (at === undefined) return malformed([], `a kind that holds pods, not ${kind}`);
  let found: unknown = document;
  for (const [depth, step] of at.entries()) {
    if (!isObject(found)) return malformed(at.slice(0, depth), 'an object');
    found = found[step];
  }
  if (!isObject(found)) return malformed(at, 'an object');
  if (!isObject(found.spec)) return malformed([...at, 'spec'], 'an object');
  const mismatch = podIs(found);
  if (mismatch !== undefined) return malformed([...at, ...mismatch.path], mismatch.expected);

  const metadata = isObject(document) && isObject(document.metadata) ? document.metadata : {};
  const textOf = (field: unknown): string | undefined => (typeof field === 'string' && field !== '' ? field : undefined);
  return {
    ok: true,
    value: {
      kind,
      name: textOf(metadata.name) ?? textOf(metadata.generateName) ?? '',
      namespace: textOf(metadata.namespace),
      pod: found as Pod,
      at,
      document: document as object,
    },
  };
}

function malformed(path: Path, expected: string): { readonly ok: false; readonly error: Malformed } {
  return { ok: false, error: { path, expected } };
}
