import fc from 'fast-check';
import { expect, test } from 'vitest';
import { apply } from '../../src/apply-patch.ts';
import { judge } from '../../src/core/judge.ts';
import { selectPolicy } from '../../src/core/policy.ts';
import { repair } from '../../src/core/repair.ts';
import { subjectOf } from '../../src/core/subject.ts';
import { type Answer, answerMutate } from '../../src/webhook/review/answer.ts';
import { makeAnswerCache } from '../../src/webhook/review/answer-cache.ts';
import { configOf, copyOf, hostilePod, NAMESPACE, NOW, type Setting, setting } from '../support/hostile-pods.ts';
import { check } from '../support/properties.ts';

type Given = Parameters<typeof answerMutate>;

/** The arguments with which a mutating entry answers; undefined: the document is no pod. */
function given(pod: unknown, chosen: Setting): readonly [Given[0], Given[1], Given[2]] | undefined {
  const subject = subjectOf(copyOf(pod), '', 'Pod');
  if (!subject.ok) return undefined;
  const config = configOf(chosen);
  const profile = config.profiles.get('own');
  if (profile === undefined) throw new Error('the profile is missing');
  const policy = selectPolicy(profile, subject.value.pod, { profiles: config.profiles, obeysProfileLabel: true });
  const input = { subject: subject.value, old: undefined, policy, namespace: NAMESPACE, exemptions: config.exemptions, now: NOW };
  const verdict = judge(input);
  return [verdict, repair(input, verdict, { apply, addsAnnotation: true }), policy];
}

test('a cached answer equals a new one', () => {
  const cache = makeAnswerCache<Answer>({ buckets: 1_000, maxChars: Number.POSITIVE_INFINITY });
  let repeated = 0;
  check(0.1, fc.tuple(hostilePod, setting), ([pod, chosen]) => {
    const asked = given(pod, chosen);
    // An answer that leaves the pod to validation is not cached.
    if (asked === undefined || asked[1].unresolved.length > 0) return;
    const fresh = answerMutate(...asked, (_bucket, _data, make) => make());
    const cached = answerMutate(...asked, cache);
    if (cached !== answerMutate(...asked, cache)) throw new Error('the answer was not cached');
    repeated += 1;
    expect(cached).toEqual(fresh);
  });
  expect(repeated).toBeGreaterThan(0);
});

test('answers to similar changes are kept apart', () => {
  const cache = makeAnswerCache<Answer>({ buckets: 1_000, maxChars: Number.POSITIVE_INFINITY });
  const finding = { rule: 'a', kind: 'escape', path: ['spec', 'a'], message: 'm', fix: { remove: true } } as const;
  const policies = ['userns', 'gvisor'].map((id) => ({ profile: { id } }) as Given[2]);
  const variants = [
    finding,
    { ...finding, rule: 'b' },
    { ...finding, kind: 'promise' as const },
    { ...finding, path: ['spec', 'b'] },
    { ...finding, message: 'n' },
    { ...finding, remedy: 'r' },
    { ...finding, fix: { set: 1 } },
    { ...finding, container: 'c' },
    { ...finding, container: 'undefined' },
  ];
  const patches = ['/spec/a', '/spec/b'].map((path) => [{ op: 'remove', path }] as const);
  for (const policy of policies) {
    for (const each of variants) {
      for (const repaired of [[each], []]) {
        for (const patch of patches) {
          const asked = [
            { findings: [each], exempted: [] },
            { patch, patchText: JSON.stringify(patch), repaired, unresolved: [] },
            policy,
          ] as const;
          expect(answerMutate(...asked, cache).text).toBe(answerMutate(...asked, (_bucket, _data, make) => make()).text);
        }
      }
    }
  }
});
