import { anyOf, listAt, listOf, not, quote, text } from '../cel.ts';
import { lossOf, normalizeCapability, normalizeCapabilityCel } from '../containers.ts';
import { excerptOf } from '../excerpt.ts';
import { orEmpty } from '../pod.ts';
import { BASELINE_CAPABILITIES } from '../requirements.ts';
import { REMOVE, type Rule } from './rule.ts';

const BASELINE: ReadonlySet<string> = new Set(BASELINE_CAPABILITIES);
/**
 * Capabilities that init containers use to set up iptables, tunnels, mounts, kernel modules or limits. Without them, such a container ends with an
 * error. Other capabilities, such as SYS_PTRACE, are often only copied from the workspace container.
 */
const SET_UP: ReadonlySet<string> = new Set(['ALL', 'NET_ADMIN', 'NET_RAW', 'SYS_ADMIN', 'SYS_MODULE', 'SYS_RESOURCE']);

/**
 * Capabilities are parts of root's power. Each one beyond the usual set reaches more of a kernel. Only in isolated pods, and only for
 * workspace containers, may a grant allow more.
 *
 * Fields: spec.containers[*].securityContext.capabilities.add
 * Allowed: Pod Security baseline's 13 in any container; in workspace containers also what the grant lists
 * Fix: drop an excess entry; write a variant (`CAP_CHOWN`, `chown`) in the form that Pod Security compares.
 * Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline, capabilities(7)
 */
export const capabilities: Rule = {
  id: 'capabilities',
  summary: 'Containers add no capability beyond Pod Security baseline and their grant.',
  fields: ['spec.containers[*].securityContext.capabilities.add'],
  exemptibleValues: 'a capability, for example NET_ADMIN',
  checkContainer({ list, spec, hasGrant }, report, { requirements, exempts }) {
    const allowed = hasGrant ? requirements.workspace.allowedCapabilities : BASELINE;
    for (const [index, written] of orEmpty(spec.securityContext?.capabilities?.add).entries()) {
      const path = ['securityContext', 'capabilities', 'add', index];
      const capability = normalizeCapability(written);
      if (!allowed.has(capability) && !exempts(capability)) {
        const loss = SET_UP.has(capability) ? lossOf({ list, spec }) : '';
        report({ path, message: `capability ${excerptOf(written)} is added${loss}`, fix: REMOVE, exemption: capability });
      } else if (written !== capability) {
        report({ path, message: `capability ${excerptOf(capability)} is spelled ${excerptOf(written)}`, fix: { set: capability } });
      }
    }
  },
  inTree: {
    // Of a misspelled capability the text is no exact name, so it is among the escapes.
    container({ hasGrant, exempts }, { workspace }) {
      const baseline = `a in ${listOf(BASELINE)}`;
      const granted = `a in ${listOf(workspace.allowedCapabilities)}`;
      const allowed = granted === baseline ? baseline : `(${hasGrant} ? ${granted} : ${baseline})`;
      return [
        {
          each: [listAt('c', 'securityContext.capabilities.add'), 'a'],
          where: not(anyOf(allowed, exempts('a'))),
          says: text`capability ${'a'} is added`,
          remedy: quote('remove it, or ask the operator for an exemption; an allowed one is spelled as in NET_BIND_SERVICE'),
        },
      ];
    },
  },
  inTreeFixes: {
    container({ hasGrant, exempts }, { workspace }) {
      const path = 'securityContext.capabilities.add';
      const baseline = `a in ${listOf(BASELINE)}`;
      const granted = `a in ${listOf(workspace.allowedCapabilities)}`;
      const isAllowed = anyOf(granted === baseline ? baseline : `(${hasGrant} ? ${granted} : ${baseline})`, exempts('a'));
      return [
        {
          path,
          // An allowed capability is spelled as in the lists, in capital letters.
          where: `!${listAt('c', path)}.all(a, ${isAllowed})`,
          edit: (found) => `${found}.map(a, ${normalizeCapabilityCel('a')}).filter(a, ${isAllowed})`,
        },
      ];
    },
  },
};
