import { allOf, maybe, quote } from '../cel.ts';
import { whatStopsWorking } from '../containers.ts';
import { lastsAsLongAsPod } from '../pod.ts';
import type { Rule } from './rule.ts';

/**
 * `allowPrivilegeEscalation: false` sets no_new_privs, under which sudo and newuidmap do not work. An absent field counts as true. A grant
 * needs true; `none` requires false.
 *
 * Fields: spec.containers[*].securityContext.allowPrivilegeEscalation
 * Allowed: under `none`, false in every container; under a grant anything, true in workspace containers for the grant to work
 * Fix: set what the grant requires. A container that restricts itself is not changed, unless `grantTo` names it.
 * Source: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
 */
export const privilegeEscalation: Rule = {
  id: 'privilege-escalation',
  summary: 'Workspace containers may gain privileges by set-uid programs exactly where the grant says so.',
  fields: ['spec.containers[*].securityContext.allowPrivilegeEscalation'],
  checkContainer(container, report, { requirements }) {
    const { spec, hasGrant } = container;
    const path = ['securityContext', 'allowPrivilegeEscalation'];
    const allowed = spec.securityContext?.allowPrivilegeEscalation;
    const wanted = requirements.workspace.allowPrivilegeEscalation;
    if (hasGrant && allowed !== wanted) {
      const kind = wanted ? 'promise' : 'escape';
      report({ path, message: `allowPrivilegeEscalation is ${allowed ?? 'not set'}`, fix: { set: wanted }, kind });
      return;
    }
    if (hasGrant || !lastsAsLongAsPod(container) || allowed !== false || requirements.grantTo !== undefined) return;
    report({
      path,
      message: `the container sets allowPrivilegeEscalation: false, so it stays without ${whatStopsWorking(requirements)}`,
      remedy: 'remove that line if this container is the workspace',
      kind: 'promise',
    });
  },
  inTree: {
    container({ hasGrant }, { workspace }) {
      if (workspace.allowPrivilegeEscalation) return [];
      const allowed = maybe('c', 'securityContext.allowPrivilegeEscalation');
      return [
        {
          where: `${hasGrant} && ${allowed}.orValue(true)`,
          says: `${allowed}.hasValue() ? 'allowPrivilegeEscalation is true' : 'allowPrivilegeEscalation is not set'`,
          remedy: quote('set it to false'),
        },
      ];
    },
  },
  inTreeFixes: {
    container({ hasGrant }, { workspace: { allowPrivilegeEscalation: wanted } }) {
      const path = 'securityContext.allowPrivilegeEscalation';
      const isWrong = wanted ? `!${maybe('c', path)}.orValue(false)` : `${maybe('c', path)}.orValue(true)`;
      return [{ path, where: allOf(hasGrant, isWrong), set: () => String(wanted) }];
    },
  },
};
