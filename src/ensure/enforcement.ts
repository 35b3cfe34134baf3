import { isDeepStrictEqual } from 'node:util';
import { type Entry, GOVERNED_BY_NAME, NAME_LABEL } from '../manifests/entries.ts';
import { entriesIn } from './objects.ts';
import type { Step } from './types.ts';

/** As the API server warns about the label `enforce`. The service account of `ensure` cannot list pods, so that an operator has to. */
export const RUNNING_PODS_STAY =
  'the entries now enforce in other namespaces than before. Pods that already run there stay as they are: `cloister scan` lists those that would be changed or refused. For workloads, use `kubectl get namespaces,deployments,statefulsets,daemonsets,cronjobs --all-namespaces --output yaml | cloister check -f - --from-cluster`';

/**
 * The validating entries of a step that enforce a profile in other namespaces than before: by their names, or because a namespace is no longer
 * excluded.
 * @returns the names of the entries
 */
export function findNewlyEnforced(step: Step): readonly string[] {
  if (step.do !== 'update' || step.object.kind !== 'ValidatingWebhookConfiguration') return [];
  const before = new Map(entriesIn(step.live).map((entry) => [entry.name, entry]));
  const written = (step.fields.webhooks ?? []) as readonly Entry[];
  return written
    .filter((entry) => {
      const live = before.get(entry.name);
      return entry.failurePolicy === 'Fail' && (hasOtherCondition(entry, live) || hasFewerExcluded(entry, live));
    })
    .map(({ name }) => name);
}

function hasOtherCondition(entry: Entry, live: Entry | undefined): boolean {
  const condition = conditionOf(entry);
  return condition !== undefined && !isDeepStrictEqual(condition, live && conditionOf(live));
}

const conditionOf = ({ matchConditions }: Entry): unknown => matchConditions?.find(({ name }) => name === GOVERNED_BY_NAME);

function hasFewerExcluded(entry: Entry, live: Entry | undefined): boolean {
  const excluded = excludedBy(entry);
  return live !== undefined && excludedBy(live).some((namespace) => !excluded.includes(namespace));
}

function excludedBy({ namespaceSelector }: Entry): readonly string[] {
  // An object of the cluster may lack a selector.
  const requirements = namespaceSelector?.matchExpressions ?? [];
  return requirements.flatMap((each) => (each.key === NAME_LABEL && each.operator === 'NotIn' ? each.values : []));
}
