import { excerptOf } from '../excerpt.ts';
import { RUNTIME_ANNOTATIONS } from '../known-names.ts';
import type { Rule, RuleContext } from './rule.ts';
import { REMOVE } from './rule.ts';

/**
 * Container runtimes and their plugins execute some annotations, as root on the node.
 *
 * Fields: metadata.annotations
 * Allowed: every annotation that no runtime reads, and those that the profile's own wall sets
 * Fix: drop it.
 * Source: the documentation of CRI-O, Kata Containers, gVisor, crun, the Container Device Interface and the Node Resource Interface
 */
export const runtimeAnnotations: Rule = {
  id: 'runtime-annotations',
  summary: 'No annotation configures the container runtime.',
  fields: ['metadata.annotations.*'],
  exemptibleValues: 'the key of an annotation',
  checkPod({ metadata }, report, context) {
    for (const key of Object.keys(metadata?.annotations ?? {})) {
      if (!isRuntimeAnnotation(key) || isPartOfWall(key, context) || isExempt(key, context)) continue;
      report({
        path: ['metadata', 'annotations', key],
        message: `annotation ${excerptOf(key)} configures the container runtime`,
        fix: REMOVE,
      });
    }
  },
};

/** Kernel parameters can open the guest's debug console, so they cannot be exempted. */
const isExempt = (key: string, { exempts }: RuleContext): boolean => !key.includes('kernel_params') && exempts(key);

export const isRuntimeAnnotation = (key: string): boolean => PATTERN.test(key);

/** One pattern for all names, because every annotation of every pod is compared. */
const PATTERN = patternOf(RUNTIME_ANNOTATIONS);

function patternOf({ names, prefixes, domains }: typeof RUNTIME_ANNOTATIONS): RegExp {
  const anyOf = (texts: readonly string[]) => `(?:${texts.map(RegExp.escape).join('|')})`;
  return new RegExp(`^(?:${anyOf(names)}$|${anyOf(prefixes)}|(?:[^/]*\\.)?${anyOf(domains)}(?:/|$))`);
}

/** `user-namespace` repairs wrong values of these keys. */
function isPartOfWall(key: string, { requirements }: RuleContext): boolean {
  return requirements.wall.annotations.some(([each]) => each === key);
}
