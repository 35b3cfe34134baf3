import { allOf, type Cel, holdsFor, listOf, maybe, not, quote, text, textAt } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import type { CelFinding } from '../in-tree.ts';
import type { Json } from '../json.ts';
import { effectiveOf, type SeLinuxOptions, specOf } from '../pod.ts';
import type { Reporter, Rule } from './rule.ts';

/** Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline */
const TYPES: ReadonlySet<string> = new Set(['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t']);

/** As container runtimes and OpenShift assign them: `s0`, `s0:c1`, `s0:c1,c2`. */
const PLAIN_LEVEL = /^s\d{1,2}(:c\d{1,4}(,c\d{1,4})?)?$/;

/**
 * SELinux labels separate containers from the node and from each other. A type such as `spc_t` removes the first separation. A category
 * range such as `s0:c0.c1023`, or a long list of categories, removes the second: it dominates the pairs of other pods.
 *
 * Fields: seLinuxOptions of the pod's and of each container's securityContext
 * Allowed: no user, no role, a container type that Pod Security lists, a level with at most a pair of categories
 * Fix: none for a refused value, because only the author knows its purpose; the profile's `seLinuxType` where workspace containers need one.
 * Source: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#assign-selinux-labels-to-a-container
 */
export const selinux: Rule = {
  id: 'selinux',
  summary: 'SELinux confines each container with a type for containers, and separates it from other pods.',
  fields: ['spec.securityContext.seLinuxOptions', 'spec.containers[*].securityContext.seLinuxOptions'],
  checkPod(pod, report) {
    checkOptions(specOf(pod).securityContext?.seLinuxOptions, ['spec', 'securityContext', 'seLinuxOptions'], undefined, report);
  },
  checkContainer(container, report, { requirements }, pod) {
    const path = ['securityContext', 'seLinuxOptions'];
    const given = container.hasGrant ? requirements.workspace.seLinuxType : undefined;
    checkOptions(effectiveOf(container, 'seLinuxOptions'), path, given, report);
    if (given === undefined) return;
    const podOptions = specOf(pod).securityContext?.seLinuxOptions;
    const own = container.spec.securityContext?.seLinuxOptions;
    const type = (own ?? podOptions)?.type;
    if (type === given || (type && !TYPES.has(type))) return;
    const message = `SELinux type is ${excerptOf(type || 'not set')}`;
    // A container's options replace the pod's as a whole, its level included.
    if (own == null && podOptions != null) report({ path, message, fix: { set: withType(podOptions, given) }, kind: 'promise' });
    else report({ path: [...path, 'type'], message, fix: { set: given }, kind: 'promise' });
  },
  inTree: {
    pod: ({ securityContext }) => optionsCel(maybe(securityContext, 'seLinuxOptions')),
    container({ securityContext, hasGrant, isEphemeral }, { workspace }) {
      const own = maybe('c', 'securityContext.seLinuxOptions');
      const effective = `(${isEphemeral} ? ${own}.or(${maybe(securityContext, 'seLinuxOptions')}) : ${own})`;
      const given = workspace.seLinuxType;
      return optionsCel(effective, given === undefined ? 'false' : `${hasGrant} && o.type == ${quote(given)}`);
    },
  },
  inTreeFixes: {
    container({ securityContext, hasGrant }, { workspace: { seLinuxType: given } }) {
      if (given === undefined) return [];
      const path = 'securityContext.seLinuxOptions';
      const [own, ofPod] = [maybe('c', path), maybe(securityContext, 'seLinuxOptions')];
      const type = textAt(`${own}.or(${ofPod})`, 'type');
      const isWrong = allOf(hasGrant, `${type} != ${quote(given)}`, `${type} in ${listOf(TYPES)}`);
      const inherits = `!${own}.hasValue() && ${ofPod}.hasValue()`;
      const level = textAt(ofPod, 'level');
      // Only a plain level is copied: everything else is refused on the pod.
      const copied = `${level}.matches(${quote(PLAIN_LEVEL.source)}) ? {'type': ${quote(given)}, 'level': string(${level})} : {'type': ${quote(given)}}`;
      return [
        { path, where: allOf(isWrong, inherits), set: () => copied },
        { path: `${path}.type`, where: allOf(isWrong, not(`(${inherits})`)), set: () => quote(given) },
      ];
    },
  },
};

function checkOptions(options: SeLinuxOptions | null | undefined, path: string[], given: string | undefined, report: Reporter): void {
  if (options == null) return;
  for (const field of ['user', 'role'] as const) {
    if (options[field])
      report({ path: [...path, field], message: `SELinux ${field} is ${excerptOf(options[field])}`, remedy: 'remove it' });
  }
  if (options.type != null && !TYPES.has(options.type) && options.type !== given) {
    report({ path: [...path, 'type'], message: `SELinux type is ${excerptOf(options.type)}`, remedy: 'remove it, or use container_t' });
  }
  if (options.level && !PLAIN_LEVEL.test(options.level)) {
    report({
      path: [...path, 'level'],
      message: `SELinux level ${excerptOf(options.level)} has more than a pair of categories`,
      remedy: 'use a single pair of categories, or none',
    });
  }
}

/**
 * The pod's options with another type. Only a plain level is copied: everything else is refused on the pod, and its text may be as long as the pod.
 */
function withType({ level }: SeLinuxOptions, type: string): Json {
  return level && PLAIN_LEVEL.test(level) ? { type, level } : { type };
}

const FIELD_CEL: readonly (readonly [field: keyof SeLinuxOptions, remedy: string])[] = [
  ['user', 'remove it'],
  ['role', 'remove it'],
  ['type', 'remove it, or use container_t'],
  ['level', 'use a single pair of categories, or none'],
];

/**
 * @param optional the options or none
 * @param isGiven of the options `o`: whether their type is the profile's
 */
function optionsCel(optional: Cel, isGiven: Cel = 'false'): readonly CelFinding[] {
  const wrong: Readonly<Record<keyof SeLinuxOptions, Cel>> = {
    user: `${textAt('o', 'user')} != ''`,
    role: `${textAt('o', 'role')} != ''`,
    type: allOf(`!(${textAt('o', 'type')} in ${listOf(TYPES)})`, not(isGiven)),
    level: `${textAt('o', 'level')} != '' && !o.level.matches(${quote(PLAIN_LEVEL.source)})`,
  };
  return FIELD_CEL.map(([field, remedy]) => ({
    where: holdsFor(optional, 'o', wrong[field]),
    says: text`SELinux ${quote(field)} is ${`${optional}.?${field}.orValue('')`}`,
    remedy: quote(remedy),
  }));
}
