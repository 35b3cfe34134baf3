import { type Cel, listAt, quote, text, textAt } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import { orEmpty } from '../pod.ts';
import { REMOVE, type Rule } from './rule.ts';

/**
 * `Bidirectional` propagates mounts from the pod to the node and to other pods. The API server accepts it in privileged containers only, so
 * it must be removed together with `privileged`. `HostToContainer` propagates later mounts of the node into the pod.
 *
 * Fields: spec.containers[*].volumeMounts[*].mountPropagation
 * Allowed: absent or None
 * Fix: drop it.
 * Source: https://kubernetes.io/docs/concepts/storage/volumes/#mount-propagation
 */
export const mountPropagation: Rule = {
  id: 'mount-propagation',
  summary: 'Mounts do not propagate between the pod and its node.',
  fields: ['spec.containers[*].volumeMounts[*].mountPropagation'],
  checkContainer({ spec }, report) {
    for (const [index, { mountPropagation: propagation }] of orEmpty(spec.volumeMounts).entries()) {
      if (!propagation || propagation === 'None') continue;
      report({ path: ['volumeMounts', index, 'mountPropagation'], message: `mountPropagation is ${excerptOf(propagation)}`, fix: REMOVE });
    }
  },
  inTree: {
    container: () => [
      {
        each: [listAt('c', 'volumeMounts'), 'm'],
        where: `!(${textAt('m', 'mountPropagation')} in ['', 'None'])`,
        says: text`mountPropagation of ${'m.name'} is ${'m.mountPropagation'}`,
        remedy: quote('remove it'),
      },
    ],
  },
  inTreeFixes: {
    container() {
      const isSet = (mount: Cel): Cel => `!(${textAt(mount, 'mountPropagation')} in ['', 'None'])`;
      return [
        {
          path: 'volumeMounts',
          where: `${listAt('c', 'volumeMounts')}.exists(m, ${isSet('m')})`,
          removeKeys: (mount) => ({ mountPropagation: isSet(mount) }),
        },
      ];
    },
  },
};
