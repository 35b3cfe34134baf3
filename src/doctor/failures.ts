import { mayHaveFailed } from '../live/checks/pod.ts';
import { causeOf, type EventCause } from '../live/events.ts';
import type { Context } from './check.ts';
import type { FactValues } from './facts.ts';
import { type PodUnderProfile, podsUnderProfile } from './in-force.ts';

/** A pod that does not run or is not ready, with what an event says about it. */
export interface Failure extends PodUnderProfile {
  readonly cause: EventCause;
}

/** What the failing pods are read from. */
export const FAILURE_FACTS = ['governedPods', 'namespaces', 'events'] as const;

export function failuresOf(
  { governedPods, namespaces, events }: Pick<FactValues, (typeof FAILURE_FACTS)[number]>,
  context: Context,
): readonly Failure[] {
  const byPod = Map.groupBy(events, ({ uid }) => uid);
  return podsUnderProfile(governedPods, namespaces, context)
    .filter(({ pod }) => pod.uid !== undefined && mayHaveFailed(pod, context.now))
    .flatMap((each) => {
      // The newest one: events are newest first.
      const cause = (byPod.get(each.pod.uid) ?? []).map(causeOf).find((found) => found !== undefined);
      return cause === undefined ? [] : [{ ...each, cause }];
    });
}
