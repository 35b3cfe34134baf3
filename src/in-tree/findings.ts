import { anyOf, type Cel, concat, listAt, listOf, maybe, quote } from '../core/cel.ts';
import { namesWithGrantCel } from '../core/containers.ts';
import type { CelFinding, PodCel } from '../core/in-tree.ts';
import { APPLIED_ANNOTATION } from '../core/labels.ts';
import { labelProblemsCel } from '../core/policy.ts';
import type { Profile } from '../core/profiles/profile.ts';
import { exceeds, GRANTS, type ProfileRequirements } from '../core/requirements.ts';
import type { Rule } from '../core/rules/rule.ts';
import { exemptsCel, type WrittenExemption } from './exemptions.ts';
import type { Variable } from './variable.ts';

/** The pod of a request, or on an update the pod before it. */
export type Age = 'new' | 'old';

const PREFIXES = { new: '', old: 'old_' } as const satisfies Record<Age, string>;
const OBJECTS = { new: 'object', old: 'oldObject' } as const satisfies Record<Age, Cel>;

/** The grants that pods may ask for, from least to most. */
export const offeredGrants = ({ grant }: Profile) => GRANTS.filter((each) => !exceeds(each, grant));

/** The value of the variable `requirements` for a pod without the isolation of its profile. */
export const UNISOLATED = 'unisolated';

/**
 * The variables about one of the two pods. The last one, `findings` or `old_findings`, is the list of all escapes, each a text that begins with the id
 * of its rule.
 * @param rules those that are rendered: tests leave out one at a time
 */
export function findingVariables(
  age: Age,
  profile: Profile,
  { rules, exemptions }: { readonly rules: readonly Rule[]; readonly exemptions: readonly WrittenExemption[] },
): readonly Variable[] {
  const [prefix, object] = [PREFIXES[age], OBJECTS[age]];
  const use = useOf(age);
  const metadata = `${object}.metadata`;
  const basics: Readonly<Record<string, Cel>> = {
    spec: `${object}.spec`,
    security_context: `${use('spec')}.?securityContext.orValue({})`,
    annotations: `${maybe(metadata, 'annotations')}.orValue({})`,
    annotation_keys:
      age === 'new'
        ? `${use('annotations')}.map(k, k)`
        : `${use('annotations')}.filter(k, variables.annotations[?k] == ${use('annotations')}[?k])`,
    repaired: `${quote(APPLIED_ANNOTATION)} in ${use('annotations')} && ${use('annotations')}[${quote(APPLIED_ANNOTATION)}].startsWith(${quote(`${profile.id}/`)})`,
    ephemeral: `${listAt(use('spec'), 'ephemeralContainers')}.map(c, c.name)`,
    containers: ['initContainers', 'containers', 'ephemeralContainers'].map((list) => listAt(use('spec'), list)).join(' + '),
    granted: byRequirements(profile, (requirements) => namesWithGrantCel(use('spec'), use('containers'), requirements)),
  };
  const found = rules.flatMap((rule): Variable[] => {
    const expression = byRequirements(profile, (requirements) => {
      const { pod, container } = findingLists(age, profile, { rule, requirements, exemptions });
      return joinLists([pod, container]);
    });
    return expression === NO_TEXTS ? [] : [{ name: `${prefix}${variableOf(rule.id)}`, expression }];
  });
  const all = found.map(({ name }) => `variables.${name}.map(f, ${quote(`${idOf(name, prefix)}: `)} + f)`);
  return [
    ...Object.entries(basics).map(([name, expression]) => ({ name: `${prefix}${name}`, expression })),
    ...found,
    { name: `${prefix}findings`, expression: joinLists(all) },
  ];
}

/** A variable about one of the two pods. */
const useOf =
  (age: Age) =>
  (name: string): Cel =>
    `variables.${PREFIXES[age]}${name}`;

/**
 * Whether there is any finding in the new pod, as one boolean without texts. It may use the variables before `rule_…`.
 * @param options as of `findingVariables`
 */
export function hasFindings(
  profile: Profile,
  { rules, exemptions }: { readonly rules: readonly Rule[]; readonly exemptions: readonly WrittenExemption[] },
): Cel {
  const conditionsOf = (kind: 'pod' | 'container'): Cel =>
    anyOf(
      ...rules.map((rule) =>
        byRequirements(profile, (requirements) => {
          const findings = findingsOf('new', profile, { rule, requirements, exemptions });
          return anyOf(...findings[kind].map(isFound));
        }),
      ),
    );
  return anyOf(conditionsOf('pod'), `${useOf('new')('containers')}.exists(c, ${conditionsOf('container')})`);
}

/** What one rule finds in the pod itself, and in its containers: a list of texts each. */
export interface FindingLists {
  readonly pod: Cel;
  readonly container: Cel;
}

export interface RuleInPolicy {
  readonly rule: Rule;
  readonly requirements: ProfileRequirements;
  readonly exemptions: readonly WrittenExemption[];
}

export function findingLists(age: Age, profile: Profile, part: RuleInPolicy): FindingLists {
  const { pod, container } = findingsOf(age, profile, part);
  return {
    pod: joinLists(pod.map(listOfPod)),
    container: joinLists(container.map((each) => listOfContainers(each, useOf(age)('containers')))),
  };
}

interface Findings {
  readonly pod: readonly CelFinding[];
  readonly container: readonly CelFinding[];
}

function findingsOf(age: Age, profile: Profile, { rule, requirements, exemptions }: RuleInPolicy): Findings {
  const { id, inTree } = rule;
  if (inTree === 'no escape') return { pod: [], container: [] };
  const use = useOf(age);
  const isUpdate = 'oldObject != null';
  const problems = labelProblemsCel(profile, 'variables.labels', 'variables.asked');
  const podFor = (container: Cel | null): PodCel => ({
    spec: use('spec'),
    securityContext: use('security_context'),
    annotations: use('annotations'),
    annotationKeys: use('annotation_keys'),
    containers: use('containers'),
    namesWithGrant: use('granted'),
    hasGrant: requirements.grant === 'none' ? 'true' : `c.name in ${use('granted')}`,
    isEphemeral: `c.name in ${use('ephemeral')}`,
    isUpdate,
    isRepaired: use('repaired'),
    labelProblems: age === 'new' ? `(${isUpdate} ? ${problems.updated} : ${problems.created})` : `(${problems.chosen})`,
    exempts: (value, of = container) => exemptsCel(exemptions, id, value, of),
  });
  return {
    pod: inTree.pod?.(podFor(null), requirements) ?? [],
    container: inTree.container?.(podFor('c.name'), requirements) ?? [],
  };
}

/** Variables have names without dashes. No id of a rule is the name of another variable, because these have one word or end in no rule's name. */
export const variableOf = (id: string): string => `rule_${id.replaceAll('-', '_')}`;
const idOf = (name: string, prefix: string): string => name.slice(`${prefix}rule_`.length).replaceAll('_', '-');

/** What holds under each set of requirements of the profile. What holds under all of them is written once. */
export function byRequirements(profile: Profile, render: (requirements: ProfileRequirements) => Cel): Cel {
  const [[common], ...others] = [...groupRequirements(profile, render)].sort(([, a], [, b]) => b.length - a.length) as [
    [Cel, string[]],
    ...[Cel, string[]][],
  ];
  return others.reduce((rest, [rendered, which]) => `(variables.requirements in ${listOf(which)} ? ${rendered} : ${rest})`, common);
}

/** By what is rendered: the sets of requirements, which are values of the variable `requirements`. */
export function groupRequirements(
  profile: Profile,
  render: (requirements: ProfileRequirements) => Cel,
): ReadonlyMap<Cel, readonly string[]> {
  const sets = new Map<string, ProfileRequirements>([
    ...offeredGrants(profile).map((grant) => [grant, profile.requirementsFor(grant)] as const),
    [UNISOLATED, profile.withoutIsolation],
  ]);
  const names = new Map<Cel, string[]>();
  for (const [name, requirements] of sets) {
    const rendered = render(requirements);
    names.set(rendered, [...(names.get(rendered) ?? []), name]);
  }
  return names;
}

export const NO_TEXTS = '[]';

const joinLists = (lists: readonly Cel[]): Cel => lists.filter((list) => list !== NO_TEXTS).join(' +\n') || NO_TEXTS;

function listOfPod({ each, where, says, remedy }: CelFinding): Cel {
  const texts = withRemedy(says, remedy);
  if (where === 'false') return NO_TEXTS;
  if (each === undefined) return `(${where} ? [${texts}] : [])`;
  const [elements, variable] = each;
  return `${where === 'true' ? elements : `${elements}.filter(${variable}, ${where})`}.map(${variable}, ${texts})`;
}

/** A boolean: whether anything is found in the pod, or in the container `c`. */
function isFound({ each, where }: Pick<CelFinding, 'each' | 'where'>): Cel {
  if (each === undefined || where === 'false') return where;
  const [elements, variable] = each;
  return where === 'true' ? `${elements}.size() > 0` : `${elements}.exists(${variable}, ${where})`;
}

/** A container has one text, with all elements that were found. */
function listOfContainers({ each, where, says, remedy }: CelFinding, containers: Cel): Cel {
  if (where === 'false') return NO_TEXTS;
  const beginning = `'container "' + c.name + '": '`;
  if (each === undefined) return `${containers}.filter(c, ${where}).map(c, ${concat(beginning, withRemedy(says, remedy))})`;
  const [elements, variable] = each;
  const found = where === 'true' ? elements : `${elements}.filter(${variable}, ${where})`;
  return `${containers}.filter(c, ${isFound({ each, where })}).map(c, ${concat(beginning, withRemedy(`${found}.map(${variable}, ${says}).join(', ')`, remedy))})`;
}

const withRemedy = (says: Cel, remedy: Cel | undefined): Cel => (remedy === undefined ? says : concat(says, "'; '", remedy));
