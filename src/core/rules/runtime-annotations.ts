import { allOf, type Cel, isAmong, listOf, not, quote, text, without } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import { type AnnotationKeys, NETWORK_STATUS_ANNOTATIONS, RUNTIME_ANNOTATIONS } from '../known-names.ts';
import type { Rule, RuleContext } from './rule.ts';
import { REMOVE } from './rule.ts';

/**
 * Container runtimes, network plugins and other plugins of the node execute some annotations, as root on the node.
 *
 * Fields: metadata.annotations
 * Allowed: every annotation that no runtime or network plugin reads, those that the profile's own wall sets, and on an update those that a
 * network plugin writes itself
 * Fix: drop it.
 * Source: the documentation of CRI-O, Kata Containers, gVisor, crun, the Container Device Interface, the Node Resource Interface, Multus,
 * OVN-Kubernetes, Kube-OVN and Calico
 */
export const runtimeAnnotations: Rule = {
  id: 'runtime-annotations',
  summary: 'No annotation configures the container runtime or the network.',
  fields: ['metadata.annotations.*'],
  exemptibleValues: 'the key of an annotation',
  checkPod({ metadata }, report, context) {
    const isOrder = context.isUpdate ? isAddedRuntimeAnnotation : isRuntimeAnnotation;
    for (const key of Object.keys(metadata?.annotations ?? {})) {
      if (!isOrder(key) || isPartOfWall(key, context) || isExempt(key, context)) continue;
      const effect = DEVICES.test(key) ? 'brings devices of the node into the pod' : 'configures the container runtime or the network';
      const message = `annotation ${excerptOf(key)} ${effect}`;
      const field = fieldInsteadOf(key, context);
      const wayOut =
        field === undefined ? isExemptible(key) && { exemption: key } : { remedy: `remove it: the field ${field} replaces it` };
      report({ path: ['metadata', 'annotations', key], message, fix: REMOVE, ...wayOut });
    }
  },
  inTree: {
    pod: ({ annotationKeys, isUpdate, exempts }, { wall }) => [
      {
        each: [annotationKeys, 'k'],
        where: allOf(
          `(${isAmong(RUNTIME_ANNOTATIONS, 'k')})`,
          `!(${isUpdate} && (${isAmong(NETWORK_STATUS_ANNOTATIONS, 'k')}))`,
          wall.annotations.length === 0 ? 'true' : `!(k in ${listOf(wall.annotations.map(([key]) => key))})`,
          not(allOf("!k.contains('kernel_params')", exempts('k'))),
        ),
        says: text`annotation ${'k'} configures the container runtime or the network`,
        remedy: quote('remove it, or ask the operator for an exemption'),
      },
    ],
  },
  inTreeFixes: {
    pod({ annotations, exempts }, { wall }) {
      const isOrder = (key: Cel): Cel =>
        allOf(
          `(${isAmong(RUNTIME_ANNOTATIONS, key)})`,
          wall.annotations.length === 0 ? 'true' : `!(${key} in ${listOf(wall.annotations.map(([each]) => each))})`,
          not(allOf(`!${key}.contains('kernel_params')`, exempts(key))),
        );
      return [
        {
          path: 'metadata.annotations',
          where: `${annotations}.exists(k, ${isOrder('k')})`,
          edit: (found) => without(found, isOrder),
        },
      ];
    },
  },
};

/** CRI-O's own, and those of the device injectors of CDI and NRI. */
const DEVICES = /^(?:io\.kubernetes\.cri-o\.Devices$|cdi\.k8s\.io\/|devices\.(?:nri\.io|noderesource\.dev)(?:\/|$))/;

/** Both names that CRI-O reads. */
const USER_NAMESPACE: ReadonlySet<string> = new Set(['io.kubernetes.cri-o.userns-mode', 'userns-mode.crio.io']);

/** The field of the pod that replaces an annotation of older manifests; undefined: none does. */
function fieldInsteadOf(key: string, { requirements }: RuleContext): string | undefined {
  if (USER_NAMESPACE.has(key)) return requirements.wall.hostUsers === false ? 'hostUsers' : undefined;
  return /^(?:container\.)?seccomp\.security\.alpha\.kubernetes\.io\//.test(key) ? 'seccompProfile' : undefined;
}

/** Kernel parameters can open the guest's debug console, so they cannot be exempted. */
const isExemptible = (key: string): boolean => !key.includes('kernel_params');
const isExempt = (key: string, { exempts }: RuleContext): boolean => isExemptible(key) && exempts(key);

export const isRuntimeAnnotation = (key: string): boolean => PATTERN.test(key);

/**
 * Whether the annotation configures the runtime or the network when it is added to an existing pod: annotations in which a network plugin reports
 * addresses do not.
 */
export const isAddedRuntimeAnnotation = (key: string): boolean => PATTERN.test(key) && !STATUS_PATTERN.test(key);

/** One pattern for all names, because every annotation of every pod is compared. */
const PATTERN = patternOf(RUNTIME_ANNOTATIONS);
const STATUS_PATTERN = patternOf(NETWORK_STATUS_ANNOTATIONS);

function patternOf({ names, prefixes, domains }: AnnotationKeys): RegExp {
  const anyOf = (texts: readonly string[]) => (texts.length === 0 ? '(?!)' : `(?:${texts.map(RegExp.escape).join('|')})`);
  return new RegExp(`^(?:${anyOf(names)}$|${anyOf(prefixes)}|(?:[^/]*\\.)?${anyOf(domains)}(?:/|$))`);
}

/** `user-namespace` repairs wrong values of these keys. */
function isPartOfWall(key: string, { requirements }: RuleContext): boolean {
  return requirements.wall.annotations.some(([each]) => each === key);
}
