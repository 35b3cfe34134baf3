import type { Cel } from '../core/cel.ts';
import type { CelFix } from '../core/in-tree.ts';
import { backstopNameOf } from '../core/object-names.ts';
import type { Profile } from '../core/profiles/profile.ts';
import { userns } from '../core/profiles/userns.ts';
import type { Grant } from '../core/requirements.ts';
import { rules } from '../core/rules/index.ts';
import type { Rule } from '../core/rules/rule.ts';
import { type BackstopConfig, policySpecOf } from './backstop.ts';
import { writeExemptions } from './exemptions.ts';
import { type FindingLists, findingLists, groupRequirements, NO_TEXTS, offeredGrants, UNISOLATED, variableOf } from './findings.ts';
import { type FixCircumstances, fixesIn, OWNERS, repairSpecOf, valueAt, withoutExpired } from './repair.ts';
import type { Variable } from './variable.ts';

/** One rule as the policies of a profile contain it. */
export interface RuleCel {
  /** The name of both policies. */
  readonly policy: string;
  readonly refusal: RuleRefusal;
  /** undefined: the API server repairs no pod of the profile. */
  readonly repair: RuleRepair | undefined;
}

export interface RuleRefusal {
  /** The variable with all that the rule finds. */
  readonly variable: string;
  readonly pod: readonly ForSome[];
  readonly container: readonly ForSome[];
  readonly uses: readonly UsedVariable[];
}

/** An expression, and the pods for which the policy has it. */
export interface ForSome {
  readonly pods: Pods;
  /** A list of texts; undefined: the rule finds nothing. */
  readonly cel: Cel | undefined;
}

/** 'all', or the grants of pods, and whether stored pods that are not isolated are among them. */
export type Pods = 'all' | { readonly grants: readonly string[]; readonly includesUnisolated: boolean };

export interface RuleRepair {
  readonly changes: readonly Change[];
  readonly uses: readonly UsedVariable[];
}

/** A variable of the policy that the expressions use. */
export interface UsedVariable {
  readonly name: string;
  /** undefined: only the rule has it. */
  readonly meaning: string | undefined;
  /** undefined: the expression is long, and many rules use it. */
  readonly expression: Cel | undefined;
}

/** What happens at one path. */
export interface Change {
  readonly of: 'pod' | 'container';
  readonly path: string;
  readonly pods: Pods;
  readonly steps: readonly CelStep[];
  /** The ids of other rules that change the same path in these policies. */
  readonly alsoChangedBy: readonly string[];
}

export interface CelStep {
  /** A boolean. */
  readonly where: Cel;
  readonly effect: 'remove' | 'set' | 'add' | 'remove elements' | 'remove keys';
  /** Of `remove keys`: the key of each element that is removed. */
  readonly key?: string;
  /** The new value, the list of added elements, or a boolean about the element `index`; of `remove`: none. */
  readonly cel?: Cel;
}

/** @param now for exemptions, as in `repairPolicies` */
export function ruleCelOf(rule: Rule, profile: Profile, config: BackstopConfig, now: Date): RuleCel {
  return {
    policy: backstopNameOf(profile.id),
    refusal: refusalOf(rule, profile, config),
    repair: profile.backend.id === userns.id ? repairOf(rule, profile, withoutExpired(config, now)) : undefined,
  };
}

function refusalOf(rule: Rule, profile: Profile, config: BackstopConfig): RuleRefusal {
  const exemptions = writeExemptions(config.exemptions);
  const sets = offeredGrants(profile).length + 1;
  const expressionsOf = (part: keyof FindingLists): readonly ForSome[] => {
    const groups = groupRequirements(profile, (requirements) => findingLists('new', profile, { rule, requirements, exemptions })[part]);
    return [...groups].map(([cel, names]) => ({
      pods:
        names.length === sets
          ? 'all'
          : { grants: names.filter((name) => name !== UNISOLATED), includesUnisolated: names.includes(UNISOLATED) },
      cel: cel === NO_TEXTS ? undefined : cel,
    }));
  };
  const [pod, container] = [expressionsOf('pod'), expressionsOf('container')];
  const printed = [...pod, ...container].flatMap(({ cel }) => cel ?? []);
  const choice = pod.length + container.length > 2 ? ['variables.requirements'] : [];
  return { variable: variableOf(rule.id), pod, container, uses: usedBy([...printed, ...choice], policySpecOf(profile, config).variables) };
}

function repairOf(rule: Rule, profile: Profile, config: BackstopConfig): RuleRepair {
  const changes = (['pod', 'container'] as const).flatMap((kind) => changesOf(kind, rule, profile, config));
  const expressions = changes.flatMap(({ steps }) => steps.flatMap(({ where, cel = '' }) => [where, cel]));
  const choice = changes.some(({ pods }) => pods !== 'all') ? ['variables.grant'] : [];
  return { changes, uses: usedBy([...expressions, ...choice], repairSpecOf(profile, config).variables) };
}

function changesOf(kind: FixCircumstances['kind'], rule: Rule, profile: Profile, config: BackstopConfig): readonly Change[] {
  const exemptions = writeExemptions(config.exemptions);
  const grants = offeredGrants(profile);
  const fixesFor = (of: Rule, grant: Grant): readonly CelFix[] =>
    fixesIn(of, { kind, exemptions, requirements: profile.requirementsFor(grant) }).filter(({ where }) => where !== 'false');
  const paths = new Set(grants.flatMap((grant) => fixesFor(rule, grant).map(({ path }) => path)));
  return [...paths].flatMap((path) => {
    const others = rules.filter((each) => each !== rule && grants.some((grant) => fixesFor(each, grant).some((fix) => fix.path === path)));
    const value = valueAt(OWNERS[kind], path);
    const groups = Map.groupBy(
      grants.map((grant) => ({ grant, steps: fixesFor(rule, grant).flatMap((fix) => (fix.path === path ? stepsOf(fix, value) : [])) })),
      ({ steps }) => JSON.stringify(steps),
    );
    return [...groups.values()].flatMap((group): readonly Change[] => {
      const [{ steps } = { steps: [] }] = group;
      if (steps.length === 0) return [];
      const pods = group.length === grants.length ? 'all' : { grants: group.map(({ grant }) => grant), includesUnisolated: false };
      return [{ of: kind, path, pods, steps, alsoChangedBy: others.map(({ id }) => id) }];
    });
  });
}

/** @param value what is at the path, or an empty list or map */
function stepsOf(fix: CelFix, value: Cel): readonly CelStep[] {
  const { where } = fix;
  if ('remove' in fix) return [{ where, effect: 'remove' }];
  if ('edit' in fix) return [{ where, effect: 'set', cel: fix.edit(value) }];
  if ('set' in fix) return [{ where, effect: 'set', cel: fix.set(value) }];
  if ('append' in fix) return [{ where, effect: 'add', cel: fix.append }];
  const element = `${value}[index]`;
  if ('removeElements' in fix) return [{ where, effect: 'remove elements', cel: fix.removeElements(element) }];
  return Object.entries(fix.removeKeys(element)).map(([key, cel]) => ({ where, effect: 'remove keys', key, cel }));
}

/** What the rules share. */
const MEANINGS: Readonly<Record<string, string>> = {
  spec: 'the spec of the pod',
  security_context: 'the securityContext of the pod',
  annotations: 'the annotations of the pod',
  annotation_keys: 'the keys of the annotations',
  labels: 'the labels of the pod; on an update, those that it had before',
  asked: 'the grant that the pod asks for, or that of the profile',
  grant: 'the grant of the pod',
  requirements: 'the grant of the pod; unisolated for a stored pod that is not isolated',
  containers: 'the containers of the pod',
  ephemeral: 'the names of the debug containers',
  repaired: 'whether its annotation says that the webhook has repaired it, which decides about the words of a text alone',
  granted: 'the names of the containers that receive the grant',
  service_account: 'the service account of the pod',
};
const LONG: ReadonlySet<string> = new Set(['granted']);

/** The variables that expressions use, and those that these use, in the order of the policy. */
function usedBy(expressions: readonly Cel[], variables: readonly Variable[]): readonly UsedVariable[] {
  const used = new Set<string>();
  const add = (expression: Cel): void => {
    for (const [, name = ''] of expression.matchAll(/\bvariables\.(\w+)/g)) {
      if (used.has(name)) continue;
      used.add(name);
      if (!LONG.has(name)) add(variables.find((each) => each.name === name)?.expression ?? '');
    }
  };
  for (const expression of expressions) add(expression);
  return variables
    .filter(({ name }) => used.has(name))
    .map(({ name, expression }) => ({ name, meaning: meaningOf(name), expression: LONG.has(name) ? undefined : expression }));
}

const meaningOf = (name: string): string | undefined =>
  MEANINGS[name] ?? (name.startsWith('exemption_') ? 'whether an exemption of the configuration is in force' : undefined);
