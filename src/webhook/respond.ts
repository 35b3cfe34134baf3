import { judge, type Question, type Verdict } from '../core/judge.ts';
import { PROFILE_LABEL } from '../core/labels.ts';
import { isMirror } from '../core/mirror.ts';
import { printPath } from '../core/path.ts';
import { labelOf, type Pod } from '../core/pod.ts';
import { type Offer, type Policy, policyFor } from '../core/policy.ts';
import { type Apply, type Repair, repair } from '../core/repair.ts';
import { type Malformed, subjectOf } from '../core/subject.ts';
import { ALLOWED, type Answer, advised, enforced, mutated, onTheWire, unjudged, unknownProfile, watched } from './answer.ts';
import type { Record } from './record.ts';
import { type Review, readReview } from './review.ts';
import { type Route, routeOf } from './route.ts';

/** One answered request: what goes on the wire, and what is told about it. */
export interface Response {
  readonly status: number;
  readonly body: string;
  /** Of the body, in UTF-8. */
  readonly bytes: number;
  readonly record: Record;
}

/** @param path of the URL, without a query */
export type Respond = (path: string, body: Uint8Array) => Response;

/** Requests for these carry no pod, or only what the kubelet reports: no wall can change by them. */
const WITHOUT_POD: ReadonlySet<string> = new Set(['attach', 'binding', 'eviction', 'exec', 'log', 'portforward', 'proxy', 'status']);

/**
 * Makes the function that answers reviews.
 * @param offer the configuration
 * @returns a pure function but for the clock: it never throws for a body of whatever kind; a throw is a bug
 */
export function makeRespond(offer: Offer, { apply, now }: { readonly apply: Apply; readonly now: () => Date }): Respond {
  return (path, body) => {
    const route = routeOf(path);
    if (route === undefined) throw new Error(`no review path: ${path}`);
    const review = readReview(body, route.phase === 'mutate');
    if (!review.ok) return unreadable(route, review.error.uid, review.error.problem);
    const decision = decide(route, review.value);
    return { status: 200, ...onTheWire(review.value.uid, decision.answer), record: recordOf(route, review.value, decision) };
  };

  function decide(route: Route, review: Review): Decision {
    const { operation, subresource, kind, group } = review;
    if (operation !== 'CREATE' && operation !== 'UPDATE') return { answer: ALLOWED };
    if (WITHOUT_POD.has(subresource)) return { answer: ALLOWED };
    const isPod = kind === 'Pod' && group === '';
    if (route.phase === 'unknown') {
      const pod = subjectOf(review.object, group, kind);
      if (isPod && pod.ok && isMirror(pod.value.pod, review.requester)) return { answer: ALLOWED };
      const asked = pod.ok ? labelOf(pod.value.pod, PROFILE_LABEL) : undefined;
      return { answer: unknownProfile(route.mode, asked, [...offer.profiles.keys()]) };
    }

    const profile = offer.profiles.get(route.profile);
    if (profile === undefined)
      return failed(route, `profile "${route.profile}" is not configured; configured are: ${[...offer.profiles.keys()].join(', ')}`);
    if (isPod !== (route.phase !== 'advise')) return failed(route, `kind ${kind} does not belong here`);
    const subject = subjectOf(review.object, group, kind);
    if (!subject.ok) return unfit(route, subject.error);
    const old = operation === 'UPDATE' && route.phase !== 'advise' ? subjectOf(review.oldObject, group, kind) : undefined;
    if (old?.ok === false) return unfit(route, old.error, 'the object as it was: ');
    if (isMirror(subject.value.pod, review.requester)) return { answer: ALLOWED };

    const governing: Pod = (old?.value ?? subject.value).pod;
    const policy = policyFor(profile, governing, offer, route.mode === 'enforce');
    const { namespace } = review;
    return answerTo(route, review, {
      subject: subject.value,
      old: old?.value,
      policy,
      namespace,
      exemptions: offer.exemptions,
      now: now(),
    });
  }

  function answerTo({ phase, mode }: Route, review: Review, question: Question): Decision {
    const { policy } = question;
    const isCreate = review.operation === 'CREATE' && review.subresource === '';
    // On an update the API server takes nothing but added ephemeral containers.
    const isMutable = isCreate || (review.operation === 'UPDATE' && review.subresource === 'ephemeralcontainers');
    if (phase === 'mutate' && !isMutable) return { answer: ALLOWED };

    const verdict = judge(question);
    if (phase === 'mutate') return { policy, verdict, answer: mutated(verdict, repaired(isCreate), policy) };
    if (phase === 'advise') return { policy, verdict, answer: advised(mode, verdict, repaired(false), policy) };
    if (mode === 'enforce') return { policy, verdict, answer: enforced(verdict, policy, question.old !== undefined) };
    return { policy, verdict, answer: watched(mode, verdict, repaired(isCreate), policy) };

    function repaired(stamp: boolean): Repair {
      return repair(question, verdict, apply, stamp);
    }
  }
}

interface Decision {
  readonly answer: Answer;
  readonly policy?: Policy;
  readonly verdict?: Verdict;
  readonly problem?: string;
}

/** @param told for the log */
function failed({ phase, mode }: Route, problem: string, told = problem): Decision {
  return { answer: unjudged(phase, mode, problem), problem: told };
}

/** A path may lead through keys that an author chose: they are for the author, not for the log. */
function unfit(route: Route, { path, expected }: Malformed, before = ''): Decision {
  const must = `must be ${expected}`;
  return failed(route, `${before}${printPath(path) || 'the object'} ${must}`, `${before}something in the object ${must}`);
}

function recordOf({ phase, mode, profile }: Route, review: Review, { answer, policy, verdict, problem }: Decision): Record {
  const { uid, operation, kind, subresource, namespace, name, dryRun } = review;
  return {
    phase,
    mode,
    profile: policy?.profile.id ?? profile,
    outcome: outcomeOf(answer, problem),
    uid,
    operation,
    kind,
    subresource,
    namespace,
    name,
    dryRun,
    grant: policy?.grant,
    verdict: answer.outlook,
    counts: answer.counts,
    exempted: verdict?.exempted ?? [],
    problem,
  };
}

function outcomeOf({ allowed, patch }: Answer, problem: string | undefined): Record['outcome'] {
  if (problem !== undefined) return 'failed';
  if (!allowed) return 'denied';
  return patch === undefined ? 'allowed' : 'patched';
}

/** With a uid the API server can be told in its own terms; without one a status code is all there is. */
function unreadable(route: Route, uid: string | undefined, problem: string): Response {
  const record: Record = { ...route, outcome: 'failed', uid, counts: [], exempted: [], problem };
  if (uid !== undefined) return { status: 200, ...onTheWire(uid, unjudged(route.phase, route.mode, problem)), record };
  const body = JSON.stringify({ error: problem });
  return { status: 400, body, bytes: Buffer.byteLength(body), record };
}
