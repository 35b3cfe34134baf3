import { checks } from '../../../src/doctor/checks/index.ts';
import { wallChecks } from '../../../src/live/checks/index.ts';

const rowOf = ({ id, summary }: { readonly id: string; readonly summary: string }) => ({ id, summary });

/** The checks of running pods and of clusters, from the sources. */
export const data = { pods: wallChecks.map(rowOf), cluster: checks.map(rowOf) };

export default { load: () => data };
