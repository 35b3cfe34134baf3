import { backstopNameOf, MISSING_POLICY, missingBindingOf, UNKNOWN_PROFILE } from '../core/object-names.ts';
import type { Requirement } from './entries.ts';
import { BACKSTOP_LABELS } from './labels.ts';

const GROUP = 'admissionregistration.k8s.io/v1';
const PARAM_KIND = { apiVersion: GROUP, kind: 'ValidatingAdmissionPolicy' };

/**
 * The policy that refuses new pods and debug containers while the policy of their profile does not exist: before `cloister ensure` has run for the first
 * time, and after the policy was deleted. Its parameter is that policy: where a binding names a parameter that does not exist, the API server refuses
 * before it evaluates anything. It then evaluates no match condition either, so that updates of pods, such as those of finalizers, are left out.
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/#parameter-resources
 */
export function missingPolicy() {
  const rule = (operation: string, resource: string) => ({
    apiGroups: [''],
    apiVersions: ['v1'],
    operations: [operation],
    resources: [resource],
    scope: 'Namespaced',
  });
  return {
    apiVersion: GROUP,
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: MISSING_POLICY, labels: BACKSTOP_LABELS },
    spec: {
      failurePolicy: 'Fail',
      paramKind: PARAM_KIND,
      matchConstraints: { matchPolicy: 'Equivalent', resourceRules: [rule('CREATE', 'pods'), rule('UPDATE', 'pods/ephemeralcontainers')] },
      validations: [{ expression: 'params != null', message: 'the policy of the profile does not exist', reason: 'Forbidden' }],
    },
  };
}

/**
 * @param profile undefined: for labels that name no configured profile
 * @param namespaces whose label names the profile
 */
export function missingPolicyBinding(profile: string | undefined, namespaces: readonly Requirement[]) {
  return {
    apiVersion: GROUP,
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: missingBindingOf(profile), labels: BACKSTOP_LABELS },
    spec: {
      policyName: MISSING_POLICY,
      paramRef: { name: profile === undefined ? UNKNOWN_PROFILE : backstopNameOf(profile), parameterNotFoundAction: 'Deny' },
      validationActions: ['Deny'],
      matchResources: { matchPolicy: 'Equivalent', namespaceSelector: { matchExpressions: namespaces } },
    },
  };
}
