import { annotationOf, each, type Pod, specOf } from './pod.ts';

export interface Requester {
  readonly username: string;
  readonly groups: readonly string[];
}

/**
 * Whether this is a kubelet's picture of a static pod. No admission can change what runs, and a changed picture would lie about it.
 * Annotation, requester and owner must all say the same node, because each alone can be written by others.
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/node/
 */
export function isMirror(pod: Pod, { username, groups }: Requester): boolean {
  const node = specOf(pod).nodeName;
  return (
    !!node &&
    annotationOf(pod, 'kubernetes.io/config.mirror') !== undefined &&
    groups.includes('system:nodes') &&
    username === `system:node:${node}` &&
    each(pod.metadata?.ownerReferences).some(({ apiVersion, kind, name }) => apiVersion === 'v1' && kind === 'Node' && name === node)
  );
}
