import { mistypedIn } from './field-types.ts';
import type { Doc, Setting } from './hostile-pods.ts';
import { isConsequential, list, map, newWrongsOf, wrongsOf } from './oracle.ts';

/** The API server calls the webhook for these, too; none of them changes a pod. */
const WITHOUT_POD = 'attach binding eviction exec log portforward proxy status'.split(' ');

/**
 * Why letting a review through would be unsafe at `/validate/enforce/own`; nothing: it may pass. Written from the product's promises; it
 * shares no code with the source.
 * @param request of an envelope that can be read
 */
export function dangersOf(request: Doc, setting: Setting): string[] {
  const { operation, subResource, kind, object, oldObject, userInfo } = request;
  if (operation !== 'CREATE' && operation !== 'UPDATE') return [];
  if (WITHOUT_POD.includes(String(subResource))) return [];
  const { group, kind: name } = map(kind);
  if (name !== 'Pod' || (group ?? '') !== '') return [`kind ${group}/${name} at an entry for pods`];
  const pod = map(object);
  const missing = missingIn(object, 'the object');
  if (missing.length > 0) return missing;
  const mistyped = mistypedIn(pod);
  if (mistyped.length > 0) return mistyped;
  if (operation === 'CREATE') return isMirror(pod, map(userInfo)) ? [] : wrongsOf(pod, setting);
  const broken = [...missingIn(oldObject, 'the old object'), ...mistypedIn(map(oldObject))];
  if (broken.length > 0) return broken;
  return isMirror(pod, map(userInfo)) ? [] : newWrongsOf(pod, map(oldObject), setting);
}

/** Whether a review is an update of a pod that may happen although no profile is known to judge it by. */
export function isInconsequential({ operation, kind, object, oldObject }: Doc): boolean {
  const { group, kind: name } = map(kind);
  if (operation !== 'UPDATE' || name !== 'Pod' || (group ?? '') !== '') return false;
  const isRead = [object, oldObject].every((each) => missingIn(each, 'it').length === 0 && mistypedIn(map(each)).length === 0);
  return isRead && !isConsequential(map(object), map(oldObject));
}

function missingIn(object: unknown, what: string): string[] {
  const isThere = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);
  return isThere(object) && isThere(map(object).spec) ? [] : [`${what} is no pod`];
}

/** Whether the pod is a mirror pod that a kubelet reports for its own node; every entry admits such a pod. */
export function isMirrorPod({ kind, object, userInfo }: Doc): boolean {
  const { group, kind: name } = map(kind);
  const isPod = name === 'Pod' && (group ?? '') === '' && missingIn(object, 'the object').length === 0;
  return isPod && mistypedIn(map(object)).length === 0 && isMirror(map(object), map(userInfo));
}

/** A kubelet reports a pod that it already runs, so admission decides nothing. */
function isMirror(pod: Doc, { username, groups }: Doc): boolean {
  const node = map(pod.spec).nodeName;
  const { annotations, ownerReferences } = map(pod.metadata);
  return (
    typeof node === 'string' &&
    node !== '' &&
    Object.hasOwn(map(annotations), 'kubernetes.io/config.mirror') &&
    username === `system:node:${node}` &&
    list(groups).includes('system:nodes') &&
    list(ownerReferences)
      .map(map)
      .some((owner) => owner.apiVersion === 'v1' && owner.kind === 'Node' && owner.name === node)
  );
}
