import { ClusterError, FORBIDDEN } from '../cluster/client.ts';
import { printRight, type Right } from '../doctor/rights.ts';

/** @returns an error that names the right, for a request that RBAC forbids; any other error as it is */
export function missingRight(error: unknown, right: Right): unknown {
  if (!(error instanceof ClusterError) || error.status !== FORBIDDEN) return error;
  return new ClusterError(`this identity needs ${printRight(right)}`, { isRetryable: false, status: FORBIDDEN });
}
