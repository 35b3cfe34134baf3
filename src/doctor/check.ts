import type { Governance } from '../core/governance.ts';
import type { PolicyConfig } from '../core/policy.ts';
import type { Profile } from '../core/profiles/profile.ts';
import type { FactName, Facts, FactValues } from './facts.ts';
import { ORIGINS, type Right } from './rights.ts';

/** `error`: promised, and will fail or is not there; `warning`: works today, and will not for long; `unknown`: could not be read. */
export const LEVELS = ['error', 'warning', 'unknown', 'info', 'ok'] as const;
export type Level = (typeof LEVELS)[number];

/** What a check says about the cluster. */
export interface DoctorAnswer {
  /** The id of the check. */
  readonly check: string;
  readonly level: Level;
  /** Absent: the check is about the whole cluster. */
  readonly profile?: string;
  /** The objects that it is about. All of them: a report for people names the first. */
  readonly objects: readonly string[];
  readonly message: string;
  /** What to do; empty where nothing is to be done. */
  readonly remedy: string;
}

/** A problem that a check found. */
export interface Problem {
  readonly level: Exclude<Level, 'ok'>;
  readonly objects?: readonly string[];
  readonly message: string;
  readonly remedy: string;
}

/** What is known without asking the cluster. */
export interface Context extends PolicyConfig {
  readonly governance: Governance;
  /** Whether a policy guards the webhook configurations. */
  readonly guard: boolean;
  /** Whether policies enforce the profiles beside the webhook. */
  readonly backstop: boolean;
  /** SHA-256 of the configuration. */
  readonly digest: string;
  /** Of this command. */
  readonly version: string;
  readonly service: { readonly namespace: string; readonly name: string };
  readonly now: Date;
  /** The namespaces to check; absent: all of them. */
  readonly only?: readonly string[];
  /** The profile to check; absent: all of them. */
  readonly profile?: string;
}

export interface Check {
  readonly id: string;
  /** What holds when the answer is ok, in one sentence. */
  readonly summary: string;
  /** Whether the answers are about one profile each. */
  readonly isPerProfile: boolean;
  readonly reads: readonly FactName[];
  /** The rights that its facts need. */
  readonly needs: readonly Right[];
  /** The levels that its problems can have. */
  readonly levels: readonly Problem['level'][];
  /** @returns nothing: the check does not apply to this cluster */
  run(facts: Facts, context: Context): readonly DoctorAnswer[];
}

/** For a check that does not apply. */
export const LEFT_OUT = 'left out';
export type CheckResult = readonly Problem[] | typeof LEFT_OUT;

interface Definition<Name extends FactName> extends Pick<Check, 'id' | 'summary'> {
  readonly reads: readonly Name[];
  /** Beside `unknown`, which every check can answer. */
  readonly levels: readonly Exclude<Problem['level'], 'unknown'>[];
}

type Values<Name extends FactName> = { readonly [Each in Name]: FactValues[Each] };

/** A check of the whole cluster. Its function gets values, and no missing fact: then the answer is unknown, and names what is missing. */
export function checkCluster<const Name extends FactName>(
  definition: Definition<Name> & { run(values: Values<Name>, context: Context): CheckResult },
): Check {
  return {
    ...common(definition),
    isPerProfile: false,
    run: (facts, context) => answer(definition, facts, (values) => definition.run(values, context)),
  };
}

interface ProfilesDefinition<Name extends FactName> extends Definition<Name> {
  /** Whether the check is made for a profile, whatever the cluster is like; absent: for every one. */
  appliesTo?(profile: Profile): boolean;
  run(profile: Profile, values: Values<Name>, context: Context): CheckResult;
}

/** A check that is made once for each configured profile to which it applies. */
export function checkProfiles<const Name extends FactName>(definition: ProfilesDefinition<Name>): Check {
  const { appliesTo = () => true } = definition;
  return {
    ...common(definition),
    isPerProfile: true,
    run: (facts, context) =>
      profilesIn(context)
        .filter(appliesTo)
        .flatMap((profile) => answer(definition, facts, (values) => definition.run(profile, values, context), profile.id)),
  };
}

function profilesIn({ profiles, profile: only }: Context): readonly Profile[] {
  return [...profiles.values()].filter(({ id }) => only === undefined || id === only);
}

function common<Name extends FactName>({ id, summary, reads, levels }: Definition<Name>): Omit<Check, 'isPerProfile' | 'run'> {
  return { id, summary, reads, levels: [...levels, 'unknown'], needs: reads.flatMap((name) => ORIGINS[name].rights) };
}

function answer<Name extends FactName>(
  { id, summary, reads }: Definition<Name>,
  facts: Facts,
  run: (values: Values<Name>) => CheckResult,
  profile?: string,
): readonly DoctorAnswer[] {
  const about = { check: id, ...(profile !== undefined && { profile }) };
  const missing = reads.flatMap((name) => {
    const fact = facts[name];
    return 'missing' in fact ? [fact.missing] : [];
  });
  if (missing.length > 0) {
    const why = [...new Set(missing)].join('; ');
    return [{ ...about, level: 'unknown', objects: [], message: `not checked: ${why}`, remedy: GIVE_RIGHTS }];
  }
  const values = Object.fromEntries(reads.map((name) => [name, (facts[name] as { readonly value: unknown }).value])) as Values<Name>;
  const problems = run(values);
  if (problems === LEFT_OUT) return [];
  if (problems.length === 0) return [{ ...about, level: 'ok', objects: [], message: summary, remedy: '' }];
  return problems.map(({ level, objects = [], message, remedy }) => ({ ...about, level, objects, message, remedy }));
}

export const GIVE_RIGHTS = '`cloister doctor --print-rbac` prints the rights that this command needs.';

/** The objects of a problem: the first two, and how many more there are. */
export function printObjects(objects: readonly string[]): string {
  const named = objects.slice(0, 2).join(', ');
  return objects.length <= 2 ? named : `${named}, +${objects.length - 2}`;
}
