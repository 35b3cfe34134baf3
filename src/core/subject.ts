import { type Path, valueAt } from './path.ts';
import { orEmpty, type Pod, podIs, specOf } from './pod.ts';
import { err, ok, type Result } from './result.ts';
import { isObject, type Mismatch } from './shape.ts';

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
    kind,
    name: textOf(metadata.name) ?? textOf(metadata.generateName) ?? '',
    namespace: textOf(metadata.namespace),
    pod: withClaims(document, found as Pod),
    at,
    document: document as object,
  });
}

/** The pods of a StatefulSet have a volume for each of its claim templates; it replaces a volume of the same name. */
function withClaims(document: unknown, pod: Pod): Pod {
  const { kind, spec } = document as { readonly kind?: unknown; readonly spec?: { readonly volumeClaimTemplates?: unknown } };
  const templates = kind === 'StatefulSet' ? spec?.volumeClaimTemplates : undefined;
  if (!Array.isArray(templates)) return pod;
  const volumes = orEmpty(specOf(pod).volumes);
  const names = templates.flatMap((template) => {
    const metadata = isObject(template) && isObject(template.metadata) ? template.metadata : {};
    return typeof metadata.name === 'string' && !volumes.some(({ name }) => name === metadata.name) ? [metadata.name] : [];
  });
  const claims = names.map((name) => ({ name, persistentVolumeClaim: { claimName: name } }));
  return { ...pod, spec: { ...specOf(pod), volumes: [...volumes, ...claims] } };
}

/** The subject with another version of its document, whose pod is not checked again. */
export function withDocument(subject: Subject, document: object): Subject {
  return { ...subject, document, pod: withClaims(document, valueAt(document, subject.at) as Pod) };
}
