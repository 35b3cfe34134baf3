import type { Figure } from '../report/figures.ts';
import type { Machine, Servers } from '../servers/servers.ts';

/** A part of docs/performance.md that can be measured separately. */
export interface Section {
  /** The argument that selects it: `./dev bench NAME`. */
  readonly name: string;
  readonly title: string;
  /** What is measured, for the readers of the page. */
  introduction(servers: Servers): string;
  measure(environment: Environment): Promise<readonly Figure[]>;
}

export interface Environment {
  readonly servers: Servers;
  readonly machine: Machine;
  readonly extent: Extent;
}

/** `quick` only shows that everything runs; `full` takes as long as the goals require. */
export type Extent = 'quick' | 'usual' | 'full';
