import { type Check, type Context, type DoctorAnswer, LEVELS, type Level } from './check.ts';
import { checks } from './checks/index.ts';
import type { FactName, Facts } from './facts.ts';

/** The facts that are about what the API server would do with a new object. */
const DRY_RUN_FACTS: readonly FactName[] = ['probes', 'labelProbe'];

/** @param isReadOnly whether checks that need a dry run are left out */
export function selectChecks({ isReadOnly }: { readonly isReadOnly: boolean }): readonly Check[] {
  return isReadOnly ? checks.filter(({ reads }) => !reads.some((name) => DRY_RUN_FACTS.includes(name))) : checks;
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
