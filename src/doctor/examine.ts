import { type Check, type Context, type DoctorAnswer, LEVELS, type Level } from './check.ts';
import { checks } from './checks/index.ts';
import type { FactName, Facts } from './facts.ts';

/** What a user allows beyond reading from the API server. What is absent is not allowed. */
export interface Allowed {
  /** To ask the API server, in dry-run mode, what it would do with a new object. */
  readonly dryRuns?: boolean;
  /** To run pods. */
  readonly pods?: boolean;
  /** To ask the kubelets. */
  readonly kubelets?: boolean;
}

/** The facts for which reading is not enough. */
const FACTS_BY_PERMISSION: Readonly<Record<keyof Allowed, readonly FactName[]>> = {
  dryRuns: ['probes', 'labelProbe'],
  pods: ['proofs'],
  kubelets: ['kubelets'],
};

/** The checks that need nothing beyond what is allowed. */
export function selectChecks(allowed: Allowed): readonly Check[] {
  const excluded = new Set(
    Object.entries(FACTS_BY_PERMISSION).flatMap(([permission, names]) => (allowed[permission as keyof Allowed] ? [] : names)),
  );
  return checks.filter(({ reads }) => !reads.some((name) => excluded.has(name)));
}

/** The answers of the checks, worst first, and for each level in the order of the checks. */
export function examine(selected: readonly Check[], facts: Facts, context: Context): readonly DoctorAnswer[] {
  const answers = selected.flatMap((each) => each.run(facts, context));
  const rankOf = ({ level }: DoctorAnswer): number => LEVELS.indexOf(level);
  return answers.toSorted((a, b) => rankOf(a) - rankOf(b));
}

/** How many answers have a level. */
export function countByLevel(answers: readonly DoctorAnswer[]): Readonly<Record<Level, number>> {
  const count = (level: Level): number => answers.filter((each) => each.level === level).length;
  return { error: count('error'), warning: count('warning'), unknown: count('unknown'), info: count('info'), ok: count('ok') };
}
