import type { Rule } from './rule.ts';

/**
 * A privileged container has every capability and every device of its node, and no filter: it is root on the node. Only in a guest whose
 * handler does not pass the node's devices does it mean root in the guest, and only the operator knows how the handler is configured.
 *
 * Fields: spec.containers[*].securityContext.privileged
 * Allowed: absent or false; under Kata with `guestPrivileged`, true in workspace containers with the grant `containers`
 * Fix: set false.
 * Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
 */
export const privileged: Rule = {
  id: 'privileged',
  summary: 'No container is privileged.',
  fields: ['spec.containers[*].securityContext.privileged'],
  checkContainer({ spec, hasGrant }, report, { requirements }) {
    const path = ['securityContext', 'privileged'];
    const isPrivileged = spec.securityContext?.privileged === true;
    const given = hasGrant && requirements.workspace.makesPrivileged;
    if (isPrivileged && !given) report({ path, message: 'privileged is true', fix: { set: false } });
    if (!isPrivileged && given)
      report({
        path,
        message: 'privileged is not true, but containers in the guest need it to be true',
        fix: { set: true },
        kind: 'promise',
      });
  },
};
