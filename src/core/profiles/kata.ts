import { BASELINE_CAPABILITIES } from '../requirements.ts';
import { type Backend, wallOf } from './profile.ts';

/** Capabilities that engines which run through sudo need in the guest. Podman raises its limit of processes, for which it needs SYS_RESOURCE. */
const ENGINE_CAPABILITIES = [...BASELINE_CAPABILITIES, 'SYS_ADMIN', 'NET_ADMIN', 'SYS_RESOURCE'];

/** `default_memory` of the configuration that Kata ships: 2048 MiB. */
const GUEST_MEMORY_BYTES = 2 * 1024 ** 3;

const STORAGE = ['/var/lib/containers', '/var/tmp', '/tmp'];

/**
 * Kata Containers: each pod is a virtual machine. A pod can affect only its own guest.
 * Source: https://github.com/kata-containers/kata-containers/tree/main/docs
 */
function makeKata(id: string, hypervisor: string, requires: readonly string[] = []): Backend {
  return {
    id,
    summary: `Each pod runs in a virtual machine of its own, made by ${hypervisor}: the kernel and root belong to the guest.`,
    requires: [`Kata Containers with ${hypervisor} and a RuntimeClass for its handler, /dev/kvm on the nodes`, ...requires],
    options: ['guestPrivileged', 'storageMedium', 'storageSize'],
    makeWall: (options) => wallOf(options, { runtimeClassName: id }),
    makePodRequirements: () => ({ allowsBlockDevices: true, runsRootfulEngines: true }),
    makeWorkspaceRequirements(grant, { guestPrivileged = false, storage = STORAGE, storageMedium = 'memory', storageSize }) {
      // Processes of `kubectl exec` do not inherit no_new_privs in the guest, so only an empty capability set keeps them from sudo.
      if (grant === 'none') return { mustDropAll: true, allowedCapabilities: new Set() };
      if (grant !== 'containers') return {};
      return {
        addedCapabilities: ENGINE_CAPABILITIES,
        allowedCapabilities: new Set([...ENGINE_CAPABILITIES, 'SYS_PTRACE', 'NET_RAW']),
        makesPrivileged: guestPrivileged,
        storage,
        // virtio-fs, which carries the guest's root and its ordinary emptyDirs, cannot hold an overlay.
        storageMedium: storageMedium === 'memory' ? 'Memory' : undefined,
        storageSize,
        guestMemoryBytes: GUEST_MEMORY_BYTES,
      };
    },
  };
}

export const kataQemu = makeKata('kata-qemu', 'QEMU');
export const kataClh = makeKata('kata-clh', 'Cloud Hypervisor');
export const kataFc = makeKata('kata-fc', 'Firecracker', ['a block-device snapshotter, such as devmapper']);
export const kataAcrn = makeKata('kata-acrn', 'ACRN', ['Kata Containers 3.9 or earlier: later releases have no ACRN']);
