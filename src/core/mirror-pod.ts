import { annotationOf, orEmpty, type Pod, specOf } from './pod.ts';

export interface Requester {
  readonly username: string;
  readonly groups: readonly string[];
}

/**
 * Whether the pod is a kubelet's mirror of a static pod. Admission cannot change the static pod, and a changed mirror would misrepresent it.
 * Annotation, requester and owner must all name the same node, because others can write each of them alone.
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/node/
 */
export function isMirror(pod: Pod, { username, groups }: Requester): boolean {
  const node = specOf(pod).nodeName;
  return (
    !!node &&
    annotationOf(pod, 'kubernetes.io/config.mirror') !== undefined &&
    groups.includes('system:nodes') &&
    username === `system:node:${node}` &&
    orEmpty(pod.metadata?.ownerReferences).some(({ apiVersion, kind, name }) => apiVersion === 'v1' && kind === 'Node' && name === node)
  );
}
