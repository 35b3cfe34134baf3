import { setTimeout as sleep } from 'node:timers/promises';
import { reportDefinition } from '../../tools/programs/chart-tools.ts';
import type { ApiServer } from './api-server.ts';

export const OPEN_REPORTS = '/apis/openreports.io/v1alpha1';

/** Until the API server serves Reports. An established definition is served a moment later. */
export async function createReportDefinition({ admin, kubectl }: ApiServer): Promise<void> {
  const { code, stderr } = await kubectl(['create', `--filename=${await reportDefinition()}`]);
  if (code !== 0) throw new Error(stderr);
  // The caller's own timeout ends it.
  while ((await admin.request('GET', `${OPEN_REPORTS}/reports`)).status !== 200) await sleep(50);
}
