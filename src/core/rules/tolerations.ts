import { allOf, anyOf, type Cel, isKeyValueAmong, listAt, not, quote, text, textAt } from '../cel.ts';
import { BROUGHT_REMEDY, NO_SCHEDULING, printToleration, printTolerationCel } from '../class-scheduling.ts';
import { excerptOf } from '../excerpt.ts';
import { containsKeyValue } from '../key-values.ts';
import { specOf, type Toleration } from '../pod.ts';
import type { ProfileRequirements } from '../requirements.ts';
import { getsClassScheduling, getsClassSchedulingCel } from '../wall.ts';
import { REMOVE, type Rule } from './rule.ts';

/**
 * A toleration without a key tolerates every taint, including those of the control plane and of other tenants' nodes. The nodes behind a
 * system taint run the cluster's own components, whose credentials allow more than a tenant's.
 *
 * Fields: spec.tolerations[*]
 * Allowed: a key, and not one of the control plane, of a system pool, or of the profile's `deniedTolerations`; exactly what the profile's runtime
 * class adds
 * Fix: drop the toleration.
 * Source: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
 */
export const tolerations: Rule = {
  id: 'tolerations',
  summary: 'The pod tolerates no taint of the control plane or of a system pool, and has no toleration that covers every taint.',
  fields: ['spec.tolerations[*]'],
  checkPod(pod, report, { requirements }) {
    const { tolerations: written } = specOf(pod);
    if (written == null) return;
    const isOfClass = getsClassScheduling(pod, requirements.wall);
    const brought = isOfClass ? requirements.classScheduling.tolerations : NO_SCHEDULING.tolerations;
    const wayOut = isOfClass ? { remedy: `remove it; ${BROUGHT_REMEDY}` } : {};
    for (const [index, toleration] of written.entries()) {
      const { key } = toleration;
      const isBrought = brought.size > 0 && brought.has(printToleration(toleration));
      if (isBrought) continue;
      const path = ['spec', 'tolerations', index];
      if (!key) report({ path, message: 'a toleration without a key tolerates every taint', fix: REMOVE, ...wayOut });
      else if (containsKeyValue(requirements.deniedTolerations, key, valuesOf(toleration)))
        report({ path, message: `taint ${excerptOf(key)} is tolerated`, fix: REMOVE, ...wayOut });
    }
  },
  inTree: {
    pod({ spec }, requirements) {
      const [key, operator, value, effect] = FIELDS.map((field) => textAt('t', field)) as [string, string, string, string];
      return [
        {
          each: [listAt(spec, 'tolerations'), 't'],
          where: isDroppedCel('t', spec, requirements),
          says: `${key} == '' ? 'a toleration without a key tolerates every taint (' + ${effect} + ')' : ${text`taint ${`[${key}, ${operator}, ${value}, ${effect}].filter(each, each != '').join(' ')`} is tolerated`}`,
          remedy: quote('remove it'),
        },
      ];
    },
  },
  inTreeFixes: {
    pod({ spec }, requirements) {
      const isDropped = (toleration: Cel): Cel => isDroppedCel(toleration, spec, requirements);
      return [
        {
          path: 'spec.tolerations',
          where: `${listAt(spec, 'tolerations')}.exists(t, ${isDropped('t')})`,
          removeElements: isDropped,
        },
      ];
    },
  },
};

/** The values of the taint that are tolerated; undefined: every value, or the numbers above or below one. */
function valuesOf({ operator, value }: Toleration): readonly string[] | undefined {
  return !operator || operator === 'Equal' ? [value ?? ''] : undefined;
}

const FIELDS = ['key', 'operator', 'value', 'effect'] as const;

/** Whether the toleration must go. */
function isDroppedCel(toleration: Cel, spec: Cel, { wall, classScheduling, deniedTolerations }: ProfileRequirements): Cel {
  const [key, operator, value] = FIELDS.map((field) => textAt(toleration, field)) as [string, string, string];
  const isBrought = anyOf(...[...classScheduling.tolerations].map((printed) => `${printTolerationCel(toleration)} == ${quote(printed)}`));
  const isDenied = isKeyValueAmong(deniedTolerations, key, `[${value}]`, `!(${operator} in ['', 'Equal'])`);
  return allOf(not(allOf(getsClassSchedulingCel(spec, wall), isBrought)), anyOf(`${key} == ''`, isDenied));
}
