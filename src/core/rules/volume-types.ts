import { each, joinsRunningPod, specOf, type Volume } from '../pod.ts';
import type { Context, Rule } from './rule.ts';

/** Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted */
const SAFE: ReadonlySet<string> = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
]);

/**
 * A hostPath is the node's own files: id mapping makes the pod's root their root, virtio-fs carries them into the guest, and no wall of
 * ours stands in between. The in-tree network volumes have the node's kernel mount what the author chose, from where the author chose.
 *
 * Fields: spec.volumes[*], by the key beside its name
 * Allowed: Pod Security restricted's kinds; a kind nobody knew yet is not among them
 * Fix: none, a mount without its volume keeps no intent.
 * Source: https://kubernetes.io/docs/concepts/storage/volumes/, CVE-2024-10220 (gitRepo)
 */
export const volumeTypes: Rule = {
  id: 'volume-types',
  summary: 'Volumes are of kinds that do not reach the node.',
  fields: ['spec.volumes[*].*', 'spec.containers[*].volumeMounts[*].name'],
  exempts: 'a kind of volume, for example nfs; a hostPath with its path, hostPath:/dev/fuse',
  checkPod(pod, report, context) {
    const unsafe = new Map<string | null | undefined, string>();
    for (const [index, volume] of each(specOf(pod).volumes).entries()) {
      for (const kind of unsafeKinds(volume, context)) {
        const message = describe(volume, kind);
        unsafe.set(volume.name, message);
        report({ path: ['spec', 'volumes', index, kind], message, remedy: REMEDY });
      }
    }
    for (const { list, index, spec } of context.containers.filter(joinsRunningPod)) {
      for (const [mount, { name }] of each(spec.volumeMounts).entries()) {
        const message = unsafe.get(name);
        if (message === undefined) continue;
        report({ path: ['spec', list, index, 'volumeMounts', mount, 'name'], message, remedy: 'do not mount it' });
      }
    }
  },
};

const REMEDY = 'use an emptyDir, a persistentVolumeClaim, a configMap or another kind that does not reach the node';

function unsafeKinds(volume: Volume, { exempts }: Context): string[] {
  return Object.keys(volume).filter((kind) => {
    if (kind === 'name' || SAFE.has(kind) || volume[kind as keyof Volume] == null) return false;
    return !exempts(kind === 'hostPath' ? `hostPath:${volume.hostPath?.path}` : kind);
  });
}

function describe({ name, hostPath }: Volume, kind: string): string {
  return `volume "${name ?? ''}" is ${kind === 'hostPath' ? `the node's ${hostPath?.path ?? 'file system'}` : `of kind ${kind}`}`;
}
