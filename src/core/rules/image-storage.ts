import type { Json } from '../json.ts';
import { type ContainerSpec, each, specOf } from '../pod.ts';
import type { Rule } from './rule.ts';

const PREFIX = 'cloister-storage-';

/**
 * Images of nested containers need a place that carries an overlay, which the container's own root does not, and that is counted against
 * the pod. So an emptyDir is mounted wherever the profile's `storage` says, unless something is mounted there or above already.
 *
 * Fields: spec.volumes, spec.containers[*].volumeMounts
 * Allowed: anything
 * Fix: add a volume and its mount.
 */
export const imageStorage: Rule = {
  id: 'image-storage',
  summary: 'Workspace containers have a volume for the images of nested containers.',
  fields: ['spec.volumes', 'spec.containers[*].volumeMounts[*].mountPath'],
  checkPod(pod, report, { terms, containers }) {
    const { storage, storageMedium } = terms.workspace;
    if (storage.length === 0) return;
    const nextName = freeNames(new Set(each(specOf(pod).volumes).map(({ name }) => name)));
    for (const { list, index, spec, granted, name: container } of containers) {
      if (!granted) continue;
      for (const mountPath of storage) {
        if (isMounted(spec, mountPath)) continue;
        const name = nextName();
        const emptyDir: Json = storageMedium === undefined ? {} : { medium: storageMedium };
        const message = `nothing is mounted at ${mountPath} in container "${container}"`;
        const remedy = 'mount an emptyDir there';
        report({ path: ['spec', 'volumes'], message, remedy, fix: { append: [{ name, emptyDir }] }, kind: 'promise' });
        report({ path: ['spec', list, index, 'volumeMounts'], message, remedy, fix: { append: [{ name, mountPath }] }, kind: 'promise' });
      }
    }
  },
};

function isMounted({ volumeMounts }: ContainerSpec, wanted: string): boolean {
  return each(volumeMounts).some(
    ({ mountPath }) => mountPath != null && `${wanted}/`.startsWith(mountPath.endsWith('/') ? mountPath : `${mountPath}/`),
  );
}

/** Gives one name after the other that no volume has yet. */
function freeNames(taken: ReadonlySet<string | null | undefined>): () => string {
  let number = -1;
  return () => {
    do number += 1;
    while (taken.has(PREFIX + number));
    return PREFIX + number;
  };
}
