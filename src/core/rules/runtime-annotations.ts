import type { Context, Rule } from './rule.ts';
import { REMOVE } from './rule.ts';

/**
 * Annotations that container runtimes and their plugins read as orders: which hypervisor to run, which devices to add, which hooks to
 * call, as root on the node. Also rendered into the in-tree policy that keeps them from being added later.
 */
export const RUNTIME_ANNOTATIONS = {
  names: ['bundle', 'io.containers.trace-syscall'],
  prefixes: [
    'blockio.resources.',
    'container.seccomp.security.alpha.kubernetes.io/',
    'dev.gvisor.',
    'io.katacontainers.',
    'io.kubernetes.cri-o.',
    'io.kubernetes.cri.',
    'module.wasm.image/',
    'org.criu.',
    'org.systemd.property.',
    'rdt.resources.',
    'run.oci.',
    'seccomp-profile.kubernetes.cri-o.io',
    'seccomp.security.alpha.kubernetes.io/',
  ],
  /** The part before the slash is one of these, or below one. */
  domains: ['cdi.k8s.io', 'crio.io', 'noderesource.dev', 'nri.containerd.io', 'nri.io'],
} as const;

/**
 * Fields: metadata.annotations
 * Allowed: every annotation that no runtime reads, and those that the profile's own wall sets
 * Fix: drop it.
 * Source: the documentation of CRI-O, Kata Containers, gVisor, crun, the Container Device Interface and the Node Resource Interface
 */
export const runtimeAnnotations: Rule = {
  id: 'runtime-annotations',
  summary: 'No annotation gives orders to the container runtime.',
  fields: ['metadata.annotations.*'],
  exempts: 'the key of an annotation',
  checkPod({ metadata }, report, context) {
    for (const key of Object.keys(metadata?.annotations ?? {})) {
      if (!isRuntimeAnnotation(key) || isWall(key, context) || isExempt(key, context)) continue;
      report({ path: ['metadata', 'annotations', key], message: `annotation ${key} gives orders to the container runtime`, fix: REMOVE });
    }
  },
};

/** Kernel parameters open the guest's debug console: no exemption reaches them. */
const isExempt = (key: string, { exempts }: Context): boolean => !key.includes('kernel_params') && exempts(key);

export const isRuntimeAnnotation = (key: string): boolean => PATTERN.test(key);

/** One pattern for all: every annotation of every pod is asked. */
const PATTERN = patternOf(RUNTIME_ANNOTATIONS);

function patternOf({ names, prefixes, domains }: typeof RUNTIME_ANNOTATIONS): RegExp {
  const anyOf = (texts: readonly string[]) => `(?:${texts.map(RegExp.escape).join('|')})`;
  return new RegExp(`^(?:${anyOf(names)}$|${anyOf(prefixes)}|(?:[^/]*\\.)?${anyOf(domains)}(?:/|$))`);
}

/** A wrong value of such a key is for `user-namespace` to repair. */
function isWall(key: string, { terms }: Context): boolean {
  return terms.wall.annotations.some(([each]) => each === key);
}
