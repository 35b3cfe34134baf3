/**
 * `stands`: each part of the wall is proven, and nothing contradicts it; `missing`: the cluster says that it is not there; `claimed`: the pod asks
 * for it, and not every part is proven; `none`: the pod asks for no wall; `down`: no container of the pod runs.
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
