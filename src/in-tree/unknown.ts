import { listOf, quote } from '../core/cel.ts';
import { NAMESPACE_LABELS, PROFILE_LABEL } from '../core/labels.ts';
import { UNKNOWN_PROFILE } from '../core/object-names.ts';
import { printConfigured } from '../core/policy.ts';
import {
  type ClusterConfig,
  NAME_LABEL,
  namesNoneOf,
  type Requirement,
  SPEC_CHANGED,
  type Target,
  ungovernedNamespaces,
} from '../manifests/entries.ts';
import { enforcedByName } from '../manifests/governed.ts';
import { BACKSTOP_LABELS } from '../manifests/labels.ts';
import type { Manifest } from '../manifests/policies.ts';

const GROUP = 'admissionregistration.k8s.io/v1';

/**
 * The policy for labels that name no configured profile, such as one that was removed from the configuration: without it, nothing would judge the pods
 * of such a namespace. It judges the same requests as the webhook entries `unknown`.
 */
export function unknownProfile({ profiles, governance }: ClusterConfig, target: Target): readonly Manifest[] {
  const ids = [...profiles.keys()];
  const { enforce } = NAMESPACE_LABELS;
  const metadata = { name: UNKNOWN_PROFILE, labels: BACKSTOP_LABELS };
  const outside: Requirement = { key: NAME_LABEL, operator: 'NotIn', values: ungovernedNamespaces(governance, target) };
  const binding = (suffix: 'namespace' | 'pod', selectors: object): Manifest => ({
    apiVersion: GROUP,
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: `${UNKNOWN_PROFILE}-${suffix}`, labels: BACKSTOP_LABELS },
    spec: { policyName: UNKNOWN_PROFILE, validationActions: ['Deny'], matchResources: { matchPolicy: 'Equivalent', ...selectors } },
  });
  const rule = (operations: readonly string[], resources: readonly string[]) => ({
    apiGroups: [''],
    apiVersions: ['v1'],
    operations,
    resources,
    scope: 'Namespaced',
  });
  return [
    {
      apiVersion: GROUP,
      kind: 'ValidatingAdmissionPolicy',
      metadata,
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: {
          matchPolicy: 'Equivalent',
          resourceRules: [rule(['CREATE', 'UPDATE'], ['pods']), rule(['UPDATE'], ['pods/ephemeralcontainers'])],
        },
        matchConditions: [{ name: 'spec-changes', expression: SPEC_CHANGED.join(' ||\n') }],
        variables: [
          { name: 'ofNamespace', expression: `namespaceObject.metadata.?labels[?${quote(enforce)}]` },
          {
            name: 'named',
            expression: `variables.ofNamespace.orValue((oldObject == null ? object : oldObject).metadata.?labels[?${quote(PROFILE_LABEL)}].orValue(''))`,
          },
        ],
        validations: [
          {
            // In a namespace that is governed by its name, the policy of its profile judges the label of the pod.
            expression: `variables.named in ${listOf(ids)} || (!variables.ofNamespace.hasValue() && (${enforcedByName(governance)}) != '')`,
            messageExpression: `'profile "' + variables.named + '" is not configured; ${printConfigured(profiles)}'`,
            reason: 'Forbidden',
          },
        ],
      },
    },
    binding('namespace', { namespaceSelector: { matchExpressions: [...namesNoneOf(enforce, ids), outside] } }),
    binding('pod', {
      namespaceSelector: { matchExpressions: [{ key: enforce, operator: 'DoesNotExist' }, outside] },
      objectSelector: { matchExpressions: namesNoneOf(PROFILE_LABEL, ids) },
    }),
  ];
}
