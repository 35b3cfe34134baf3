import { copyOf, type Doc } from './hostile-pods.ts';
import { list, map } from './oracle.ts';
import type { Judged } from './parity.ts';

const IMAGE = 'registry.example.com/workspace';

/** The pod with what the API server requires, and tests leave out. */
export function completed(pod: Doc): Doc {
  const spec = { ...map(pod.spec) };
  for (const field of ['initContainers', 'containers'] as const) {
    if (!Array.isArray(spec[field])) continue;
    spec[field] = list(spec[field]).map((each, index) => ({
      name: `${field === 'containers' ? 'main' : 'init'}-${index}`,
      ...map(each),
      image: map(each).image || IMAGE,
    }));
  }
  spec.volumes = [...list(spec.volumes), ...missingVolumes(spec)];
  if (list(spec.volumes).length === 0) delete spec.volumes;
  if (list(spec.containers).length === 0) spec.containers = [{ name: 'main', image: IMAGE }];
  // They are added by updates alone.
  delete spec.ephemeralContainers;
  const { namespace: _, ...metadata } = map(pod.metadata);
  return { ...pod, metadata, spec };
}

/** An emptyDir for each mount without a volume, and a claim for each device. */
function missingVolumes(spec: Doc): Doc[] {
  const known = new Set(list(spec.volumes).map((each) => map(each).name));
  const containers = [...list(spec.initContainers), ...list(spec.containers)].map(map);
  const named = (field: string, source: Doc): Doc[] =>
    containers.flatMap((each) => list(each[field]).map((used) => ({ name: map(used).name, ...source })));
  const wanted = [...named('volumeMounts', { emptyDir: {} }), ...named('volumeDevices', { persistentVolumeClaim: { claimName: 'disk' } })];
  return wanted.filter(({ name }) => {
    if (typeof name !== 'string' || name === '' || known.has(name)) return false;
    known.add(name);
    return true;
  });
}

const MAX_CORRECTIONS = 12;

/**
 * The pod without what the API server does not accept, as its own answers name it; undefined: it accepts too little.
 * @param attempt an answer of the API server, or undefined where the pod was accepted
 */
export async function accepted(generated: Doc, attempt: (pod: Doc) => Promise<Judged | undefined>): Promise<Doc | undefined> {
  let pod = completed(generated);
  for (let correction = 0; correction < MAX_CORRECTIONS; correction += 1) {
    const judged = await attempt(pod);
    if (judged === undefined || !('unasked' in judged)) return pod;
    const fields = (judged.unasked.body.details?.causes ?? []).flatMap(({ field }) => (field === undefined ? [] : [field]));
    if (fields.length === 0) return undefined;
    const before = JSON.stringify(pod);
    pod = copyOf(pod);
    // From the end, so that the indices of a list stay true.
    for (const field of fields.toReversed()) leaveOut(pod, stepsOf(field));
    if (JSON.stringify(pod) === before) return undefined;
  }
  return undefined;
}

/** `spec.containers[0].env[1].name` in steps. */
const stepsOf = (field: string): (string | number)[] =>
  [...field.matchAll(/\[(\d+)\]|\[([^\]]+)\]|([^.[\]]+)/g)].map(([, index, key, name]) =>
    index === undefined ? (key ?? name ?? '') : Number(index),
  );

/** Removes the value at the path or, where there is none, what should have had it. */
function leaveOut(document: Doc, steps: readonly (string | number)[]): void {
  const parents: { owner: Doc; step: string | number }[] = [];
  let value: unknown = document;
  for (const step of steps) {
    if (typeof value !== 'object' || value === null) break;
    parents.push({ owner: value as Doc, step });
    value = (value as Doc)[step];
  }
  const found = parents.findLast(({ owner, step }) => owner[step] !== undefined);
  if (found === undefined || found.owner === document) return;
  if (Array.isArray(found.owner)) found.owner.splice(Number(found.step), 1);
  else delete found.owner[found.step];
}
