import { allOf, flagAt, not, quote } from '../cel.ts';
import { lossOf, whyWithoutGrant } from '../containers.ts';
import type { Container } from '../pod.ts';
import type { ProfileRequirements } from '../requirements.ts';
import type { Rule } from './rule.ts';

/**
 * A privileged container has every capability and every device of its node, and no filter: it is root on the node. In a guest whose handler does not
 * pass the node's devices it is only root in the guest, but only the operator knows how the handler is configured.
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
  checkContainer(container, report, { requirements }) {
    const { spec, hasGrant } = container;
    const path = ['securityContext', 'privileged'];
    const isPrivileged = spec.securityContext?.privileged === true;
    const given = hasGrant && requirements.workspace.makesPrivileged;
    if (isPrivileged && !given) {
      const substitute = printSubstitute(container, requirements);
      const advice = substitute === undefined ? {} : { remedy: `set it to false; ${substitute}` };
      report({ path, message: `privileged is true${lossOf(container)}`, fix: { set: false }, ...advice });
    }
    if (!isPrivileged && given)
      report({
        path,
        message: 'privileged is not true, but nested containers need it to be true under this profile',
        fix: { set: true },
        kind: 'promise',
      });
  },
  inTree: {
    container: ({ hasGrant }, { workspace }) => [
      {
        where: allOf(flagAt('c', 'securityContext.privileged'), workspace.makesPrivileged ? not(hasGrant) : 'true'),
        says: quote('privileged is true'),
        remedy: quote('set it to false'),
      },
    ],
  },
  inTreeFixes: {
    container: () => [{ path: 'securityContext.privileged', where: flagAt('c', 'securityContext.privileged'), edit: () => 'false' }],
  },
};

/**
 * What the container gets instead of `privileged`, if no engine works with it: an engine is the usual reason for `privileged`; undefined: an engine
 * works.
 */
function printSubstitute(container: Container, requirements: ProfileRequirements): string | undefined {
  const why = whyWithoutGrant(container, requirements);
  if (why !== undefined) return `the container gets no grant in its place, because ${why}`;
  return requirements.grant === 'containers'
    ? undefined
    : `the container gets the grant ${requirements.grant} instead, and no container engine works under that grant`;
}
