import { isDeepStrictEqual } from 'node:util';
import { type Entry, GOVERNED_BY_NAME } from '../manifests/entries.ts';
import { entriesIn } from './objects.ts';
import type { Step } from './types.ts';

/** As the API server warns about the label `enforce`. The service account of `ensure` cannot list pods, so that an operator has to. */
export const RUNNING_PODS_STAY =
  'the entries now enforce in other namespaces than before, by their names. Pods that already run there stay as they are: list what would change if the pods were recreated, with `kubectl get namespaces,deployments,statefulsets,daemonsets,cronjobs --all-namespaces --output yaml | cloister check -f - --from-cluster`';

/**
 * The validating entries of a step that enforce a profile in other namespaces than before, by their names.
 * @returns the names of the entries
 */
export function findEnforcedByName(step: Step): readonly string[] {
  if (step.do !== 'update' || step.object.kind !== 'ValidatingWebhookConfiguration') return [];
  const before = new Map(entriesIn(step.live).map((entry) => [entry.name, conditionOf(entry)]));
  const written = (step.fields.webhooks ?? []) as readonly Entry[];
  return written
    .filter((entry) => entry.failurePolicy === 'Fail' && conditionOf(entry) !== undefined)
    .filter((entry) => !isDeepStrictEqual(before.get(entry.name), conditionOf(entry)))
    .map(({ name }) => name);
}

const conditionOf = ({ matchConditions }: Entry): unknown => matchConditions?.find(({ name }) => name === GOVERNED_BY_NAME);
