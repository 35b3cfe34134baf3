import { PROFILE_LABEL } from '../core/labels.ts';
import { backstopNameOf, MISSING_POLICY, missingBindingOf, type PodsOfProfile, UNKNOWN_PROFILE } from '../core/object-names.ts';
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
 * For pods of a profile: all pods of the namespaces, or those whose own label names the profile, because their namespace lets them choose it or has no label.
 * @param namespaces the namespaces of these pods
 */
export function missingPolicyBinding(profile: string, pods: PodsOfProfile, namespaces: readonly Requirement[]) {
  const objectSelector = { matchExpressions: [{ key: PROFILE_LABEL, operator: 'In', values: [profile] }] };
  return bindingTo(backstopNameOf(profile), missingBindingOf(profile, pods), {
    namespaceSelector: { matchExpressions: namespaces },
    ...(pods !== 'namespace' && { objectSelector }),
  });
}

/** For the pods of namespaces whose label names no configured profile. */
export function missingUnknownBinding(namespaces: readonly Requirement[]) {
  return bindingTo(UNKNOWN_PROFILE, MISSING_POLICY, { namespaceSelector: { matchExpressions: namespaces } });
}

/** @param wanted the policy that must exist */
function bindingTo(wanted: string, name: string, selectors: object) {
  return {
    apiVersion: GROUP,
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name, labels: BACKSTOP_LABELS },
    spec: {
      policyName: MISSING_POLICY,
      paramRef: { name: wanted, parameterNotFoundAction: 'Deny' },
      validationActions: ['Deny'],
      matchResources: { matchPolicy: 'Equivalent', ...selectors },
    },
  };
}
