import { allOf, type Cel, listOf, quote } from '../core/cel.ts';
import { GRANT_LABEL, NAMESPACE_LABELS, PROFILE_LABEL } from '../core/labels.ts';
import { IS_MIRROR_CEL } from '../core/mirror-pod.ts';
import { backstopNameOf } from '../core/object-names.ts';
import { JUDGES_WHOLE_POD_CEL } from '../core/pod-update.ts';
import type { PolicyConfig } from '../core/policy.ts';
import type { Profile } from '../core/profiles/profile.ts';
import { rules as allRules } from '../core/rules/index.ts';
import { nodeName } from '../core/rules/node-name.ts';
import type { Rule } from '../core/rules/rule.ts';
import { isIsolatedCel } from '../core/wall.ts';
import {
  CHANGED,
  type ClusterConfig,
  NAME_LABEL,
  type Requirement,
  type Selector,
  type Target,
  ungovernedNamespaces,
} from '../manifests/entries.ts';
import { enforcedByName } from '../manifests/governed.ts';
import { BACKSTOP_LABELS } from '../manifests/labels.ts';
import type { Manifest } from '../manifests/policies.ts';
import { exemptionVariables, isUnexpired, SERVICE_ACCOUNT, writeExemptions } from './exemptions.ts';
import { findingVariables, hasFindings, offeredGrants, UNISOLATED } from './findings.ts';
import { type Variable, withoutVariables } from './variable.ts';

export type BackstopConfig = ClusterConfig & Pick<PolicyConfig, 'exemptions'>;

const GROUP = 'admissionregistration.k8s.io/v1';

/**
 * One policy with its bindings for each profile: the API server itself refuses the escapes that the webhook refuses, whether or not a webhook answers.
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
 * @param rulesOf those that the policy of a profile has: tests leave out one
 */
export function backstop(
  config: BackstopConfig,
  target: Target,
  rulesOf: (profile: string) => readonly Rule[] = () => allRules,
): readonly Manifest[] {
  return [...config.profiles.values()].flatMap((profile) => {
    const metadata = { name: backstopNameOf(profile.id), labels: BACKSTOP_LABELS };
    const policy = {
      apiVersion: GROUP,
      kind: 'ValidatingAdmissionPolicy',
      metadata,
      spec: policySpecOf(profile, config, rulesOf(profile.id)),
    };
    return [policy, ...bindingsOf('ValidatingAdmissionPolicyBinding', profile, { config, target })];
  });
}

/**
 * The pods to which each binding applies the policy. A binding selects by labels alone; the variable `applies` of the policy decides by the names of
 * namespaces, which only the configuration knows.
 */
export function bindingsOf(
  kind: 'ValidatingAdmissionPolicyBinding' | 'MutatingAdmissionPolicyBinding',
  profile: Profile,
  { config, target }: { readonly config: BackstopConfig; readonly target: Target },
): readonly Manifest[] {
  const actions = kind === 'ValidatingAdmissionPolicyBinding' ? { validationActions: ['Deny'] } : {};
  const outside: Requirement = { key: NAME_LABEL, operator: 'NotIn', values: ungovernedNamespaces(config.governance, target) };
  const { id, mayChoose } = profile;
  const { enforce } = NAMESPACE_LABELS;
  const choosers = choosersOf(profile, config.profiles);
  const policyName = backstopNameOf(id);
  const binding = (suffix: 'namespace' | 'chosen' | 'unlabelled', namespace: Requirement, pod?: Requirement): Manifest => {
    // The API server adds the policy where it is absent, and `ensure` would find a difference.
    const resources: Readonly<Record<string, Selector | string>> = {
      matchPolicy: 'Equivalent',
      namespaceSelector: { matchExpressions: [namespace, outside] },
      ...(pod && { objectSelector: { matchExpressions: [pod] } }),
    };
    return {
      apiVersion: GROUP,
      kind,
      metadata: { name: `${policyName}-${suffix}`, labels: BACKSTOP_LABELS },
      spec: { policyName, ...actions, matchResources: resources },
    };
  };
  const names: Requirement = { key: PROFILE_LABEL, operator: 'In', values: [id] };
  return [
    binding(
      'namespace',
      { key: enforce, operator: 'In', values: [id] },
      mayChoose.length === 0 ? undefined : { key: PROFILE_LABEL, operator: 'NotIn', values: mayChoose },
    ),
    ...(choosers.length === 0 ? [] : [binding('chosen', { key: enforce, operator: 'In', values: choosers }, names)]),
    binding('unlabelled', { key: enforce, operator: 'DoesNotExist' }, isEnforcedByName(profile, config) ? undefined : names),
  ];
}

/** Whether pods of the profile may be in namespaces that are governed by their names: such namespaces have no label to select them by. */
function isEnforcedByName(profile: Profile, { profiles, governance }: BackstopConfig): boolean {
  const ids = [profile.id, ...choosersOf(profile, profiles)];
  return [governance.otherwise, ...governance.byName.map((each) => each.profiles)].some(
    ({ enforce }) => enforce !== undefined && ids.includes(enforce),
  );
}

/** The profiles whose pods may choose this one. */
export const choosersOf = ({ id }: Profile, profiles: PolicyConfig['profiles']): readonly string[] =>
  [...profiles.values()].filter(({ mayChoose }) => mayChoose.includes(id)).map((each) => each.id);

/** Whether the pod of a request has the profile. `selectPolicy` and the webhook entries select in the same way. */
export function selectionVariables(profile: Profile, { profiles, governance }: BackstopConfig): readonly Variable[] {
  const { id, mayChoose } = profile;
  const chosen = `variables.labels[?${quote(PROFILE_LABEL)}].orValue('')`;
  const enforced = `namespaceObject.metadata.?labels[?${quote(NAMESPACE_LABELS.enforce)}].orValue(${enforcedByName(governance)})`;
  const applies = [
    `variables.enforced == ${quote(id)} ? !(${chosen} in ${listOf(mayChoose)})`,
    `variables.enforced in ${listOf(['', ...choosersOf(profile, profiles)])} ? ${chosen} == ${quote(id)}`,
    'false',
  ];
  return [
    { name: 'enforced', expression: enforced },
    { name: 'applies', expression: applies.join(' :\n') },
  ];
}

export interface PolicySpec {
  readonly failurePolicy: 'Fail';
  readonly matchConstraints: object;
  readonly matchConditions: readonly { readonly name: string; readonly expression: Cel }[];
  readonly variables: readonly Variable[];
  readonly validations: readonly [
    { readonly expression: Cel; readonly message: string; readonly messageExpression: Cel; readonly reason: string },
  ];
}

/** An API server parses 100,000 characters and 250 levels at most. Each exemption is bound in two levels. Without the condition, policies say the same. */
const MAX_CONDITION_CHARS = 50_000;
const MAX_BOUND_EXEMPTIONS = 25;

/** A message expression whose value has more than 5 KiB is dropped. */
const MAX_MESSAGE_CHARS = 3_500;

export function policySpecOf(profile: Profile, config: BackstopConfig, rules: readonly Rule[] = allRules): PolicySpec {
  const { id, grant } = profile;
  const offered = offeredGrants(profile);
  const exemptions = writeExemptions(config.exemptions);
  const { wall } = profile.requirementsFor('none');
  const isOldIsolated = isIsolatedCel('oldObject.spec', 'oldObject.metadata.?annotations.orValue({})', wall);
  const basics: readonly Variable[] = [
    { name: 'labels', expression: '(oldObject == null ? object : oldObject).metadata.?labels.orValue({})' },
    { name: 'asked', expression: `variables.labels[?${quote(GRANT_LABEL)}].orValue(${quote(grant)})` },
    {
      name: 'requirements',
      expression: `oldObject != null && !${isOldIsolated} ? ${quote(UNISOLATED)} : variables.asked in ${listOf(offered)} ? variables.asked : ${quote(grant)}`,
    },
    ...(exemptions.length === 0
      ? []
      : [
          SERVICE_ACCOUNT,
          ...exemptionVariables(exemptions, (each) => allOf(`variables.requirements != ${quote(UNISOLATED)}`, isUnexpired(each))),
        ]),
  ];
  const ofNewPod = findingVariables('new', profile, { rules, exemptions });
  const hasAny = withoutVariables(hasFindings(profile, { rules, exemptions }), [...basics, ...ofNewPod]);
  const isShort = hasAny.length <= MAX_CONDITION_CHARS && exemptions.length <= MAX_BOUND_EXEMPTIONS;
  return {
    failurePolicy: 'Fail',
    matchConstraints: {
      matchPolicy: 'Equivalent',
      resourceRules: [rule(['CREATE', 'UPDATE'], ['pods']), rule(['UPDATE'], ['pods/ephemeralcontainers', 'pods/resize'])],
    },
    matchConditions: [
      CHANGED,
      { name: 'no-mirror-pod', expression: `!(${IS_MIRROR_CEL})` },
      // The API server evaluates it once; a validation and its message, once each, even if the pod has no finding. A condition cannot see the namespace, so
      // pods that the profile does not govern would have to pass it too where namespaces are selected by their names.
      ...(isShort && !isEnforcedByName(profile, config) ? [{ name: 'has-findings', expression: hasAny }] : []),
    ],
    variables: [
      ...basics,
      ...selectionVariables(profile, config),
      ...ofNewPod,
      ...findingVariables('old', profile, { rules, exemptions }),
      { name: 'judges_whole_pod', expression: `oldObject != null && ${JUDGES_WHOLE_POD_CEL}` },
      {
        name: 'escapes',
        expression: [
          'oldObject == null ? variables.findings',
          `variables.findings.filter(f, !(f in variables.old_findings) || (variables.judges_whole_pod && !f.startsWith(${quote(`${nodeName.id}: `)})))`,
        ].join(' :\n'),
      },
      // The API server drops a message with a line break.
      {
        name: 'printable',
        expression: `variables.escapes.map(f, f.matches('^[ -~]*$') ? f : f.split(': ')[0] + ': a value of the pod has characters that are not printed here; \`cloister check\` names it').join('. ')`,
      },
    ],
    validations: [
      {
        expression: '!variables.applies || variables.escapes.size() == 0',
        message: `the pod escapes the isolation of its profile ${id}, or has too many findings to list them: \`cloister check --profile ${id}\` lists them`,
        messageExpression: `!variables.applies ? '' : variables.printable.size() <= ${MAX_MESSAGE_CHARS} ? variables.printable : variables.printable.substring(0, ${MAX_MESSAGE_CHARS}) + '... \`cloister check\` lists the rest'`,
        reason: 'Forbidden',
      },
    ],
  };
}

function rule(operations: readonly string[], resources: readonly string[]): object {
  return { apiGroups: [''], apiVersions: ['v1'], operations, resources, scope: 'Namespaced' };
}
