import { allOf, listAt, listOf, not } from '../cel.ts';
import type { Json } from '../json.ts';
import { type ContainerSpec, memoryLimitOf, orEmpty, type PodSpec, specOf, type Volume } from '../pod.ts';
import { bytesOf, quantityOf } from '../quantity.ts';
import type { WorkspaceRequirements } from '../requirements.ts';
import { injectedTokensOf, isInjectedTokenCel, type VolumeNames } from '../token-volumes.ts';
import type { Rule } from './rule.ts';

const PREFIX = 'cloister-storage-';

const NONE: VolumeNames = new Set();

/** Where engines keep images unless they are configured otherwise: Docker, containerd and nerdctl, podman and buildah, BuildKit. */
const ENGINE_FOLDERS = ['/var/lib/docker', '/var/lib/containerd', '/var/lib/containers', '/var/lib/buildkit'];

/**
 * Images of nested containers need a file system that can hold an overlay, and whose usage counts against the pod. The container's root file system
 * cannot hold an overlay. So an emptyDir is mounted at each path of the profile's `storage`, unless a volume that stays is mounted there or above it.
 * If the operator lists no path, the pod's author chooses one. Any writable volume is then enough, because only the image determines where its engine
 * stores images.
 *
 * A volume of memory without a size limit grows to all memory of the pod, whose processes then have none. So each such volume gets half of the memory
 * limit of its container or pod, and at least 256 MiB. This rule reads the memory limit and does not judge it.
 *
 * A volume of the author at such a path, or in the folder of a known engine, may be unfit: read-only, or brought into a guest by virtio-fs,
 * which holds no overlay.
 *
 * Fields: spec.volumes, spec.containers[*].volumeMounts
 * Allowed: anything
 * Fix: add a volume and its mount; none where no path is listed, and none for a volume of the author.
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
    const volumeByName = new Map(volumes.map((volume) => [volume.name, volume]));
    const leaving: VolumeNames = requirements.removesToken ? injectedTokensOf(volumes) : NONE;
    const nextName = makeNameSource(volumeByName);
    for (const { list, index, spec, hasGrant } of containers) {
      if (!hasGrant) continue;
      const path = ['spec', list, index, 'volumeMounts'];
      const mounts = orEmpty(spec.volumeMounts);
      const unfitnessOf = (mount: Mount): string | undefined =>
        findUnfitness(mount, volumeByName.get(mount.name), requirements.workspace.storageMedium === 'Memory');
      if (storage.length === 0 && !mounts.some((mount) => volumeByName.has(mount.name) && unfitnessOf(mount) === undefined)) {
        const message = 'the container has no mount that could hold the images of nested containers';
        const remedy = 'mount an emptyDir or a persistentVolumeClaim where its engine keeps images';
        report({ path, message, remedy, kind: 'promise' });
      }
      const places = new Set(ENGINE_FOLDERS.filter((folder) => mounts.some(({ mountPath }) => isSameFolder(mountPath, folder))));
      for (const mountPath of storage) {
        // The API server rejects a mount at the path of a device.
        if (findCovering(mounts, mountPath, leaving) !== undefined) places.add(mountPath);
        else if (!orEmpty(spec.volumeDevices).some(({ devicePath }) => devicePath === mountPath)) {
          const name = nextName();
          const { emptyDir, remedy } = volumeFor(spec, podSpec, requirements.workspace);
          const also = [{ path: ['spec', 'volumes'], fix: { append: [{ name, emptyDir }] } }];
          const message = `nothing is mounted at ${mountPath}`;
          report({ path, message, remedy, fix: { append: [{ name, mountPath }] }, also, kind: 'promise' });
        }
      }
      const unfit = new Map<Mount, string>();
      for (const place of places) {
        const mount = findCovering(mounts, place, leaving);
        if (mount === undefined || unfit.has(mount)) continue;
        const why = unfitnessOf(mount);
        if (why !== undefined) unfit.set(mount, `the volume at ${place} ${why}, so it cannot hold images of nested containers`);
      }
      for (const [mount, message] of unfit) {
        const { remedy } = volumeFor(spec, podSpec, requirements.workspace);
        report({ path: [...path, mounts.indexOf(mount), 'mountPath'], message, remedy, kind: 'promise' });
      }
    }
  },
  inTree: 'no escape',
  inTreeFixes: {
    variables({ spec, containers, hasGrant }, { removesToken, workspace: { storage } }) {
      const leaves = removesToken ? `${listAt(spec, 'volumes')}.exists(v, v.name == m.name && ${isInjectedTokenCel('v')})` : 'false';
      const covers = allOf(`(p + '/').startsWith(m.mountPath.endsWith('/') ? m.mountPath : m.mountPath + '/')`, not(leaves));
      const isUnstored = allOf(
        `!${listAt('c', 'volumeMounts')}.exists(m, ${covers})`,
        `!${listAt('c', 'volumeDevices')}.exists(d, d.devicePath == p)`,
      );
      const places = `${listOf(storage)}.filter(p, ${isUnstored}).map(p, {'container': string(c.name), 'path': p})`;
      return {
        unstored: storage.length === 0 ? '[]' : `${containers}.filter(c, ${hasGrant}).map(c, ${places}).flatten()`,
        unused_names: `lists.range(${listAt(spec, 'volumes')}.size() + variables.unstored.size()).map(n, '${PREFIX}' + string(n)).filter(name, !${listAt(spec, 'volumes')}.exists(v, v.name == name))`,
      };
    },
    pod: (_pod, { workspace: { storage } }) =>
      storage.length === 0
        ? []
        : [
            {
              path: 'spec.volumes',
              where: 'variables.unstored.size() > 0',
              append: `lists.range(variables.unstored.size()).map(n, {'name': dyn(variables.unused_names[n]), 'emptyDir': dyn({})})`,
            },
          ],
    container: (_pod, { workspace: { storage } }) =>
      storage.length === 0
        ? []
        : [
            {
              path: 'volumeMounts',
              where: 'variables.unstored.exists(u, u.container == c.name)',
              append: `lists.range(variables.unstored.size()).filter(n, variables.unstored[n].container == c.name).map(n, {'name': variables.unused_names[n], 'mountPath': string(variables.unstored[n].path)})`,
            },
          ],
  },
};

type Mount = NonNullable<ContainerSpec['volumeMounts']>[number];

const withSlash = (path: string): string => (path.endsWith('/') ? path : `${path}/`);

const isSameFolder = (path: string | null | undefined, folder: string): boolean =>
  path === folder || (path?.length === folder.length + 1 && path === `${folder}/`);

/** The mount at the path, or the nearest one above it. Volumes that leave the pod do not count. */
function findCovering(mounts: readonly Mount[], wanted: string, leaving: VolumeNames): Mount | undefined {
  let nearest: Mount | undefined;
  const path = `${wanted}/`;
  for (const mount of mounts) {
    // The first comparison is a shortcut.
    if (mount.mountPath == null || !path.startsWith(mount.mountPath) || !path.startsWith(withSlash(mount.mountPath))) continue;
    if (leaving.has(mount.name)) continue;
    if (nearest === undefined || mount.mountPath.length > (nearest.mountPath?.length ?? 0)) nearest = mount;
  }
  return nearest;
}

/**
 * Why a volume cannot hold images, as text that follows its name; undefined: nothing in the pod shows that it cannot.
 * @param isGuest whether virtio-fs brings all volumes but those of memory into the pod
 */
function findUnfitness({ readOnly }: Mount, volume: Volume | undefined, isGuest: boolean): string | undefined {
  if (volume === undefined) return undefined;
  if (readOnly === true || isReadOnly(volume)) return 'is read-only';
  return isGuest && volume.emptyDir?.medium !== 'Memory' ? 'reaches the guest by virtio-fs, which cannot hold an overlay' : undefined;
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
  /** If the limit is computed: from which value, in brackets; otherwise empty. */
  readonly why: string;
}

function sizeFor({ resources }: ContainerSpec, pod: PodSpec, workspace: WorkspaceRequirements): Size | undefined {
  const { storageMedium, storageSize, guestMemoryBytes } = workspace;
  if (storageSize !== undefined) return { limit: storageSize, why: '' };
  if (storageMedium === undefined) return undefined;
  const own = bytesOf(memoryLimitOf(resources)) ?? bytesOf(memoryLimitOf(pod.resources));
  const bytes = own ?? guestMemoryBytes;
  if (bytes === undefined) return undefined;
  const whole = own === undefined ? `the ${quantityOf(bytes)} of a guest without a memory limit` : 'the memory limit';
  const limit = quantityOf(Math.max(bytes / 2, MIN_BYTES));
  return { limit, why: ` (half of ${whole}, at least ${quantityOf(MIN_BYTES)})` };
}

/** A smaller volume does not hold a usual base image. */
const MIN_BYTES = 256 * 1024 ** 2;

/** Volumes of these kinds contain what the cluster puts there, and are read-only. */
const READ_ONLY: ReadonlySet<string> = new Set(['configMap', 'downwardAPI', 'image', 'projected', 'secret']);

function isReadOnly(volume: Volume): boolean {
  if (volume.persistentVolumeClaim?.readOnly === true || volume.csi?.readOnly === true) return true;
  for (const kind in volume) if (READ_ONLY.has(kind) && volume[kind as keyof Volume] != null) return true;
  return false;
}

/** Makes a function that returns another unused name of a volume at each call. */
function makeNameSource(taken: Pick<ReadonlyMap<Volume['name'], Volume>, 'has'>): () => string {
  let number = -1;
  return () => {
    do number += 1;
    while (taken.has(PREFIX + number));
    return PREFIX + number;
  };
}
