import { gvisor } from './gvisor.ts';
import { kataAcrn, kataClh, kataFc, kataQemu } from './kata.ts';
import type { Backend } from './profile.ts';
import { sysbox } from './sysbox.ts';
import { userns } from './userns.ts';

/** All backends. Label values, webhook entries, `explain`, the configuration's check and the contract tests derive from this list. */
export const backends: readonly Backend[] = [userns, sysbox, kataQemu, kataClh, kataFc, kataAcrn, gvisor];

export const backendById: ReadonlyMap<string, Backend> = new Map(backends.map((backend) => [backend.id, backend]));
