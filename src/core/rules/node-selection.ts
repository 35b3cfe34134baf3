import { allOf, anyOf, type Cel, isKeyValueAmong, listAt, listOf, mapAt, not, quote, text } from '../cel.ts';
import { BROUGHT_REMEDY, NO_SCHEDULING } from '../class-scheduling.ts';
import { excerptOf } from '../excerpt.ts';
import { containsKeyValue } from '../key-values.ts';
import { NODE_IDENTITIES } from '../known-names.ts';
import { type NodeSelectorTerm, orEmpty, specOf } from '../pod.ts';
import { getsClassScheduling, getsClassSchedulingCel } from '../wall.ts';
import type { Reporter, Rule, RuleContext, RuleFinding } from './rule.ts';

/**
 * From a workspace on a control-plane node, one kernel bug leads to the whole cluster; from one on a system pool, to the credentials of the
 * cluster's components. A pod that names its node chooses its neighbours, as with `nodeName`.
 *
 * Fields: spec.nodeSelector, spec.affinity.nodeAffinity
 * Allowed: anything that asks neither for one node nor for such a node (`NotIn` and `DoesNotExist` are allowed); what the profile's runtime class
 * adds
 * Fix: none.
 * Source: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
 */
export const nodeSelection: Rule = {
  id: 'node-selection',
  summary: 'The pod asks for no node by its name, and for no node of the control plane or of a system pool.',
  fields: [
    'spec.nodeSelector.*',
    'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[*].matchExpressions[*]',
    'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[*].matchFields[*]',
    'spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[*].preference.matchExpressions[*]',
    'spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[*].preference.matchFields[*]',
  ],
  exemptibleValues: 'kubernetes.io/hostname, or metadata.name, which the DaemonSet controller writes',
  checkPod(pod, report, context) {
    const { nodeSelector, affinity } = specOf(pod);
    if (nodeSelector != null) {
      const { wall, classScheduling } = context.requirements;
      const brought = getsClassScheduling(pod, wall) ? classScheduling.nodeSelector : NO_SCHEDULING.nodeSelector;
      for (const [key, value] of Object.entries(nodeSelector)) {
        const wayOut = brought.get(key) === value ? undefined : findWayOut(key, [value], context, getsClassScheduling(pod, wall));
        if (wayOut !== undefined)
          report({ path: ['spec', 'nodeSelector', key], message: `nodeSelector asks for ${excerptOf(key)}`, ...wayOut });
      }
    }
    const { requiredDuringSchedulingIgnoredDuringExecution: required, preferredDuringSchedulingIgnoredDuringExecution: preferred } =
      affinity?.nodeAffinity ?? {};
    const path = ['spec', 'affinity', 'nodeAffinity'];
    for (const [index, term] of orEmpty(required?.nodeSelectorTerms).entries()) {
      checkTerm(term, [...path, 'requiredDuringSchedulingIgnoredDuringExecution', 'nodeSelectorTerms', index], report, context);
    }
    for (const [index, term] of orEmpty(preferred).entries()) {
      checkTerm(term.preference, [...path, 'preferredDuringSchedulingIgnoredDuringExecution', index, 'preference'], report, context);
    }
  },
  inTree: {
    pod({ spec, exempts }, { wall, classScheduling, deniedNodeLabels }) {
      const labels = mapAt(spec, 'nodeSelector');
      const isNode = (key: Cel): Cel => allOf(`${key} in ${listOf(NODE_IDENTITIES)}`, not(exempts(key)));
      const isBrought = anyOf(
        ...[...classScheduling.nodeSelector].map(([key, value]) => `(k == ${quote(key)} && ${labels}[k] == ${quote(value)})`),
      );
      const isAsked = anyOf(isKeyValueAmong(deniedNodeLabels, 'e.key', listAt('e', 'values'), "e.operator != 'In'"), isNode('e.key'));
      const asks = (term: Cel): Cel =>
        `(${LISTS.map((list) => listAt(term, list)).join(' + ')}).filter(e, !(e.operator in ['NotIn', 'DoesNotExist']) && ${isAsked})`;
      const affinity = (terms: Cel, term: Cel) => ({
        each: [listAt(spec, `affinity.nodeAffinity.${terms}`), 't'] as const,
        where: `${asks(term)}.size() > 0`,
        says: text`node affinity asks for ${`${asks(term)}.map(e, e.key + ' ' + e.operator).join(', ')`}`,
        remedy: REMEDY_CEL,
      });
      return [
        {
          each: [labels, 'k'],
          where: allOf(
            not(allOf(getsClassSchedulingCel(spec, wall), isBrought)),
            anyOf(isKeyValueAmong(deniedNodeLabels, 'k', `[${labels}[k]]`), isNode('k')),
          ),
          says: text`nodeSelector asks for ${`k + '=' + ${labels}[k]`}`,
          remedy: REMEDY_CEL,
        },
        affinity('requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms', 't'),
        affinity('preferredDuringSchedulingIgnoredDuringExecution', 't.preference'),
      ];
    },
  },
};

const LISTS = ['matchExpressions', 'matchFields'] as const;

function checkTerm(
  term: NodeSelectorTerm | null | undefined,
  path: readonly (string | number)[],
  report: Reporter,
  context: RuleContext,
): void {
  for (const list of LISTS) {
    for (const [index, { key, operator, values }] of orEmpty(term?.[list]).entries()) {
      if (operator === 'NotIn' || operator === 'DoesNotExist') continue;
      if (key === 'metadata.name' && operator === 'In' && orEmpty(values).length === 0) {
        // The API server accepts no empty list: this stands for what the controller will write into each pod.
        if (!context.exempts(key)) report({ path: ['spec'], ...OF_TEMPLATES, exemption: key });
        continue;
      }
      const wayOut = findWayOut(key ?? '', operator === 'In' ? orEmpty(values) : undefined, context, false);
      if (wayOut !== undefined)
        report({ path: [...path, list, index], message: `node affinity asks for ${excerptOf(key ?? '')}`, ...wayOut });
    }
  }
}

/**
 * What to do where the key may not be asked for with these values.
 * @param isOfClass whether a runtime class of the profile may have added it
 */
function findWayOut(
  key: string,
  values: readonly string[] | undefined,
  { requirements, exempts }: RuleContext,
  isOfClass: boolean,
): Pick<RuleFinding, 'remedy' | 'exemption'> | undefined {
  if (containsKeyValue(requirements.deniedNodeLabels, key, values)) {
    const remedy = 'remove it, or name a label of worker nodes';
    return { remedy: isOfClass ? `${remedy}; ${BROUGHT_REMEDY}` : remedy };
  }
  if (!NODE_IDENTITIES.has(key) || exempts(key)) return undefined;
  if (key === 'metadata.name') return { remedy: OF_DAEMON_SETS, exemption: key };
  return { remedy: 'remove it, so that the scheduler picks the node', exemption: key };
}

const OF_TEMPLATES = { message: 'the controller makes each pod of a DaemonSet ask for one node by its name', remedy: 'use a Deployment' };

const OF_DAEMON_SETS = 'remove it; the DaemonSet controller adds it to each pod of a DaemonSet';

const REMEDY_CEL = quote(
  'remove it, so that the scheduler picks one of the worker nodes (the DaemonSet controller adds metadata.name: use a Deployment), or ask the operator for an exemption',
);
