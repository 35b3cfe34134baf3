import { allOf, listAt, not, quote, text, textAt } from '../cel.ts';
import { SYSBOX_MODE } from '../containers.ts';
import { excerptOf } from '../excerpt.ts';
import { orEmpty } from '../pod.ts';
import { REMOVE, type Rule } from './rule.ts';

/**
 * Environment variables configure Sysbox, those of the image included. `SYSBOX_SYSCONT_MODE` decides whether a container's capabilities
 * count (FALSE), or its root has all capabilities of the user namespace (TRUE). An `env` entry overrides image and envFrom, so it is always
 * written.
 *
 * Fields: spec.containers[*].env, spec.containers[*].envFrom[*].prefix
 * Allowed: SYSBOX_SYSCONT_MODE at what the grant says (FALSE outside it), no other SYSBOX_ variable, no prefix that could make one
 * Fix: write the variable. The others are refused, because a container with an unknown one does not start.
 * Source: https://github.com/nestybox/sysbox/blob/master/docs/user-guide/configuration.md
 */
export const sysboxMode: Rule = {
  id: 'sysbox-mode',
  summary: 'Under Sysbox, only the grant decides what the variables of Sysbox say.',
  fields: ['spec.containers[*].env[*]', 'spec.containers[*].envFrom[*].prefix'],
  checkContainer({ spec, hasGrant }, report, { requirements }) {
    if (!requirements.isSysbox) return;
    const wanted = hasGrant ? requirements.workspace.sysboxMode : 'FALSE';
    let isWritten = false;
    for (const [index, { name, value, valueFrom }] of orEmpty(spec.env).entries()) {
      if (!name?.startsWith('SYSBOX_')) continue;
      const path = ['env', index];
      if (name !== SYSBOX_MODE) {
        report({ path, message: `variable ${excerptOf(name)} configures Sysbox`, remedy: 'remove it' });
        continue;
      }
      isWritten = true;
      if (value !== wanted) report({ path: [...path, 'value'], message: `${name} is not ${wanted}`, fix: { set: wanted } });
      if (valueFrom != null) report({ path: [...path, 'valueFrom'], message: `${name} has valueFrom instead of a value`, fix: REMOVE });
    }
    if (!isWritten) {
      const kind = wanted === 'FALSE' ? 'escape' : 'promise';
      report({ path: ['env'], message: `${SYSBOX_MODE} is not set`, fix: { append: [{ name: SYSBOX_MODE, value: wanted }] }, kind });
    }
    for (const [index, { prefix }] of orEmpty(spec.envFrom).entries()) {
      if (!prefix || !couldMake(prefix)) continue;
      report({
        path: ['envFrom', index, 'prefix'],
        message: `prefix ${excerptOf(prefix)} can turn a key into a variable of Sysbox`,
        remedy: 'use another prefix',
      });
    }
  },
  inTree: {
    container({ hasGrant }, { isSysbox, workspace }) {
      if (!isSysbox) return [];
      const env = listAt('c', 'env');
      const isMode = `e.name == ${quote(SYSBOX_MODE)}`;
      const mayBeTrue = workspace.sysboxMode === 'TRUE';
      const wanted = mayBeTrue ? `(${hasGrant} ? 'TRUE' : 'FALSE')` : quote('FALSE');
      const prefix = textAt('e', 'prefix');
      return [
        {
          each: [env, 'e'],
          where: `e.name.startsWith('SYSBOX_') && !(${isMode} && ${textAt('e', 'value')} == ${wanted} && !has(e.valueFrom))`,
          says: `${isMode} ? ${text`${'e.name'} is not ${wanted}`} : ${text`variable ${'e.name'} configures Sysbox`}`,
          remedy: quote(`remove it, or set the value of ${SYSBOX_MODE}`),
        },
        {
          where: allOf(`!${env}.exists(e, ${isMode})`, mayBeTrue ? not(hasGrant) : 'true'),
          says: quote(`${SYSBOX_MODE} is not set`),
          remedy: quote('set it to FALSE'),
        },
        {
          each: [listAt('c', 'envFrom'), 'e'],
          where: `${prefix} != '' && (${prefix}.startsWith('SYSBOX_') || 'SYSBOX_'.startsWith(${prefix}))`,
          says: text`prefix ${prefix} can turn a key into a variable of Sysbox`,
          remedy: quote('use another prefix'),
        },
      ];
    },
  },
};

/** Whether some key behind this prefix begins with `SYSBOX_`. */
const couldMake = (prefix: string): boolean => prefix.startsWith('SYSBOX_') || 'SYSBOX_'.startsWith(prefix);
