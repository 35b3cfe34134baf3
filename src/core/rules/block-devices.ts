import { listAt, quote, text } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import { orEmpty } from '../pod.ts';
import type { Rule } from './rule.ts';

/**
 * A raw block volume is a device file. User namespaces cannot map it (the API server rejects the pod), Sysbox shows it without an owner, and
 * gVisor does not support it. Kata attaches it to the guest, where it is safe.
 *
 * Fields: spec.containers[*].volumeDevices
 * Allowed: absent, except under Kata
 * Fix: none.
 * Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#raw-block-volume-support
 */
export const blockDevices: Rule = {
  id: 'block-devices',
  summary: 'No raw block volume is attached where the runtime cannot isolate it.',
  fields: ['spec.containers[*].volumeDevices[*]'],
  checkContainer({ spec }, report, { requirements }) {
    if (requirements.allowsBlockDevices) return;
    for (const [index, { name }] of orEmpty(spec.volumeDevices).entries()) {
      report({
        path: ['volumeDevices', index],
        message: `raw block volume "${excerptOf(name ?? '')}" is attached`,
        remedy: 'mount the claim as a file system (volumeMounts)',
      });
    }
  },
  inTree: {
    container: (_pod, { allowsBlockDevices }) =>
      allowsBlockDevices
        ? []
        : [
            {
              each: [listAt('c', 'volumeDevices'), 'd'],
              where: 'true',
              says: text`raw block volume "${'d.name'}" is attached`,
              remedy: quote('mount the claim as a file system (volumeMounts)'),
            },
          ],
  },
};
