import type { WallCheck } from '../check.ts';
import { controlPlaneNode, misplaced } from './node.ts';
import {
  containerFailure,
  nodeGone,
  notRunning,
  outdatedGrant,
  serviceAccount,
  sharedClaim,
  startFailure,
  wallNotRequested,
} from './pod.ts';
import {
  classGone,
  classOverhead,
  classRecreated,
  handlerAbsent,
  handlerListed,
  handlerOrdinary,
  handlersUnreported,
  handlerUnknown,
  kataHypervisor,
} from './runtime-class.ts';
import { sysboxContainerd, sysboxNode, sysboxSharedIds } from './sysbox.ts';
import {
  usernsGated,
  usernsIgnored,
  usernsInGuest,
  usernsSupported,
  usernsUnreported,
  usernsUnsupported,
  usernsWithHostNamespaces,
} from './user-namespace.ts';

/** The checks of a pod's wall, in reading order: what is asked for, what runs, the parts of the wall, and what surrounds it. */
export const wallChecks: readonly WallCheck[] = [
  wallNotRequested,
  notRunning,
  startFailure,
  containerFailure,
  nodeGone,
  usernsSupported,
  usernsUnsupported,
  usernsUnreported,
  usernsIgnored,
  usernsGated,
  usernsWithHostNamespaces,
  usernsInGuest,
  classGone,
  handlerAbsent,
  handlerListed,
  handlersUnreported,
  handlerOrdinary,
  handlerUnknown,
  classRecreated,
  classOverhead,
  kataHypervisor,
  sysboxNode,
  sysboxContainerd,
  sysboxSharedIds,
  misplaced,
  controlPlaneNode,
  serviceAccount,
  sharedClaim,
  outdatedGrant,
];

export const wallCheckById: ReadonlyMap<string, WallCheck> = new Map(wallChecks.map((each) => [each.id, each]));
