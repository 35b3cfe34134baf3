import { RUNTIME_ANNOTATIONS } from '../core/known-names.ts';
import { APPLIED_ANNOTATION, GRANT_LABEL, NAMESPACE_LABELS, PREFIX, PROFILE_LABEL } from '../core/labels.ts';
import { API_GROUP, LABELER, LABELS } from './labels.ts';

/** An object for `kubectl apply`. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels: Readonly<Record<string, string>> };
  readonly [field: string]: unknown;
}

/**
 * The policies that must hold while every webhook pod is down, and that the API server therefore evaluates itself: who may label a
 * namespace, and which metadata of a pod is immutable. Each policy comes with its binding.
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
 */
export function policies(): readonly Manifest[] {
  return [
    ...policy('cloister-namespace-labels', {
      resourceRules: [rule(['namespaces', 'namespaces/status', 'namespaces/finalize'], ['CREATE', 'UPDATE'], 'Cluster')],
      differs: ['labels'],
      variables: { keys: `${changed('labels', ours)} +\n${removed('labels', ours)}` },
      validations: [
        {
          expression: `variables.keys.size() == 0 || authorizer.group('${API_GROUP}').resource('profiles').check('label').allowed()`,
          messageExpression: `variables.keys.join(', ') + ': labels under ${PREFIX} say how pods are isolated, so changing them needs the verb "label" on profiles.${API_GROUP}; ask a cluster administrator, who can bind the ClusterRole ${LABELER}'`,
          reason: 'Forbidden',
        },
      ],
    }),
    ...policy('cloister-pods', {
      // The API server copies the labels and annotations of a Binding to the pod.
      resourceRules: [
        rule(['pods', 'pods/status'], ['UPDATE'], 'Namespaced'),
        rule(['bindings', 'pods/binding'], ['CREATE'], 'Namespaced'),
      ],
      differs: ['labels', 'annotations'],
      variables: {
        kept: [
          `${listOf([GRANT_LABEL, PROFILE_LABEL])}.filter(key, variables.labels[?key] != variables.oldLabels[?key])`,
          `${listOf([APPLIED_ANNOTATION])}.filter(key, variables.annotations[?key] != variables.oldAnnotations[?key])`,
        ].join(' +\n'),
        governed: [
          `'${NAMESPACE_LABELS.enforce}' in namespaceObject.metadata.?labels.orValue({})`,
          `'${PROFILE_LABEL}' in variables.labels`,
          "request.kind.kind == 'Binding'", // which does not include its pod
        ].join(' ||\n'),
        instructions: `!variables.governed ? [] :\n${changed('annotations', isRuntimeAnnotation)}`,
      },
      validations: [
        {
          expression: 'variables.kept.size() == 0',
          messageExpression:
            "variables.kept.join(', ') + ': the profile of a pod is settled when it is created; delete the pod and recreate it with other labels'",
          reason: 'Forbidden',
        },
        {
          expression: 'variables.instructions.size() == 0',
          messageExpression:
            "variables.instructions.join(', ') + ': annotations that configure the container runtime cannot be added to a pod behind a wall; leave them out'",
          reason: 'Forbidden',
        },
      ],
    }),
  ];
}

interface Parts {
  readonly resourceRules: readonly object[];
  /** The metadata maps that the policy restricts. */
  readonly differs: readonly MetadataMap[];
  readonly variables: Readonly<Record<string, string>>;
  readonly validations: readonly { readonly expression: string; readonly messageExpression: string; readonly reason: 'Forbidden' }[];
}

type MetadataMap = 'labels' | 'annotations';

const GROUP = 'admissionregistration.k8s.io/v1';

function policy(name: string, { resourceRules, differs, variables, validations }: Parts): readonly [Manifest, Manifest] {
  const metadata = { name, labels: LABELS };
  const maps = differs.flatMap((map) => [
    { name: map, expression: newMap(map) },
    { name: oldName(map), expression: oldMap(map) },
  ]);
  const spec = {
    failurePolicy: 'Fail',
    matchConstraints: { matchPolicy: 'Equivalent', resourceRules },
    // The cost of CEL is limited, and reading every key costs: without this condition, an update by a kubelet or a controller could exceed the
    // limit on an object with very many keys.
    matchConditions: [
      { name: `${differs.join('-or-')}-change`, expression: differs.map((map) => `${newMap(map)} != (${oldMap(map)})`).join(' ||\n') },
    ],
    variables: [...maps, ...Object.entries(variables).map(([variable, expression]) => ({ name: variable, expression }))],
    validations,
  };
  return [
    { apiVersion: GROUP, kind: 'ValidatingAdmissionPolicy', metadata, spec },
    { apiVersion: GROUP, kind: 'ValidatingAdmissionPolicyBinding', metadata, spec: { policyName: name, validationActions: ['Deny'] } },
  ];
}

function rule(resources: readonly string[], operations: readonly ('CREATE' | 'UPDATE')[], scope: 'Cluster' | 'Namespaced'): object {
  return { apiGroups: [''], apiVersions: ['v1'], operations, resources, scope };
}

/** In CEL. Absent labels are an empty map, as are the old labels of a new object. */
const newMap = (map: MetadataMap): string => `object.metadata.?${map}.orValue({})`;
const oldMap = (map: MetadataMap): string => `oldObject == null ? {} : oldObject.metadata.?${map}.orValue({})`;
const oldName = (map: MetadataMap): string => (map === 'labels' ? 'oldLabels' : 'oldAnnotations');

/** In CEL: the keys that were added or have a new value. */
function changed(map: MetadataMap, isSelected: (key: string) => string): string {
  return `variables.${map}.filter(key, variables.${map}[?key] != variables.${oldName(map)}[?key] &&\n(${isSelected('key')}))`;
}

function removed(map: MetadataMap, isSelected: (key: string) => string): string {
  return `variables.${oldName(map)}.filter(key, !(key in variables.${map}) &&\n(${isSelected('key')}))`;
}

const ours = (key: string): string => `${key}.startsWith('${PREFIX}')`;

/** `isRuntimeAnnotation` in CEL. */
function isRuntimeAnnotation(key: string): string {
  const { names, prefixes, domains } = RUNTIME_ANNOTATIONS;
  return [
    `${key} in ${listOf(names)}`,
    `${listOf(prefixes)}.exists(prefix, ${key}.startsWith(prefix))`,
    `${listOf(domains)}.exists(domain, ('.' + ${key}.split('/')[0]).endsWith('.' + domain))`,
  ].join(' ||\n');
}

const listOf = (words: readonly string[]): string => `[${words.map((word) => `'${word}'`).join(', ')}]`;
