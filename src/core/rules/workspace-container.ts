import { lastsAsLongAsPod } from '../pod.ts';
import { printable } from '../printable.ts';
import type { Rule } from './rule.ts';

/** Both lists and the words around them fit into one message. */
const MAX_LIST_CHARS = 64;

/**
 * `grantTo` names the workspace containers. If it names no container of a pod, the pod runs without its grant, although each container is as
 * it should be.
 *
 * Fields: the names of regular containers and native sidecars
 * Allowed: anything; one of them should match the profile's `grantTo`
 * Fix: none, because only the author knows which container is the workspace.
 */
export const workspaceContainer: Rule = {
  id: 'workspace-container',
  summary: 'Where a profile names its workspace containers, the pod has one of them.',
  fields: ['spec.containers[*].name'],
  checkPod(_pod, report, { requirements, containers }) {
    const { grant, grantTo } = requirements;
    if (grant === 'none' || grantTo === undefined || containers.some(({ hasGrant }) => hasGrant)) return;
    const patterns = printNames(grantTo.map(({ glob }) => glob));
    const names = printNames(containers.filter(lastsAsLongAsPod).map(({ name }) => name));
    report({
      path: ['spec', 'containers'],
      message: `grantTo (${patterns}) matches no container (${names}), so the grant has no effect`,
      remedy: 'give the workspace container a name that grantTo matches, or ask the operator to add its name to grantTo',
      kind: 'promise',
    });
  },
  inTree: 'no escape',
};

const printNames = (names: readonly string[]): string => printable(names.join(', '), MAX_LIST_CHARS) || 'none';
