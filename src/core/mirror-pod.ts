import type { Cel } from './cel.ts';
import { annotationOf, orEmpty, type Pod, specOf } from './pod.ts';

export interface Requester {
  readonly username: string;
  readonly groups: readonly string[];
}

/**
 * The node that the pod names as the one whose static pod it mirrors: in its annotation, its owner and its spec.
 * @returns undefined: they do not name one node
 */
export function mirroredNodeOf(pod: Pod): string | undefined {
  const node = specOf(pod).nodeName;
  if (!node || annotationOf(pod, 'kubernetes.io/config.mirror') === undefined) return undefined;
  const owners = orEmpty(pod.metadata?.ownerReferences);
  return owners.some(({ apiVersion, kind, name }) => apiVersion === 'v1' && kind === 'Node' && name === node) ? node : undefined;
}

/**
 * Whether the pod is a kubelet's mirror of a static pod. Admission cannot change the static pod, and a changed mirror would misrepresent it.
 * Annotation, requester and owner must all name the same node, because others can write each of them alone.
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/node/
 */
export function isMirror(pod: Pod, { username, groups }: Requester): boolean {
  const node = mirroredNodeOf(pod);
  return node !== undefined && groups.includes('system:nodes') && username === `system:node:${node}`;
}

/** `isMirror` in CEL, of the object of a request. */
export const IS_MIRROR_CEL: Cel = [
  "'kubernetes.io/config.mirror' in object.metadata.?annotations.orValue({})",
  "object.spec.?nodeName.orValue('') != ''",
  "'system:nodes' in request.userInfo.?groups.orValue([])",
  "request.userInfo.?username.orValue('') == 'system:node:' + object.spec.nodeName",
  "object.metadata.?ownerReferences.orValue([]).exists(o, o.apiVersion == 'v1' && o.kind == 'Node' && o.name == object.spec.nodeName)",
].join(' &&\n');
