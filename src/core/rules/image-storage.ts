import { excerptOf } from '../excerpt.ts';
import type { Json } from '../json.ts';
import { type ContainerSpec, memoryLimitOf, orEmpty, type PodSpec, specOf, type Volume } from '../pod.ts';
import { bytesOf, quantityOf } from '../quantity.ts';
import type { WorkspaceRequirements } from '../requirements.ts';
import { injectedTokensOf, type VolumeNames } from '../token-volumes.ts';
import type { Rule } from './rule.ts';

const PREFIX = 'cloister-storage-';

const NONE: VolumeNames = new Set();

/**
 * Images of nested containers need a file system that can hold an overlay, which the container's root cannot, and whose usage is counted
 * against the pod. So an emptyDir is mounted at each path of the profile's `storage`, unless a volume that stays is mounted there or above it.
 * If the operator lists no path, the pod's author chooses; then any writable volume is enough, since only the image determines where its
 * engine keeps images.
 *
 * A volume of memory without a size limit grows to all memory of the pod, whose processes then have none. So each gets half of what its
 * container may use, and at least 256 MiB. The memory limit of the container, or of the pod, is read for that and not judged.
 *
 * Fields: spec.volumes, spec.containers[*].volumeMounts
 * Allowed: anything
 * Fix: add a volume and its mount; none where no path is listed.
 * Source: https://kubernetes.io/docs/concepts/storage/volumes/#emptydir
 */
export const imageStorage: Rule = {
  id: 'image-storage',
  summary: 'Workspace containers have a volume for the images of nested containers.',
  fields: ['spec.volumes', 'spec.containers[*].volumeMounts[*].mountPath'],
  checkPod(pod, report, { requirements, containers }) {
    const { storage } = requirements.workspace;
    if (requirements.grant !== 'containers') return;
    const podSpec = specOf(pod);
    const volumes = orEmpty(podSpec.volumes);
    const withRoom = new Set(storage.length > 0 ? [] : volumes.filter((volume) => !isReadOnly(volume)).map(({ name }) => name));
    const leaving: VolumeNames = requirements.removesToken ? injectedTokensOf(volumes) : NONE;
    const nextName = makeNameSource(new Set(volumes.map(({ name }) => name)));
    for (const { list, index, spec, hasGrant, name: container } of containers) {
      if (!hasGrant) continue;
      if (storage.length === 0 && !orEmpty(spec.volumeMounts).some((mount) => withRoom.has(mount.name))) {
        const message = `container "${excerptOf(container)}" has no mount that could hold the images of nested containers`;
        const remedy = 'mount an emptyDir or a persistentVolumeClaim where its engine keeps them';
        report({ path: ['spec', list, index, 'volumeMounts'], message, remedy, kind: 'promise' });
      }
      for (const mountPath of storage) {
        if (isMounted(spec, mountPath, leaving)) continue;
        const name = nextName();
        const { emptyDir, remedy } = volumeFor(spec, podSpec, requirements.workspace);
        const message = `nothing is mounted at ${mountPath} in container "${excerptOf(container)}"`;
        report({ path: ['spec', 'volumes'], message, remedy, fix: { append: [{ name, emptyDir }] }, kind: 'promise' });
        report({ path: ['spec', list, index, 'volumeMounts'], message, remedy, fix: { append: [{ name, mountPath }] }, kind: 'promise' });
      }
    }
  },
};

function isMounted({ volumeMounts, volumeDevices }: ContainerSpec, wanted: string, leaving: VolumeNames): boolean {
  // The API server rejects a mount at the path of a device.
  if (orEmpty(volumeDevices).some(({ devicePath }) => devicePath === wanted)) return true;
  return orEmpty(volumeMounts).some(
    ({ name, mountPath }) =>
      mountPath != null && !leaving.has(name) && `${wanted}/`.startsWith(mountPath.endsWith('/') ? mountPath : `${mountPath}/`),
  );
}

/** The volume for a path of a container, and how to say so. */
function volumeFor(
  container: ContainerSpec,
  pod: PodSpec,
  workspace: WorkspaceRequirements,
): { readonly emptyDir: Json; readonly remedy: string } {
  const { storageMedium } = workspace;
  const size = sizeFor(container, pod, workspace);
  const medium = storageMedium === undefined ? '' : ` of medium ${storageMedium}`;
  return {
    emptyDir: { ...(storageMedium && { medium: storageMedium }), ...(size && { sizeLimit: size.limit }) },
    remedy: `mount an emptyDir${medium} there${size === undefined ? '' : `, with sizeLimit ${size.limit}${size.why}`}`,
  };
}

interface Size {
  readonly limit: string;
  /** Where the limit is computed: from what, in brackets. */
  readonly why: string;
}

function sizeFor({ resources }: ContainerSpec, pod: PodSpec, workspace: WorkspaceRequirements): Size | undefined {
  const { storageMedium, storageSize, guestMemoryBytes } = workspace;
  if (storageSize !== undefined) return { limit: storageSize, why: '' };
  if (storageMedium === undefined) return undefined;
  const own = bytesOf(memoryLimitOf(resources)) ?? bytesOf(memoryLimitOf(pod.resources));
  const bytes = own ?? guestMemoryBytes;
  if (bytes === undefined) return undefined;
  const whole = own === undefined ? `the ${quantityOf(bytes)} that a guest has where no memory limit is set` : 'the memory limit';
  const limit = quantityOf(Math.max(bytes / 2, MIN_BYTES));
  return { limit, why: ` (half of ${whole}, at least ${quantityOf(MIN_BYTES)})` };
}

/** Less holds no image worth building on. */
const MIN_BYTES = 256 * 1024 ** 2;

/** Volumes of these kinds contain what the cluster puts there, and are read-only. */
const READ_ONLY: ReadonlySet<string> = new Set(['configMap', 'downwardAPI', 'image', 'projected', 'secret']);

function isReadOnly(volume: Volume): boolean {
  return Object.keys(volume).some((kind) => READ_ONLY.has(kind) && volume[kind as keyof Volume] != null);
}

/** Returns one name after another that no volume has. */
function makeNameSource(taken: VolumeNames): () => string {
  let number = -1;
  return () => {
    do number += 1;
    while (taken.has(PREFIX + number));
    return PREFIX + number;
  };
}
