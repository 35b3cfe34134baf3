import { printable } from '../core/printable.ts';
import type { WallAnswer, WallFinding, WallState } from './answer.ts';
import type { WallPart } from './check.ts';
import { wallChecks } from './checks/index.ts';
import { needsRuntimeClass } from './checks/runtime-class.ts';
import { needsUserNamespace, runsInGuest } from './checks/user-namespace.ts';
import type { WallFacts } from './facts.ts';

/** The first of these that a check gives is the answer. */
const AGAINST: readonly WallState[] = ['none', 'missing', 'down', 'claimed'];

/** Names of nodes, handlers and labels in a message are data of the cluster. */
const MAX_CHARS = 500;

/**
 * Whether the wall of a pod is there. A pure function. The answer is `stands` only where a check proves each part of the wall and no other check
 * contradicts it: where facts are missing, it is `claimed`.
 */
export function answerWall(facts: WallFacts): WallAnswer {
  const answers = new Set<WallState>();
  const proven = new Set<WallPart>();
  const findings: WallFinding[] = [];
  for (const check of wallChecks) {
    if (check.severity === 'none') {
      if (!check.run(facts)) continue;
      answers.add(check.answer);
      if (check.proves !== undefined) proven.add(check.proves);
      continue;
    }
    const said = check.run(facts);
    if (said === undefined) continue;
    if (check.answer !== undefined) answers.add(check.answer);
    const { id, severity } = check;
    findings.push({ check: id, severity, message: printable(said.message, MAX_CHARS), remedy: printable(said.remedy, MAX_CHARS) });
  }
  const against = AGAINST.find((each) => answers.has(each));
  const parts = partsOf(facts);
  const isProven = parts.length > 0 && parts.every((part) => proven.has(part));
  return { state: against ?? (isProven ? 'stands' : 'claimed'), findings };
}

/** What must be proven. */
function partsOf(facts: WallFacts): readonly WallPart[] {
  return [
    ...(needsUserNamespace(facts) ? (['user namespace'] as const) : []),
    ...(needsRuntimeClass(facts) || runsInGuest(facts) ? (['runtime class'] as const) : []),
  ];
}
