import { anyOf, type Cel, listOf, mapAt, not, quote, text } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import type { CelFinding } from '../in-tree.ts';
import type { Path } from '../path.ts';
import { orEmpty, specOf } from '../pod.ts';
import { isObject } from '../shape.ts';
import type { Reporter, Rule, RuleContext } from './rule.ts';

/**
 * Every field of SecurityContext, PodSecurityContext, PodSpec, Container and VolumeMount in any supported version of Kubernetes. A test compares with
 * the OpenAPI documents of these versions.
 */
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

export const SPEC_FIELDS: ReadonlySet<string> = new Set(
  (
    'activeDeadlineSeconds affinity automountServiceAccountToken containers dnsConfig dnsPolicy enableServiceLinks ephemeralContainers ' +
    'evictionResponders hostAliases hostIPC hostNetwork hostPID hostUsers hostname hostnameOverride imagePullSecrets initContainers nodeName nodeSelector os ' +
    'overhead preemptionPolicy priority priorityClassName readinessGates resourceClaims resources restartPolicy runtimeClassName ' +
    'schedulerName schedulingGates schedulingGroup securityContext serviceAccount serviceAccountName setHostnameAsFQDN ' +
    'shareProcessNamespace subdomain terminationGracePeriodSeconds tolerations topologySpreadConstraints volumes workloadRef'
  ).split(' '),
);
/** Those of ephemeral containers included. */
export const CONTAINER_SPEC_FIELDS: ReadonlySet<string> = new Set(
  (
    'args command env envFrom image imagePullPolicy lifecycle livenessProbe name ports readinessProbe resizePolicy resources restartPolicy ' +
    'restartPolicyRules securityContext startupProbe stdin stdinOnce targetContainerName terminationMessagePath terminationMessagePolicy ' +
    'tty volumeDevices volumeMounts workingDir'
  ).split(' '),
);
export const MOUNT_FIELDS: ReadonlySet<string> = new Set(
  'bindMountOptions mountPath mountPropagation name readOnly recursiveReadOnly subPath subPathExpr'.split(' '),
);

/**
 * An unknown field of a security context may weaken the known ones. Elsewhere in a pod it may be a new way out that no rule judges, such as a
 * further list of containers; but a newer API server must not stop pods.
 *
 * Fields: any other key of the security contexts, of spec, and of containers and their volume mounts
 * Allowed: none. In a security context one is an escape; elsewhere it is reported and counted, and the pod is admitted
 * Fix: none; an operator who knows the field can exempt it.
 */
export const unknownFields: Rule = {
  id: 'unknown-fields',
  summary: 'This version of Cloister knows every field of the pod that must be judged.',
  fields: [
    'spec.securityContext.*',
    'spec.containers[*].securityContext.*',
    'spec.*',
    'spec.containers[*].*',
    'spec.containers[*].volumeMounts[*].*',
  ],
  exemptibleValues: 'the name of the field',
  checkPod(pod, report, context) {
    checkFields(specOf(pod).securityContext, POD_FIELDS, ['spec', 'securityContext'], report, context);
    reportFields(specOf(pod), SPEC_FIELDS, ['spec'], report, context);
  },
  checkContainer({ spec }, report, context) {
    checkFields(spec.securityContext, CONTAINER_FIELDS, ['securityContext'], report, context);
    reportFields(spec, CONTAINER_SPEC_FIELDS, [], report, context);
    for (const [index, mount] of orEmpty(spec.volumeMounts).entries()) {
      reportFields(mount, MOUNT_FIELDS, ['volumeMounts', index], report, context);
    }
  },
  inTree: {
    pod: ({ securityContext, exempts }) => [fieldCel(securityContext, POD_FIELDS, exempts('k'))],
    container: ({ exempts }) => [fieldCel(mapAt('c', 'securityContext'), CONTAINER_FIELDS, exempts('k'))],
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
  for (const field in object) {
    if (!isUnknown(object, field, known) || exempts(field)) continue;
    report({
      path: [...path, field],
      message: `field ${excerptOf(field)} is unknown to this version of Cloister`,
      remedy: 'remove it',
      exemption: field,
    });
  }
}

function reportFields(object: object, known: ReadonlySet<string>, path: Path, report: Reporter, { exempts }: RuleContext): void {
  for (const field in object) {
    if (!isUnknown(object, field, known) || exempts(field)) continue;
    const what = holdsContainers((object as Fields)[field])
      ? 'holds containers that this version does not judge'
      : 'is unknown to this version';
    report({
      path: [...path, field],
      message: `field ${excerptOf(field)} ${what}`,
      remedy: 'correct its name, or ask the operator to upgrade Cloister',
      exemption: field,
      kind: 'unknown',
    });
  }
}

/** Whether the field is unknown and set. */
const isUnknown = (object: object, field: string, known: ReadonlySet<string>): boolean =>
  !known.has(field) && (object as Fields)[field] != null;

type Fields = Readonly<Record<string, unknown>>;

const holdsContainers = (value: unknown): boolean =>
  Array.isArray(value) && value.some((each) => isObject(each) && typeof each.image === 'string');

const fieldCel = (object: Cel, known: ReadonlySet<string>, isExempt: Cel): CelFinding => ({
  each: [object, 'k'],
  where: not(anyOf(`k in ${listOf(known)}`, isExempt)),
  says: text`field ${'k'} is unknown to this version of Cloister`,
  remedy: quote('remove it, or ask the operator for an exemption'),
});
