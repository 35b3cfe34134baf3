import { allOf, maybe, not, quote, text, textAt } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import { REMOVE, type Rule } from './rule.ts';

/**
 * `procMount: Unmasked` removes the masks over /proc. In a pod with a user namespace it is safe, and nested containers need it to mount a
 * /proc of their own. In any other pod it exposes the node's kernel settings.
 *
 * Fields: spec.containers[*].securityContext.procMount
 * Allowed: absent or Default; Unmasked in workspace containers whose grant lists it
 * Fix: drop it, or set what the grant lists.
 * Source: KEP-4265
 */
export const procMount: Rule = {
  id: 'proc-mount',
  summary: '/proc is unmasked only where nested containers need it and a user namespace makes it safe.',
  fields: ['spec.containers[*].securityContext.procMount'],
  checkContainer({ spec, hasGrant }, report, { requirements }) {
    const path = ['securityContext', 'procMount'];
    const found = spec.securityContext?.procMount;
    const given = hasGrant && requirements.workspace.unmasksProc;
    if (given && found !== 'Unmasked') {
      report({ path, message: `procMount is ${excerptOf(found ?? 'not set')}`, fix: { set: 'Unmasked' }, kind: 'promise' });
    }
    if (!given && found != null && found !== 'Default') report({ path, message: `procMount is ${excerptOf(found)}`, fix: REMOVE });
  },
  inTree: {
    container({ hasGrant }, { workspace }) {
      const found = textAt('c', 'securityContext.procMount');
      return [
        {
          where: allOf(`!(${found} in ['', 'Default'])`, workspace.unmasksProc ? not(hasGrant) : 'true'),
          says: text`procMount is ${found}`,
          remedy: quote('remove it'),
        },
      ];
    },
  },
  inTreeFixes: {
    container({ hasGrant }, { workspace }) {
      const path = 'securityContext.procMount';
      const found = `${maybe('c', path)}.orValue('Default')`;
      const given = workspace.unmasksProc ? hasGrant : 'false';
      return [
        { path, where: allOf(not(given), `${found} != 'Default'`), remove: true },
        ...(workspace.unmasksProc ? [{ path, where: allOf(given, `${found} != 'Unmasked'`), set: () => quote('Unmasked') }] : []),
      ];
    },
  },
};
