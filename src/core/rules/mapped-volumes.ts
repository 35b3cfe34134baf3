import { excerptOf } from '../excerpt.ts';
import { UNMAPPABLE_STORAGE } from '../known-names.ts';
import { orEmpty, specOf, type Volume } from '../pod.ts';
import type { Rule, RuleContext } from './rule.ts';

/**
 * The kubelet mounts the volumes of a pod with a user namespace with mapped ids, which NFS and SMB do not support: the pod stays in
 * ContainerCreating. A pod does not show where its claims are stored, so a claim is judged only where its volume or its provisioner is known.
 *
 * Fields: spec.volumes[*]: the kinds nfs and azureFile, csi.driver, persistentVolumeClaim.claimName
 * Allowed: under user namespaces anything but NFS and SMB
 * Fix: none.
 * Source: KEP-127, https://github.com/opencontainers/runc/issues/3949
 */
export const mappedVolumes: Rule = {
  id: 'mapped-volumes',
  summary: 'The volumes of a pod with a user namespace are on file systems that can map ids.',
  fields: [
    'spec.volumes[*].nfs',
    'spec.volumes[*].azureFile',
    'spec.volumes[*].csi.driver',
    'spec.volumes[*].persistentVolumeClaim.claimName',
  ],
  checkPod(pod, report, { requirements, claims }) {
    if (requirements.wall.hostUsers !== false) return;
    for (const [index, volume] of orEmpty(specOf(pod).volumes).entries()) {
      const found = findUnmappable(volume, claims);
      if (found === undefined) continue;
      const message = `volume "${excerptOf(volume.name ?? '')}"${found.claim} is on ${excerptOf(found.storage)}, which cannot map the ids of a user namespace, so the pod will not start`;
      report({ path: ['spec', 'volumes', index, ...found.path], message, remedy: REMEDY, kind: 'promise' });
    }
  },
  inTree: 'no escape',
};

const REMEDY = 'use a claim on block storage or a local file system, or a profile of Kata or gVisor';

interface Unmappable {
  readonly path: readonly string[];
  readonly storage: string;
  /** The claim, as text that follows the name of the volume; empty: the volume has no claim. */
  readonly claim: string;
}

function findUnmappable(volume: Volume, claims: RuleContext['claims']): Unmappable | undefined {
  const { csi, persistentVolumeClaim } = volume;
  if (csi != null) return foundAt(['csi', 'driver'], csi.driver);
  if (persistentVolumeClaim != null) {
    const name = persistentVolumeClaim.claimName ?? '';
    return foundAt(['persistentVolumeClaim', 'claimName'], claims?.get(name), ` (claim ${excerptOf(name)})`);
  }
  const kind = Object.keys(volume).find((key) => key !== 'name' && UNMAPPABLE_STORAGE.test(key) && volume[key as keyof Volume] != null);
  return kind === undefined ? undefined : foundAt([kind], kind);
}

function foundAt(path: readonly string[], storage: string | null | undefined, claim = ''): Unmappable | undefined {
  return storage != null && UNMAPPABLE_STORAGE.test(storage) ? { path, storage, claim } : undefined;
}
