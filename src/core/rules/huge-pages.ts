import { listAt, quote, text, textAt } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import { orEmpty, specOf } from '../pod.ts';
import type { Rule } from './rule.ts';

/**
 * hugetlbfs cannot be id-mapped, so a pod with such a volume never starts in a user namespace.
 *
 * Fields: spec.volumes[*].emptyDir.medium
 * Allowed: under user namespaces anything but HugePages
 * Fix: none.
 * Source: KEP-127
 */
export const hugePages: Rule = {
  id: 'huge-pages',
  summary: 'The pod has no volume of huge pages where a user namespace cannot map it.',
  fields: ['spec.volumes[*].emptyDir.medium'],
  checkPod(pod, report, { requirements }) {
    if (requirements.allowsHugePages) return;
    for (const [index, { name, emptyDir }] of orEmpty(specOf(pod).volumes).entries()) {
      if (!emptyDir?.medium?.startsWith('HugePages')) continue;
      const message = `volume "${excerptOf(name ?? '')}" has medium ${excerptOf(emptyDir.medium)}, which cannot be id-mapped`;
      report({ path: ['spec', 'volumes', index, 'emptyDir', 'medium'], message, remedy: 'use medium Memory or none' });
    }
  },
  inTree: {
    pod: ({ spec }, { allowsHugePages }) =>
      allowsHugePages
        ? []
        : [
            {
              each: [listAt(spec, 'volumes'), 'v'],
              where: `${textAt('v', 'emptyDir.medium')}.startsWith('HugePages')`,
              says: text`volume "${'v.name'}" has medium ${'v.emptyDir.medium'}, which cannot be id-mapped`,
              remedy: quote('use medium Memory or none'),
            },
          ],
  },
};
