import type { ClassFacts, NodeFacts } from '../../src/live/facts.ts';

/** A node that can do everything. */
export function nodeWith(more: Partial<NodeFacts> = {}): NodeFacts {
  return {
    name: 'worker-1',
    uid: 'f1c2',
    kubelet: 'v1.35.2',
    runtime: 'containerd://2.1.4',
    kernel: '6.12.55+',
    bootId: 'a1b2',
    os: 'linux',
    osImage: 'Flatcar Container Linux by Kinvolk 4230.2.1 (Oklo)',
    providerId: undefined,
    isSchedulable: true,
    isReady: true,
    hasAppArmor: false,
    devices: [],
    handlers: new Map([
      ['', true],
      ['kata-qemu', false],
      ['kata-clh', false],
      ['kata-fc', false],
      ['kata-acrn', false],
      ['runsc', false],
      ['sysbox-runc', true],
    ]),
    labels: { 'katacontainers.io/kata-runtime': 'true', 'sysbox-runtime': 'running' },
    taints: [],
    ...more,
  };
}

/** The class and the handler of each backend, as its installer names them. */
const CLASSES: Readonly<Record<string, readonly [name: string, handler: string]>> = {
  sysbox: ['sysbox-runc', 'sysbox-runc'],
  'kata-qemu': ['kata-qemu', 'kata-qemu'],
  'kata-clh': ['kata-clh', 'kata-clh'],
  'kata-fc': ['kata-fc', 'kata-fc'],
  'kata-acrn': ['kata-acrn', 'kata-acrn'],
  gvisor: ['gvisor', 'runsc'],
};

/** @param backend userns has no class: then the class is not used */
export function classWith(backend: string, more: Partial<ClassFacts> = {}): ClassFacts {
  const [name = 'unused', handler = ''] = CLASSES[backend] ?? [];
  return {
    name,
    handler,
    created: new Date('2029-01-01T00:00:00Z'),
    podFixed: undefined,
    nodeSelector: {},
    tolerations: [],
    ...more,
  };
}

export const backendsWithClass: readonly string[] = Object.keys(CLASSES);
