import { HANDS_OFF_ANNOTATION } from '../core/labels.ts';
import { MUTATING_CONFIGURATION, VALIDATING_CONFIGURATION } from '../core/object-names.ts';
import { API_GROUP, LABELS, MANAGER } from './labels.ts';

export const GUARD = 'cloister-guard';

/** In CEL: whether an annotation asks another tool to write the caBundle: cert-manager's CA injector, or OpenShift's Service CA. */
const INJECTORS = "key.startsWith('cert-manager.io/inject-') || key == 'service.beta.openshift.io/inject-cabundle'";

const isMark = `key == '${HANDS_OFF_ANNOTATION}' || ${INJECTORS}`;

/** In CEL: whether two maps are equal but for one key. */
const areEqualBut = (ignored: string, now: string, before: string): string =>
  `(${now}.all(key, key == '${ignored}' || (key in ${before} && ${now}[key] == ${before}[key])) && ${before}.all(key, key == '${ignored}' || key in ${now}))`;

/**
 * The policy for Cloister's own webhook configurations. Only holders of the verb `manage` may delete them, or change what decides which pods are
 * isolated: the entries, the owners, and the annotations that exclude an object from `cloister ensure` or give its caBundle to another tool. With the
 * annotation of such a tool, the caBundle alone may change: with a wrong one, calls fail, and entries that enforce then refuse.
 *
 * An object is selected by its content: where a whole collection is deleted, the request has no name. No policy can guard itself, because the
 * API server evaluates none for policies and bindings; its binding can therefore always be deleted.
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
 */
export function guard() {
  const metadata = { name: GUARD, labels: LABELS };
  const apiVersion = 'admissionregistration.k8s.io/v1';
  const spec = {
    failurePolicy: 'Fail',
    matchConstraints: {
      matchPolicy: 'Equivalent',
      resourceRules: [
        {
          apiGroups: ['admissionregistration.k8s.io'],
          apiVersions: ['v1'],
          operations: ['UPDATE', 'DELETE'],
          resources: ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'],
          scope: 'Cluster',
        },
      ],
    },
    matchConditions: [
      {
        name: 'is-of-cloister',
        expression: `oldObject.metadata.name == (request.resource.resource == 'mutatingwebhookconfigurations' ? '${MUTATING_CONFIGURATION}' : '${VALIDATING_CONFIGURATION}')`,
      },
    ],
    variables: [
      { name: 'entries', expression: 'object == null ? [] : object.?webhooks.orValue([])' },
      { name: 'oldEntries', expression: 'oldObject.?webhooks.orValue([])' },
      {
        name: 'onlyBundlesChange',
        expression: [
          'variables.entries.size() == variables.oldEntries.size()',
          'variables.entries.all(entry, variables.oldEntries.exists(old, old.name == entry.name',
          areEqualBut('clientConfig', 'dyn(entry)', 'dyn(old)'),
          `${areEqualBut('caBundle', 'dyn(entry).clientConfig', 'dyn(old).clientConfig')}))`,
        ].join(' &&\n'),
      },
      { name: 'annotations', expression: 'object == null ? {} : object.metadata.?annotations.orValue({})' },
      { name: 'oldAnnotations', expression: 'oldObject.metadata.?annotations.orValue({})' },
      { name: 'isInjected', expression: `variables.oldAnnotations.exists(key, ${INJECTORS})` },
      {
        name: 'isKept',
        expression: [
          "request.operation != 'DELETE'",
          '(variables.entries == variables.oldEntries || (variables.isInjected && variables.onlyBundlesChange))',
          `variables.annotations.all(key, !(${isMark}) || variables.annotations[?key] == variables.oldAnnotations[?key])`,
          `variables.oldAnnotations.all(key, !(${isMark}) || key in variables.annotations)`,
          // The garbage collector deletes an object whose owner does not exist.
          'object.metadata.?ownerReferences.orValue([]) == oldObject.metadata.?ownerReferences.orValue([])',
        ].join(' &&\n'),
      },
    ],
    validations: [
      {
        expression: `variables.isKept || authorizer.group('${API_GROUP}').resource('profiles').check('manage').allowed()`,
        messageExpression: `oldObject.metadata.name + ': this webhook configuration decides which pods are isolated, so ' + (request.operation == 'DELETE' ? 'deleting it' : 'changing its entries, its owners or its annotations for cloister ensure and for injectors of a caBundle') + ' needs the verb "manage" on profiles.${API_GROUP}; ask a cluster administrator, who can bind the ClusterRole ${MANAGER}'`,
        reason: 'Forbidden',
      },
    ],
  };
  return [
    { apiVersion, kind: 'ValidatingAdmissionPolicy', metadata, spec },
    { apiVersion, kind: 'ValidatingAdmissionPolicyBinding', metadata, spec: { policyName: GUARD, validationActions: ['Deny'] } },
  ] as const;
}
