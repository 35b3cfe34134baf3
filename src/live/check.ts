import type { WallFinding, WallState } from './answer.ts';
import type { WallFacts } from './facts.ts';

/** A part of a wall, which must be proven for the answer `stands`. */
export type WallPart = 'user namespace' | 'runtime class';

/** What a check says about a pod. */
export interface Said {
  readonly message: string;
  /** What to do. */
  readonly remedy: string;
}

interface AnyCheck {
  readonly id: string;
  /** What is the case where the check applies, in one sentence. */
  readonly summary: string;
  /** The fields that it reads, each with the kind of its object. */
  readonly reads: readonly string[];
}

/** A check whose result is reported. */
export interface FindingCheck extends AnyCheck {
  readonly severity: WallFinding['severity'];
  /** Absent: the finding does not change whether the wall stands. */
  readonly answer?: WallState;
  /** @returns undefined: the check does not apply, or a fact that it needs is not known */
  run(facts: WallFacts): Said | undefined;
}

/** A check that only gives an answer: another part of the report says why, or nothing is wrong. */
export interface AnswerCheck extends AnyCheck {
  readonly severity: 'none';
  readonly answer: WallState;
  /** For the answer `stands`: what the check proves. */
  readonly proves?: WallPart;
  run(facts: WallFacts): boolean;
}

export type WallCheck = FindingCheck | AnswerCheck;
