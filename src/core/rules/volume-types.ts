import { allOf, type Cel, concat, listAt, listOf, not, quote, text, textAt } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import { orEmpty, specOf, type Volume } from '../pod.ts';
import type { Rule, RuleContext } from './rule.ts';

/** Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted */
const SAFE: ReadonlySet<string> = new Set([
  'configMap',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
]);

/**
 * A hostPath gives the pod files of the node: id mapping makes the pod's root their owner, virtio-fs passes them into the guest, and no
 * profile isolates them. The in-tree network volumes make the node's kernel mount a source of the author's choice, and so
 * does a csi volume of a driver that mounts what the pod names.
 *
 * Fields: spec.volumes[*], by the key beside its name
 * Allowed: the kinds of Pod Security restricted, csi only of the profile's `csiDrivers`; unknown kinds are not among them
 * Fix: none; removing the volume would break the containers that mount it.
 * Source: https://kubernetes.io/docs/concepts/storage/volumes/, CVE-2024-10220 (gitRepo)
 */
export const volumeTypes: Rule = {
  id: 'volume-types',
  summary: 'Volumes are of kinds that do not reach the node.',
  fields: ['spec.volumes[*].*'],
  exemptibleValues:
    'a kind of volume, for example nfs; a hostPath with its path, hostPath:/dev/fuse; a csi volume with its driver, csi:nfs.csi.k8s.io',
  checkPod(pod, report, context) {
    for (const [index, volume] of orEmpty(specOf(pod).volumes).entries()) {
      for (const kind of unsafeKinds(volume, context)) {
        const message = printVolume(volume, kind);
        const wayOut =
          kind === 'csi' ? { remedy: CSI_REMEDY } : { remedy: remedyFor(volume, kind), exemption: exemptibleValueOf(volume, kind) };
        report({ path: ['spec', 'volumes', index, kind], message, ...wayOut });
      }
    }
  },
  inTree: {
    pod({ spec, exempts }, { csiDrivers }) {
      const driver = textAt('v', 'csi.driver');
      const value = `(k == 'hostPath' ? 'hostPath:' + v.hostPath.path : k == 'csi' ? 'csi:' + ${driver} : k)`;
      const isUnsafe = allOf(
        `k != 'name' && !(k in ${listOf(SAFE)})`,
        csiDrivers.size === 0 ? 'true' : `!(k == 'csi' && ${driver} in ${listOf(csiDrivers)})`,
        not(exempts(value)),
      );
      const kind = `v.filter(k, ${isUnsafe})[0]`;
      const path = textAt('v', 'hostPath.path');
      return [
        {
          each: [listAt(spec, 'volumes'), 'v'],
          where: `v.exists(k, ${isUnsafe})`,
          says: `${text`volume "${'v.name'}" `} + (has(v.hostPath) ? ${text`is the node's ${path}`} : has(v.csi) ? ${text`is mounted by the CSI driver ${driver}`} : ${text`is of kind ${kind}`})`,
          remedy: concat(
            `(has(v.csi) ? ${quote(CSI_REMEDY)} : has(v.hostPath) ? (${remedyForPath(path)}) : ${quote(REMEDY)})`,
            `(has(v.csi) ? '' : ${quote(', or ask the operator for an exemption')} + (${path}.matches(${quote(PLAIN_PATH)}) ? ${text` (volume-types: ["hostPath:${path}"])`} : ''))`,
          ),
        },
      ];
    },
  },
};

/** A path that is quoted as it is where an operator may copy it: an author could end the list of the exemption, and begin another. */
const PLAIN_PATH = '^[A-Za-z0-9/._-]{1,100}$';

const REMEDY = 'use an emptyDir, a persistentVolumeClaim, a configMap or another kind that does not reach the node';

/**
 * The advice for paths of the node that pods often mount: what a pod can use instead. The first pattern that matches counts. The advice is short,
 * because it has at most 200 characters together with the exemption that follows it.
 */
const INSTEAD: readonly (readonly [path: RegExp, remedy: string])[] = [
  [
    /\/(?:docker|containerd|crio|cri-dockerd|podman)\.sock$|^(?:\/var)?\/run\/(?:docker|containerd|crio|podman|k3s)(?:\/|$)/,
    "run an engine in the pod (every caller of the node's engine is root on the node)",
  ],
  [/^\/dev\/shm\/?$/, 'use an emptyDir of medium Memory'],
  [/^\/dev\/./, 'ask for the resource of a device plugin, which the operator lists in the devices of the profile'],
  [/^\/(?:proc|sys)(?:\/|$)/, 'remove it and its mounts: each container has a /proc and a /sys of its own'],
  [
    /^(?:\/usr)?\/lib\/modules(?:\/|$)|^\/usr\/src(?:\/|$)/,
    'remove it and its mounts: the pod loads no modules into the kernel of the node',
  ],
  [/^\/etc\/(?:localtime|timezone)$|^\/usr\/share\/zoneinfo(?:\/|$)/, 'remove it and its mounts, and set the variable TZ'],
  [/^(?:\/var)?\/run\/./, 'use the network, or a csi volume of a driver that the operator lists in csiDrivers'],
];

const remedyFor = ({ hostPath }: Volume, kind: string): string =>
  (kind === 'hostPath' && INSTEAD.find(([path]) => path.test(hostPath?.path ?? ''))?.[1]) || REMEDY;

const CSI_REMEDY = 'use a persistentVolumeClaim, or ask the operator to list the driver in the csiDrivers of the profile';

function unsafeKinds(volume: Volume, { exempts, requirements }: RuleContext): string[] {
  return Object.keys(volume).filter((kind) => {
    if (kind === 'name' || SAFE.has(kind) || volume[kind as keyof Volume] == null) return false;
    if (kind === 'csi' && requirements.csiDrivers.has(volume.csi?.driver ?? '')) return false;
    return !exempts(exemptibleValueOf(volume, kind));
  });
}

function exemptibleValueOf({ csi, hostPath }: Volume, kind: string): string {
  if (kind === 'hostPath') return `hostPath:${hostPath?.path}`;
  return kind === 'csi' ? `csi:${csi?.driver}` : kind;
}

function printVolume({ name, csi, hostPath }: Volume, kind: string): string {
  const volume = `volume "${excerptOf(name ?? '')}"`;
  if (kind === 'hostPath') return `${volume} is the node's ${excerptOf(hostPath?.path ?? 'file system')}`;
  if (kind === 'csi') return `${volume} is mounted by the CSI driver ${excerptOf(csi?.driver || 'without a name')}`;
  return `${volume} is of kind ${excerptOf(kind)}`;
}

const remedyForPath = (path: Cel): Cel =>
  INSTEAD.reduceRight((rest, [pattern, remedy]) => `${path}.matches(${quote(pattern.source)}) ? ${quote(remedy)} : ${rest}`, quote(REMEDY));
