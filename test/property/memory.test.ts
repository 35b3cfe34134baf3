import fc from 'fast-check';
import { expect, test } from 'vitest';
import { apply } from '../../src/apply-patch.ts';
import { judge } from '../../src/core/judge.ts';
import { policyFor } from '../../src/core/policy.ts';
import { repair } from '../../src/core/repair.ts';
import { subjectOf } from '../../src/core/subject.ts';
import { type Answer, mutated } from '../../src/webhook/answer.ts';
import { makeMemory } from '../../src/webhook/memory.ts';
import { copyOf, hostilePod, NAMESPACE, NOW, offerOf, type Setting, setting } from '../support/hostile-pods.ts';
import { check } from '../support/properties.ts';

type Given = Parameters<typeof mutated>;

/** What a mutating entry has in hand once it has judged; undefined: the pod is none. */
function given(pod: unknown, chosen: Setting): readonly [Given[0], Given[1], Given[2]] | undefined {
  const subject = subjectOf(copyOf(pod), '', 'Pod');
  if (!subject.ok) return undefined;
  const offer = offerOf(chosen);
  const profile = offer.profiles.get('own');
  if (profile === undefined) throw new Error('the profile is missing');
  const policy = policyFor(profile, subject.value.pod, offer, true);
  const question = { subject: subject.value, old: undefined, policy, namespace: NAMESPACE, exemptions: offer.exemptions, now: NOW };
  const verdict = judge(question);
  return [verdict, repair(question, verdict, apply, true), policy];
}

test('a remembered answer says what a new one would', () => {
  const memory = makeMemory<Answer>({ entries: 1_000, size: Number.POSITIVE_INFINITY });
  let repeated = 0;
  check(0.1, fc.tuple(hostilePod, setting), ([pod, chosen]) => {
    const asked = given(pod, chosen);
    // What is left to validation is not kept.
    if (asked === undefined || asked[1].unresolved.length > 0) return;
    const fresh = mutated(...asked, (_hint, _data, make) => make());
    const remembered = mutated(...asked, memory);
    if (remembered !== mutated(...asked, memory)) throw new Error('it was not remembered');
    repeated += 1;
    expect(remembered).toEqual(fresh);
  });
  expect(repeated).toBeGreaterThan(0);
});

test('answers to changes that look alike are kept apart', () => {
  const memory = makeMemory<Answer>({ entries: 1_000, size: Number.POSITIVE_INFINITY });
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
  const patch = [{ op: 'remove', path: '/spec/a' }] as const;
  for (const policy of policies) {
    for (const each of variants) {
      for (const repaired of [[each], []]) {
        const asked = [{ findings: [each], exempted: [] }, { patch, repaired, unresolved: [] }, policy] as const;
        expect(mutated(...asked, memory).text).toBe(mutated(...asked, (_hint, _data, make) => make()).text);
      }
    }
  }
});
