import type { Figure } from '../report/figures.ts';
import type { Field, Stage } from '../servers/servers.ts';

/** One part of docs/performance.md, which is measured by itself. */
export interface Section {
  /** By which it is asked for: `./dev bench NAME`. */
  readonly name: string;
  readonly title: string;
  /** What it measures, for those who read the page. */
  about(field: Field): string;
  measure(ground: Ground): Promise<readonly Figure[]>;
}

export interface Ground {
  readonly field: Field;
  readonly stage: Stage;
  readonly extent: Extent;
}

/** `quick` proves that everything runs, and tells nothing; `full` is as long as the goals say. */
export type Extent = 'quick' | 'usual' | 'full';
