import { allOf, anyOf, type Cel, listAt, listOf, mapAt, maybe, not, quote } from '../core/cel.ts';
import { namesWithGrantCel } from '../core/containers.ts';
import type { CelFix, PodCel } from '../core/in-tree.ts';
import { APPLIED_ANNOTATION, GRANT_LABEL } from '../core/labels.ts';
import { IS_MIRROR_CEL } from '../core/mirror-pod.ts';
import { backstopNameOf } from '../core/object-names.ts';
import type { Profile } from '../core/profiles/profile.ts';
import type { Grant, ProfileRequirements } from '../core/requirements.ts';
import { rules as allRules } from '../core/rules/index.ts';
import type { Rule } from '../core/rules/rule.ts';
import type { Target } from '../manifests/entries.ts';
import { LABELS } from '../manifests/labels.ts';
import type { Manifest } from '../manifests/policies.ts';
import { type BackstopConfig, bindingsOf, selectionVariables } from './backstop.ts';
import { exemptionVariables, exemptsCel, SERVICE_ACCOUNT, type WrittenExemption, writeExemptions } from './exemptions.ts';
import { offeredGrants } from './findings.ts';
import type { Variable } from './variable.ts';

const GROUP = 'admissionregistration.k8s.io/v1';

/**
 * One policy with its bindings for each profile: the API server itself repairs new pods as the mutating webhook does, without a call.
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
 * @param now for exemptions: a policy that repairs has no clock, so it leaves what was exempt when it was rendered, and the policy that refuses decides
 */
export function repairPolicies(config: BackstopConfig, target: Target, now: Date): readonly Manifest[] {
  return [...config.profiles.values()].flatMap((profile) => [
    {
      apiVersion: GROUP,
      kind: 'MutatingAdmissionPolicy',
      metadata: { name: backstopNameOf(profile.id), labels: LABELS },
      spec: repairSpecOf(profile, withoutExpired(config, now)),
    },
    ...bindingsOf('MutatingAdmissionPolicyBinding', profile, { config, target }),
  ]);
}

export const withoutExpired = (config: BackstopConfig, now: Date): BackstopConfig => ({
  ...config,
  exemptions: config.exemptions.filter(({ expires }) => now < expires),
});

export interface RepairSpec {
  readonly failurePolicy: 'Fail';
  readonly reinvocationPolicy: 'IfNeeded';
  readonly matchConstraints: object;
  readonly matchConditions: readonly { readonly name: string; readonly expression: Cel }[];
  readonly variables: readonly Variable[];
  readonly mutations: readonly { readonly patchType: 'JSONPatch'; readonly jsonPatch: { readonly expression: Cel } }[];
}

/** @param rules those that are rendered: tests leave out one at a time */
export function repairSpecOf(profile: Profile, config: BackstopConfig, rules: readonly Rule[] = allRules): RepairSpec {
  const offered = offeredGrants(profile);
  const exemptions = writeExemptions(config.exemptions);
  const byGrant = (textOf: (requirements: ProfileRequirements) => Cel): Cel =>
    chooseByGrant(offered, (grant) => textOf(profile.requirementsFor(grant)));
  const fixesOf =
    (kind: 'pod' | 'container') =>
    (requirements: ProfileRequirements): readonly CelFix[] =>
      rules.flatMap((rule) => fixesIn(rule, { exemptions, kind, requirements }));
  const variablesOf = (requirements: ProfileRequirements): Readonly<Record<string, Cel>> =>
    Object.assign({}, ...rules.map((rule) => variablesIn(rule, { exemptions, requirements })));
  const asked = `variables.labels[?${quote(GRANT_LABEL)}].orValue(${quote(profile.grant)})`;
  const names = [...new Set(offered.flatMap((grant) => Object.keys(variablesOf(profile.requirementsFor(grant)))))];
  const variables: readonly Variable[] = [
    { name: 'labels', expression: mapAt('object', 'metadata.labels') },
    ...selectionVariables(profile, config),
    // A grant that is not offered is refused.
    { name: 'grant', expression: `${asked} in ${listOf(offered)} ? ${asked} : ${quote(profile.grant)}` },
    ...(exemptions.length === 0 ? [] : [SERVICE_ACCOUNT, ...exemptionVariables(exemptions, () => 'true')]),
    { name: 'annotations', expression: mapAt('object', 'metadata.annotations') },
    { name: 'security_context', expression: mapAt('object', 'spec.securityContext') },
    { name: 'containers', expression: LISTS.map((list) => listAt('object', `spec.${list}`)).join(' + ') },
    {
      name: 'pointers',
      expression: LISTS.map((list) => `lists.range(${listAt('object', `spec.${list}`)}.size()).map(n, '/spec/${list}/' + string(n))`).join(
        ' + ',
      ),
    },
    { name: 'granted', expression: byGrant((requirements) => namesWithGrantCel('object.spec', SIGHT.containers, requirements)) },
    ...names.map((name) => ({ name, expression: byGrant((requirements) => variablesOf(requirements)[name] ?? NOTHING) })),
  ];
  const ofPod = operationsOf({ owner: OWNERS.pod, pointer: quote, given: ['metadata', 'spec'] }, fixesOf('pod'));
  const ofContainer = operationsOf(
    { owner: OWNERS.container, pointer: (path) => `variables.pointers[i] + ${quote(path)}`, given: [] },
    fixesOf('container'),
  );
  const operations = `${flat([...ofPod, ...annotate(profile)])} +
variables.containers.transformList(i, c, ${flat(ofContainer)}).flatten()`;
  return {
    failurePolicy: 'Fail',
    // Another policy or webhook may change the pod afterwards.
    reinvocationPolicy: 'IfNeeded',
    matchConstraints: {
      matchPolicy: 'Equivalent',
      resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'], scope: 'Namespaced' }],
    },
    matchConditions: [{ name: 'no-mirror-pod', expression: `!(${IS_MIRROR_CEL})` }],
    variables,
    mutations: [{ patchType: 'JSONPatch', jsonPatch: { expression: `!variables.applies ? [] :\n${operations}` } }],
  };

  /** A list of operations for each path, in CEL. */
  function operationsOf(place: Place, fixes: (requirements: ProfileRequirements) => readonly CelFix[]): readonly Cel[] {
    const all = offered.flatMap((grant) => fixes(profile.requirementsFor(grant)));
    const parents = [...new Set(all.flatMap((fix) => ('set' in fix ? parentsOf(fix.path, place) : [])))];
    const paths = [...new Set(all.map(({ path }) => path))];
    return [
      ...parents.map((parent) => byGrant((requirements) => createParent(parent, place, fixes(requirements)))),
      ...paths.map((path) =>
        byGrant((requirements) =>
          change(
            path,
            place,
            fixes(requirements).filter((fix) => fix.path === path),
          ),
        ),
      ),
    ].filter((operations) => operations !== NOTHING);
  }
}

const LISTS = ['initContainers', 'containers'] as const;

/** What a new pod shows. */
const SIGHT: Omit<PodCel, 'hasGrant' | 'exempts'> = {
  spec: 'object.spec',
  securityContext: 'variables.security_context',
  annotations: 'variables.annotations',
  annotationKeys: 'variables.annotations',
  containers: 'variables.containers',
  namesWithGrant: 'variables.granted',
  isEphemeral: 'false',
  isUpdate: 'false',
  isRepaired: 'false',
  labelProblems: '[]',
};

export interface FixCircumstances {
  readonly kind: 'pod' | 'container';
  readonly requirements: ProfileRequirements;
  readonly exemptions: readonly WrittenExemption[];
}

const sightOf = ({ id }: Rule, { kind, requirements, exemptions }: FixCircumstances): PodCel => ({
  ...SIGHT,
  hasGrant: requirements.grant === 'none' ? 'true' : 'c.name in variables.granted',
  exempts: (value, container = kind === 'pod' ? null : 'c.name') => exemptsCel(exemptions, id, value, container),
});

export const fixesIn = (rule: Rule, circumstances: FixCircumstances): readonly CelFix[] =>
  rule.inTreeFixes?.[circumstances.kind]?.(sightOf(rule, circumstances), circumstances.requirements) ?? [];

const variablesIn = (rule: Rule, circumstances: Omit<FixCircumstances, 'kind'>): Readonly<Record<string, Cel>> =>
  rule.inTreeFixes?.variables?.(sightOf(rule, { ...circumstances, kind: 'container' }), circumstances.requirements) ?? {};

/** The text of each grant; where all are equal, it is written once. */
function chooseByGrant(grants: readonly Grant[], textOf: (grant: Grant) => Cel): Cel {
  const byText = new Map<Cel, Grant[]>();
  for (const grant of grants) {
    const text = textOf(grant);
    byText.set(text, [...(byText.get(text) ?? []), grant]);
  }
  const [[last] = [''], ...others] = [...byText].reverse();
  return others.length === 0 ? last : `(${others.map(([text, of]) => `variables.grant in ${listOf(of)} ? ${text} :`).join('\n')}\n${last})`;
}

/** Where paths start. */
interface Place {
  readonly owner: Cel;
  readonly pointer: (path: string) => Cel;
  /** First steps that every object has. */
  readonly given: readonly string[];
}

/** The object in which the paths of fixes start. */
export const OWNERS = { pod: 'object', container: 'c' } as const satisfies Record<FixCircumstances['kind'], Cel>;

/** The value at the path of a fix. */
export const valueAt = (owner: Cel, path: string): Cel => (path.startsWith('metadata.') ? mapAt : listAt)(owner, path);

const NOTHING = '[]';

const flat = (lists: readonly Cel[]): Cel => `[\n${lists.join(',\n')}\n].flatten()`;

const when = (where: Cel, operation: Cel): Cel => (where === 'false' ? NOTHING : `(${where} ? [${operation}] : [])`);

/** @param operations a list */
const whenAll = (where: Cel, operations: Cel): Cel => (where === 'false' ? NOTHING : `(${where} ? ${operations} : [])`);

const pointerOf = ({ pointer }: Place, path: string): Cel => pointer(`/${path.replaceAll('.', '/')}`);

/** The maps that a path leads through, from the outermost on. */
function parentsOf(path: string, { given }: Place): readonly string[] {
  const steps = path.split('.');
  return steps.slice(1).flatMap((_, index) => {
    const parent = steps.slice(0, index + 1).join('.');
    return given.includes(parent) ? [] : [parent];
  });
}

function createParent(parent: string, place: Place, fixes: readonly CelFix[]): Cel {
  const below = fixes.filter((fix) => 'set' in fix && fix.path.startsWith(`${parent}.`)).map(({ where }) => where);
  const where = allOf(`!${maybe(place.owner, parent)}.hasValue()`, anyOf(...below));
  return when(where, `JSONPatch{op: 'add', path: ${pointerOf(place, parent)}, value: {}}`);
}

/** The operations on one path. Several fixes are made one after the other; a removal and a new value exclude each other. */
function change(path: string, place: Place, fixes: readonly CelFix[]): Cel {
  const found = valueAt(place.owner, path);
  const pointer = pointerOf(place, path);
  const removals = fixes.filter((fix) => 'remove' in fix).map(({ where }) => where);
  const changes = fixes.flatMap((fix) =>
    'set' in fix ? [{ where: fix.where, make: fix.set }] : 'edit' in fix ? [{ where: fix.where, make: fix.edit }] : [],
  );
  const value = changes.reduce((now, { where, make }) => (changes.length === 1 ? make(now) : `(${where} ? ${make(now)} : ${now})`), found);
  const operations = [
    when(anyOf(...removals), `JSONPatch{op: 'remove', path: ${pointer}}`),
    when(anyOf(...changes.map(({ where }) => where)), `JSONPatch{op: 'add', path: ${pointer}, value: ${value}}`),
    ...changeElements(found, pointer, fixes),
    ...fixes.flatMap((fix) =>
      'append' in fix
        ? [
            when(allOf(fix.where, not(`${maybe(place.owner, path)}.hasValue()`)), `JSONPatch{op: 'add', path: ${pointer}, value: []}`),
            whenAll(fix.where, `${fix.append}.map(value, JSONPatch{op: 'add', path: ${pointer} + '/-', value: value})`),
          ]
        : [],
    ),
  ].filter((operation) => operation !== NOTHING);
  return operations.length === 0 ? NOTHING : operations.join(' + ');
}

/**
 * The operations on the elements of a list, one for each. Keys are removed first, while every index is the element's own; then elements, from the last.
 * @param list the list, or an empty one
 */
function changeElements(list: Cel, pointer: Cel, fixes: readonly CelFix[]): readonly Cel[] {
  const element = `${list}[index]`;
  const at = `${pointer} + '/' + string(index)`;
  const ofKeys = fixes.flatMap((fix) =>
    'removeKeys' in fix ? Object.entries(fix.removeKeys(element)).map(([key, isRemoved]) => ({ where: fix.where, key, isRemoved })) : [],
  );
  const ofElements = fixes.flatMap((fix) => ('removeElements' in fix ? [allOf(fix.where, fix.removeElements(element))] : []));
  return [
    ...ofKeys.map(({ where, key, isRemoved }) =>
      whenAll(
        where,
        `lists.range(${list}.size()).filter(index, ${allOf(`${element}.?${key}.hasValue()`, isRemoved)})` +
          `.map(index, JSONPatch{op: 'remove', path: ${at} + '/${key}'})`,
      ),
    ),
    ...(ofElements.length === 0
      ? []
      : [
          `lists.range(${list}.size()).map(n, ${list}.size() - 1 - n).filter(index, ${anyOf(...ofElements)})` +
            `.map(index, JSONPatch{op: 'remove', path: ${at}})`,
        ]),
  ];
}

/** The annotation with the profile and the grant. */
function annotate({ id }: Profile): readonly Cel[] {
  const value = `${quote(`${id}/`)} + variables.grant`;
  const path = `/metadata/annotations/${APPLIED_ANNOTATION.replaceAll('/', '~1')}`;
  const isMissing = not(`variables.annotations[?${quote(APPLIED_ANNOTATION)}].orValue('') == ${value}`);
  return [
    when('!has(object.metadata.annotations)', "JSONPatch{op: 'add', path: '/metadata/annotations', value: {}}"),
    when(isMissing, `JSONPatch{op: 'add', path: ${quote(path)}, value: ${value}}`),
  ];
}
