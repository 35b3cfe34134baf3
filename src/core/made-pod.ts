import { valueAt } from './path.ts';
import { orEmpty, type Pod, type PodSpec, specOf, type Volume } from './pod.ts';
import type { Subject } from './subject.ts';

/**
 * The pod as admission receives it. A template gets those changes of the controller of the workload that a rule judges. Fields of the template keep
 * their places, so that paths fit the document.
 *
 * - DaemonSet: the required node affinity is replaced by the name of a node.
 * - StatefulSet: a volume for each template of a claim, instead of a volume of the same name.
 *
 * Kinds of the same name in other API groups have controllers of their own, which are not known.
 *
 * Sources: pkg/controller/daemon/util (ReplaceDaemonSetPodNodeNameNodeAffinity) and pkg/controller/statefulset (updateStorage) of Kubernetes
 */
export function makePod({ group, kind, pod, document }: Subject): Pod {
  if (group !== 'apps') return pod;
  if (kind === 'DaemonSet') return { ...pod, spec: withNodeName(specOf(pod)) };
  if (kind === 'StatefulSet') return { ...pod, spec: withClaims(specOf(pod), document) };
  return pod;
}

/** The node is not known. `node-selection` takes the empty list for that of a template. */
const OF_ONE_NODE = { nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [] }] }] };

function withNodeName(spec: PodSpec): PodSpec {
  const nodeAffinity = { ...spec.affinity?.nodeAffinity, requiredDuringSchedulingIgnoredDuringExecution: OF_ONE_NODE };
  return { ...spec, affinity: { ...spec.affinity, nodeAffinity } };
}

function withClaims(spec: PodSpec, statefulSet: object): PodSpec {
  const templates = valueAt(statefulSet, ['spec', 'volumeClaimTemplates']);
  const names = new Set((Array.isArray(templates) ? templates : []).flatMap(nameOf));
  if (names.size === 0) return spec;
  const written = orEmpty(spec.volumes);
  const kept = written.map((volume) => (names.has(volume.name) ? claimed(volume.name) : volume));
  const added = [...names].filter((name) => !written.some((volume) => volume.name === name)).map(claimed);
  return { ...spec, volumes: [...kept, ...added] };
}

/** The API server requires a name. A claim template without a name is ignored here. */
function nameOf(template: unknown): readonly unknown[] {
  const name = valueAt(template, ['metadata', 'name']);
  return typeof name === 'string' ? [name] : [];
}

const claimed = (name: unknown): Volume => ({ name, persistentVolumeClaim: { claimName: name } }) as Volume;
