import { explainDropped } from '../../core/dropped-fields.ts';
import { type JudgeInput, judge, type Verdict } from '../../core/judge.ts';
import { PROFILE_LABEL } from '../../core/labels.ts';
import { isMirror } from '../../core/mirror-pod.ts';
import { printPath } from '../../core/path.ts';
import { labelOf, type Pod } from '../../core/pod.ts';
import { findConsequence } from '../../core/pod-update.ts';
import { makePointerLookup, type PointerLookup } from '../../core/pointer.ts';
import { type Policy, type PolicyConfig, printConfigured, printUnknownProfile, selectPolicy } from '../../core/policy.ts';
import { type Apply, repair } from '../../core/repair.ts';
import type { Mode, RequestOutcome, RequestRecord } from '../../core/request-record.ts';
import { podSize } from '../../core/rules/pod-size.ts';
import type { Mismatch } from '../../core/shape.ts';
import { subjectOf } from '../../core/subject.ts';
import {
  ALLOWED,
  type Answer,
  answerAdvise,
  answerEnforce,
  answerMutate,
  answerUnjudged,
  answerUnknownProfile,
  answerWatch,
  printReview,
} from './answer.ts';
import { type AnswerCache, makeAnswerCache } from './answer-cache.ts';
import { type Review, readReview, readReviewWithoutManagedFields } from './review.ts';
import { makeRouteLookup, type Route } from './route.ts';

/** The response to one review, and the record of it. */
export interface ReviewResponse {
  readonly status: number;
  readonly body: string;
  /** Length of the body in UTF-8. */
  readonly bytes: number;
  readonly record: RequestRecord;
}

/** @param path of the URL, without a query */
export type Respond = (path: string, body: Uint8Array) => ReviewResponse;

export interface RespondOptions {
  readonly apply: Apply;
  readonly now: () => Date;
  /**
   * Whether a pod that a person must change is repaired as far as possible, so that policies of the API server, which answer before the validating
   * entries, list only what is to be changed. Absent: it is left as it is, and the denial lists what would be repaired, too.
   */
  readonly repairsInPart?: boolean;
  readonly cache?: AnswerCache<Answer>;
  readonly pointerOf?: PointerLookup;
}

/** The code of the only HTTP error that does not come from the transport. */
export const INVALID_REVIEW = 'CLOISTER_INVALID_REVIEW';

/** Workspaces are made from a few templates, so the same changes are made again and again. */
const CACHE_BOUNDS = { buckets: 32, maxChars: 16_384 };

/**
 * Requests for these subresources carry no pod, or only what the kubelet reports, so they cannot change isolation. The list names what is not
 * judged, so that a subresource of a later Kubernetes is judged.
 */
const WITHOUT_POD: ReadonlySet<string> = new Set(['attach', 'binding', 'eviction', 'exec', 'log', 'portforward', 'proxy', 'status']);

/**
 * Makes the function that answers reviews. Its answers depend on the review, the configuration and the clock alone; its caches belong to it.
 * @param config the configuration of the operator
 * @returns the function. It never throws, whatever the body is: an exception is a bug.
 */
export function makeRespond(
  config: PolicyConfig,
  { apply, now, repairsInPart = false, cache = makeAnswerCache(CACHE_BOUNDS), pointerOf = makePointerLookup() }: RespondOptions,
): Respond {
  const routeOf = makeRouteLookup();
  return (path, body) => {
    const route = routeOf(path);
    if (route === undefined) throw new Error(`not a path for reviews: ${path}`);
    const review = route.phase === 'mutate' ? readReviewWithoutManagedFields(body) : readReview(body);
    if (!review.ok) return respondInvalid(route, review.error.uid, review.error.problem);
    const decision = decide(route, review.value);
    return { status: 200, ...printReview(review.value.uid, decision.answer), record: toRecord(route, review.value, decision) };
  };

  function decide(route: Route, review: Review): Decision {
    const { operation, subresource, kind, group } = review;
    if (operation !== 'CREATE' && operation !== 'UPDATE') return { answer: ALLOWED };
    if (WITHOUT_POD.has(subresource)) return { answer: ALLOWED };
    const isPod = kind === 'Pod' && group === '';
    if (route.phase === 'unknown') return { answer: answerUnknown(route.mode, review) };

    const profile = config.profiles.get(route.profile);
    if (profile === undefined) return makeFailure(route, `${printUnknownProfile(route.profile)}; ${printConfigured(config.profiles)}`);
    if (isPod !== (route.phase !== 'advise')) return makeFailure(route, `kind ${kind} is not judged at this path`);
    const subject = subjectOf(review.object, group, kind);
    if (!subject.ok) return makeMismatchFailure(route, subject.error);
    const old = operation === 'UPDATE' && route.phase !== 'advise' ? subjectOf(review.oldObject, group, kind) : undefined;
    if (old?.ok === false) return makeMismatchFailure(route, old.error, 'the stored object: ');
    if (isMirror(subject.value.pod, review.requester)) return { answer: ALLOWED };

    const governing: Pod = (old?.value ?? subject.value).pod;
    const isEnforced = route.mode === 'enforce';
    const policy = selectPolicy(profile, governing, {
      profiles: config.profiles,
      obeysProfileLabel: isEnforced,
      checksAnnotation: isEnforced && route.phase === 'validate' && old === undefined,
    });
    const { namespace } = review;
    return judgeAndAnswer(route, review, {
      subject: subject.value,
      old: old?.value,
      policy,
      namespace,
      exemptions: config.exemptions,
      now: now(),
    });
  }

  /** An object that cannot be read is answered like a new pod. */
  function answerUnknown(mode: Mode, { operation, object, oldObject, group, kind, requester }: Review): Answer {
    const subject = subjectOf(object, group, kind);
    if (!subject.ok || kind !== 'Pod') return answerUnknownProfile(mode, config.profiles);
    const { pod } = subject.value;
    if (isMirror(pod, requester)) return ALLOWED;
    const old = operation === 'UPDATE' ? subjectOf(oldObject, group, kind) : undefined;
    const change = old?.ok ? findConsequence(pod, old.value.pod) : undefined;
    if (old?.ok && change === undefined) return ALLOWED;
    return answerUnknownProfile(mode, config.profiles, { label: labelOf(pod, PROFILE_LABEL), change });
  }

  function judgeAndAnswer({ phase, mode }: Route, review: Review, input: JudgeInput): Decision {
    const { policy } = input;
    const isCreate = review.operation === 'CREATE' && review.subresource === '';
    // In an update the API server accepts no repair but that of an added ephemeral container.
    const isMutable = isCreate || (review.operation === 'UPDATE' && review.subresource === 'ephemeralcontainers');
    if (phase === 'mutate' && !isMutable) return { answer: ALLOWED };

    const verdict = judge(input);
    const options = { apply, pointerOf, addsAnnotation: isCreate && phase !== 'advise' };
    if (phase === 'mutate') {
      const made = repair(input, verdict, { ...options, isPartial: repairsInPart });
      return { policy, verdict, answer: answerMutate(verdict, made, policy, cache) };
    }
    if (phase === 'advise') return { policy, verdict, answer: answerAdvise(mode, verdict, repair(input, verdict, options), policy) };
    if (mode !== 'enforce') return { policy, verdict, answer: answerWatch(mode, verdict, repair(input, verdict, options), policy) };
    // Before the repair, which may change the document.
    const explained = input.old === undefined ? { ...verdict, findings: explainDropped(verdict.findings, input) } : verdict;
    // A finding with a fix is left where the mutating entry did not patch the pod. The reason may be the size of the patch.
    const isUnpatched = isMutable && verdict.findings.some(({ fix }) => fix !== undefined);
    const unresolved = isUnpatched ? repair(input, verdict, options).unresolved : [];
    const excess = unresolved.filter((finding) => finding.rule === podSize.id && !verdict.findings.includes(finding));
    const enforced = excess.length > 0 ? { ...verdict, findings: excess } : explained;
    return { policy, verdict: enforced, answer: answerEnforce(enforced, policy, input.old === undefined ? 'create' : 'update') };
  }
}

interface Decision {
  readonly answer: Answer;
  readonly policy?: Policy;
  readonly verdict?: Verdict;
  readonly problem?: string;
}

/** @param logged the problem as it may be logged */
function makeFailure({ phase, mode }: Route, problem: string, logged = problem): Decision {
  return { answer: answerUnjudged(phase, mode, problem), problem: logged };
}

/** A path may contain keys that the author chose: the answer states them, the log does not. */
function makeMismatchFailure(route: Route, { path, expected }: Mismatch, prefix = ''): Decision {
  const must = `must be ${expected}`;
  return makeFailure(route, `${prefix}${printPath(path) || 'the object'} ${must}`, `${prefix}something in the object ${must}`);
}

function toRecord({ phase, mode, profile }: Route, review: Review, { answer, policy, verdict, problem }: Decision): RequestRecord {
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
    verdict: answer.verdict,
    counts: answer.counts,
    exempted: verdict?.exempted ?? [],
    problem,
  };
}

function outcomeOf({ allowed, patch }: Answer, problem: string | undefined): RequestOutcome {
  if (problem !== undefined) return 'failed';
  if (!allowed) return 'denied';
  return patch === undefined ? 'allowed' : 'patched';
}

/** With a uid the answer is an AdmissionReview; without one it can only be an HTTP status. */
function respondInvalid(route: Route, uid: string | undefined, problem: string): ReviewResponse {
  const record: RequestRecord = { ...route, outcome: 'failed', uid, counts: [], exempted: [], problem };
  if (uid !== undefined) return { status: 200, ...printReview(uid, answerUnjudged(route.phase, route.mode, problem)), record };
  const body = JSON.stringify({ code: INVALID_REVIEW, error: problem });
  return { status: 400, body, bytes: Buffer.byteLength(body), record };
}
