import { isAmong, listOf } from '../core/cel.ts';
import { NETWORK_STATUS_ANNOTATIONS, RUNTIME_ANNOTATIONS } from '../core/known-names.ts';
import { APPLIED_ANNOTATION, GRANT_LABEL, NAMESPACE_LABELS, PREFIX, PROFILE_LABEL } from '../core/labels.ts';
import { MISSING_POLICY } from '../core/object-names.ts';
import { type ClusterConfig, type Target, ungovernedNamespaces } from './entries.ts';
import { governedWhere } from './governed.ts';
import { GUARD, guard } from './guard.ts';
import { API_GROUP, LABELER, LABELS } from './labels.ts';
import { missingPolicy } from './missing.ts';

/** An object for `kubectl apply`. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels: Readonly<Record<string, string>> };
  readonly [field: string]: unknown;
}

/** The parts of the policies that depend on a configuration, in CEL. */
export interface ConfiguredExpressions {
  /** A list of the names of the profiles. */
  readonly profiles: string;
  /** A list of the names of the namespaces that Cloister never governs. */
  readonly ungoverned: string;
  /** Whether the configuration enforces a profile in the namespace of a request, by its name. */
  readonly enforcedByName: string;
}

/** The part of the configuration from which the policies beside the webhook are rendered. */
export interface PoliciesConfig extends ClusterConfig {
  /** Whether a policy guards the webhook configurations. */
  readonly guard: boolean;
  /** Whether policies enforce the profiles too. */
  readonly backstop: boolean;
}

/** The policies besides those of the profiles. */
export function policies(
  { profiles, governance, guard: isGuarded, backstop: hasBackstop }: PoliciesConfig,
  target: Target,
): readonly Manifest[] {
  const ungoverned = ungovernedNamespaces(governance, target);
  const byName = [{ namespaces: ungoverned, profiles: {} }, ...governance.byName];
  return policiesWith({
    profiles: listOf([...profiles.keys()]),
    ungoverned: listOf(ungoverned),
    enforcedByName: governedWhere(({ enforce }) => enforce !== undefined, { ...governance, byName }),
  }).filter(({ metadata: { name } }) => (isGuarded || name !== GUARD) && (hasBackstop || name !== MISSING_POLICY));
}

/**
 * The policies that must hold while every webhook pod is down, and that the API server therefore evaluates itself: who may label a
 * namespace, with what, which metadata of a pod is immutable, and who may change the webhook configurations. Each policy comes with its binding.
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
 */
export function policiesWith({ profiles, ungoverned, enforcedByName }: ConfiguredExpressions): readonly Manifest[] {
  const known = Object.values(NAMESPACE_LABELS);
  const { enforce } = NAMESPACE_LABELS;
  return [
    ...policy('cloister-namespace-labels', {
      resourceRules: [rule(NAMESPACES, ['CREATE', 'UPDATE'], 'Cluster')],
      differs: ['labels'],
      variables: {
        written: changed('labels', ours),
        keys: `variables.written +\n${removed('labels', ours)}`,
        profiles,
        unknown: `variables.written.filter(key, !(key in ${listOf(known)}))`,
        unconfigured: `variables.written.filter(key, key in ${listOf(known)} && !(variables.labels[key] in variables.profiles))`,
      },
      validations: [
        {
          expression: `variables.keys.size() == 0 || authorizer.group('${API_GROUP}').resource('profiles').check('label').allowed()`,
          messageExpression: `variables.keys.join(', ') + ': labels under ${PREFIX} say how pods are isolated, so changing them needs the verb "label" on profiles.${API_GROUP}; ask a cluster administrator, who can bind the ClusterRole ${LABELER}; a platform that ignores this refusal runs its pods without the labels of this request'`,
          reason: 'Forbidden',
        },
        {
          expression: 'variables.unknown.size() == 0',
          messageExpression: `variables.unknown.join(', ') + ': Cloister has no such label on a namespace; use ${joinOr(known)}'`,
          reason: 'Invalid',
        },
        {
          expression: 'variables.unconfigured.size() == 0',
          messageExpression: `variables.unconfigured.map(key, key + '=' + variables.labels[key]).join(', ') + ': no profile of this name is configured; the configured profiles are: ' + (variables.profiles.size() == 0 ? 'none' : variables.profiles.join(', '))`,
          reason: 'Invalid',
        },
      ],
    }),
    ...policy('cloister-namespace-advice', {
      // A new namespace has no pods.
      resourceRules: [rule(NAMESPACES, ['UPDATE'], 'Cluster')],
      differs: ['labels'],
      action: 'Warn',
      variables: {
        // The other policy refuses a label whose value is no profile.
        profiles,
        written: changed('labels', (key) => `${key} in ${listOf(known)} && variables.labels[key] in variables.profiles`),
        ungoverned,
        isUngoverned: 'object.metadata.name in variables.ungoverned',
      },
      validations: [
        {
          expression: `variables.isUngoverned ? variables.written.size() == 0 : !('${enforce}' in variables.written)`,
          messageExpression: [
            'variables.isUngoverned',
            `? 'Cloister never governs pods in ' + object.metadata.name + ', so this label has no effect on them; remove it: ' + variables.written.join(', ')`,
            `: 'pods that already run in ' + object.metadata.name + ' stay as they are; list them with \`cloister scan -n ' + object.metadata.name + '\`, and delete and recreate them to enforce ' + variables.labels['${enforce}']`,
          ].join('\n'),
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
        enforcedByName,
        governed: [
          'variables.enforcedByName',
          `'${enforce}' in namespaceObject.metadata.?labels.orValue({})`,
          `'${PROFILE_LABEL}' in variables.labels`,
          "request.kind.kind == 'Binding'", // which does not include its pod
        ].join(' ||\n'),
        instructions: `!variables.governed ? [] :\n${changed('annotations', isAddedRuntimeAnnotation)}`,
      },
      validations: [
        {
          expression: 'variables.kept.size() == 0',
          messageExpression:
            "variables.kept.join(', ') + ': the profile of a pod cannot change after the pod is created; delete the pod and recreate it with other labels'",
          reason: 'Forbidden',
        },
        {
          expression: 'variables.instructions.size() == 0',
          messageExpression:
            "variables.instructions.join(', ') + ': annotations that configure the container runtime or the network cannot be added to a pod that has an isolation profile; leave them out'",
          reason: 'Forbidden',
        },
      ],
    }),
    ...guard(),
    missingPolicy(),
  ];
}

interface Parts {
  readonly resourceRules: readonly object[];
  /** The metadata maps that the policy restricts. */
  readonly differs: readonly MetadataMap[];
  readonly variables: Readonly<Record<string, string>>;
  /** A validation that asks the authorizer comes first: messages cannot ask it. */
  readonly validations: readonly Validation[];
  /** `Warn`: the policy never rejects a request, even if it cannot be evaluated. Default: `Deny`. */
  readonly action?: 'Deny' | 'Warn';
}

interface Validation {
  readonly expression: string;
  readonly messageExpression: string;
  readonly reason?: 'Forbidden' | 'Invalid';
}

const NAMESPACES = ['namespaces', 'namespaces/status', 'namespaces/finalize'];

type MetadataMap = 'labels' | 'annotations';

const GROUP = 'admissionregistration.k8s.io/v1';

function policy(name: string, { resourceRules, differs, variables, validations, action = 'Deny' }: Parts): readonly [Manifest, Manifest] {
  const metadata = { name, labels: LABELS };
  const maps = differs.flatMap((map) => [
    { name: map, expression: newMap(map) },
    { name: oldName(map), expression: oldMap(map) },
  ]);
  const spec = {
    failurePolicy: action === 'Deny' ? 'Fail' : 'Ignore',
    matchConstraints: { matchPolicy: 'Equivalent', resourceRules },
    // The cost of CEL is limited, and reading every key costs: without this condition, an update by a kubelet or a controller could exceed the
    // limit on an object with very many keys.
    matchConditions: [
      { name: `${differs.join('-or-')}-change`, expression: differs.map((map) => `${newMap(map)} != (${oldMap(map)})`).join(' ||\n') },
    ],
    variables: [...maps, ...Object.entries(variables).map(([variable, expression]) => ({ name: variable, expression }))],
    validations: validations.map((each, index) => ({ ...each, messageExpression: messageWith(each, validations.slice(index + 1)) })),
  };
  return [
    { apiVersion: GROUP, kind: 'ValidatingAdmissionPolicy', metadata, spec },
    { apiVersion: GROUP, kind: 'ValidatingAdmissionPolicyBinding', metadata, spec: { policyName: name, validationActions: [action] } },
  ];
}

/** In CEL. Of several validations that fail, the API server reports the first alone, so that its message has those of the others. */
function messageWith({ messageExpression }: Validation, later: readonly Validation[]): string {
  if (later.length === 0) return messageExpression;
  const others = later.map((each) => `(${each.expression} ? [] : [${each.messageExpression}])`);
  return `(${[`[${messageExpression}]`, ...others].join(' +\n')}).join('. Also: ')`;
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

/** `isAddedRuntimeAnnotation` in CEL. */
const isAddedRuntimeAnnotation = (key: string): string =>
  `(${isAmong(RUNTIME_ANNOTATIONS, key)}) &&\n!(${isAmong(NETWORK_STATUS_ANNOTATIONS, key)})`;

const joinOr = (words: readonly string[]): string => `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
