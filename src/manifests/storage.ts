import type { Json } from '../core/json.ts';
import { valueAt } from '../core/path.ts';
import { isObject } from '../core/shape.ts';

/** An object that says where claims are stored. */
export type StorageObject =
  | { readonly kind: 'PersistentVolume' | 'StorageClass'; readonly name: string; readonly storage: string | undefined }
  | {
      readonly kind: 'PersistentVolumeClaim';
      readonly name: string;
      readonly namespace: string | undefined;
      readonly volume: string | undefined;
      readonly storageClass: string | undefined;
      /** The provisioner that made the volume, or makes it. */
      readonly provisioner: string | undefined;
    };

/** The kinds of volume in a PersistentVolume that a check or a rule knows; any other one is known by its CSI driver. */
const VOLUME_KINDS = ['nfs', 'cephfs', 'glusterfs', 'azureFile', 'hostPath', 'local'];

/** The CSI driver or the kind of volume in the spec of a PersistentVolume; undefined: neither is known. */
export function storageOf(spec: Readonly<Record<string, unknown>>): string | undefined {
  const driver = isObject(spec.csi) ? spec.csi.driver : undefined;
  return typeof driver === 'string' ? driver : VOLUME_KINDS.find((kind) => spec[kind] !== undefined);
}

/** The kubelet's controllers name the provisioner in one of these annotations of a claim; the second one is the older. */
const PROVISIONER_ANNOTATIONS = ['volume.kubernetes.io/storage-provisioner', 'volume.beta.kubernetes.io/storage-provisioner'];

/** @returns undefined: an object of this kind says nothing about storage */
export function storageObjectOf(object: Json, group: string, kind: string): StorageObject | undefined {
  const textAt = (...path: readonly string[]): string | undefined => {
    const value = valueAt(object, path);
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const name = textAt('metadata', 'name') ?? '';
  const spec = valueAt(object, ['spec']);
  switch (`${group}/${kind}`) {
    case '/PersistentVolume':
      return { kind: 'PersistentVolume', name, storage: isObject(spec) ? storageOf(spec) : undefined };
    case 'storage.k8s.io/StorageClass':
      return { kind: 'StorageClass', name, storage: textAt('provisioner') };
    case '/PersistentVolumeClaim':
      return {
        kind: 'PersistentVolumeClaim',
        name,
        namespace: textAt('metadata', 'namespace'),
        volume: textAt('spec', 'volumeName'),
        storageClass: textAt('spec', 'storageClassName'),
        provisioner: PROVISIONER_ANNOTATIONS.map((key) => textAt('metadata', 'annotations', key)).find((value) => value !== undefined),
      };
    default:
      return undefined;
  }
}

/** By namespace, and in it by the name of the claim: its storage, as far as the objects show it. */
export type StorageByClaim = ReadonlyMap<string, ReadonlyMap<string, string>>;

/**
 * The storage of each claim: that of its volume or, if the volume is not among the objects, the provisioner that the claim or its class names.
 * @param namespace of claims that name none
 */
export function storageByClaim(objects: readonly StorageObject[], namespace: string): StorageByClaim {
  const storage = new Map(
    objects.flatMap((each) => (each.kind === 'PersistentVolumeClaim' ? [] : [[`${each.kind} ${each.name}`, each.storage]])),
  );
  const found = new Map<string, Map<string, string>>();
  for (const each of objects) {
    if (each.kind !== 'PersistentVolumeClaim') continue;
    const place = storage.get(`PersistentVolume ${each.volume}`) ?? each.provisioner ?? storage.get(`StorageClass ${each.storageClass}`);
    if (place === undefined) continue;
    const within = each.namespace ?? namespace;
    found.set(within, (found.get(within) ?? new Map<string, string>()).set(each.name, place));
  }
  return found;
}
