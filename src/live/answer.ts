/**
 * `stands`: nothing known contradicts the wall; `missing`: the cluster says that it is not there; `claimed`: nothing says either;
 * `none`: the pod asks for no wall; `down`: the pod does not run.
 */
export type WallState = 'stands' | 'claimed' | 'missing' | 'none' | 'down';

export interface WallAnswer {
  readonly state: WallState;
  readonly findings: readonly WallFinding[];
}

export interface WallFinding {
  /** The id of the check, such as `userns-unsupported`. */
  readonly check: string;
  readonly severity: 'error' | 'warning' | 'info';
  readonly message: string;
  readonly remedy: string;
}
