import { excerptOf } from '../excerpt.ts';
import { specOf } from '../pod.ts';
import type { Reporter, Rule, RuleContext } from './rule.ts';

/** Every field of Kubernetes 1.36's SecurityContext and PodSecurityContext. Source: the API server's OpenAPI document; a test compares. */
export const CONTAINER_FIELDS: ReadonlySet<string> = new Set([
  'allowPrivilegeEscalation',
  'appArmorProfile',
  'capabilities',
  'privileged',
  'procMount',
  'readOnlyRootFilesystem',
  'runAsGroup',
  'runAsNonRoot',
  'runAsUser',
  'seLinuxOptions',
  'seccompProfile',
  'windowsOptions',
]);
export const POD_FIELDS: ReadonlySet<string> = new Set([
  'appArmorProfile',
  'fsGroup',
  'fsGroupChangePolicy',
  'runAsGroup',
  'runAsNonRoot',
  'runAsUser',
  'seLinuxChangePolicy',
  'seLinuxOptions',
  'seccompProfile',
  'supplementalGroups',
  'supplementalGroupsPolicy',
  'sysctls',
  'windowsOptions',
]);

/**
 * An unknown field of a security context may weaken the known ones.
 *
 * Fields: any other key of spec.securityContext and spec.containers[*].securityContext
 * Allowed: none
 * Fix: none; an operator who knows the field can exempt it.
 */
export const unknownFields: Rule = {
  id: 'unknown-fields',
  summary: 'Security contexts have no field that this version of Cloister cannot judge.',
  fields: ['spec.securityContext.*', 'spec.containers[*].securityContext.*'],
  exemptibleValues: 'the name of the field',
  checkPod(pod, report, context) {
    checkFields(specOf(pod).securityContext, POD_FIELDS, ['spec', 'securityContext'], report, context);
  },
  checkContainer({ spec }, report, context) {
    checkFields(spec.securityContext, CONTAINER_FIELDS, ['securityContext'], report, context);
  },
};

function checkFields(
  object: object | null | undefined,
  known: ReadonlySet<string>,
  path: readonly string[],
  report: Reporter,
  { exempts }: RuleContext,
): void {
  if (object == null) return;
  for (const field of Object.keys(object)) {
    if (known.has(field) || (object as Record<string, unknown>)[field] == null || exempts(field)) continue;
    report({
      path: [...path, field],
      message: `field ${excerptOf(field)} is unknown to this version`,
      remedy: 'remove it, or ask the operator for an exemption',
    });
  }
}
