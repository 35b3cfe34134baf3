import fc from 'fast-check';
import jsonPatch, { type Operation } from 'fast-json-patch';
import { expect, test } from 'vitest';
import { applyToCopy } from '../../src/apply-patch.ts';
import { type JudgeInput, judge } from '../../src/core/judge.ts';
import { pointerOf } from '../../src/core/pointer.ts';
import { selectPolicy } from '../../src/core/policy.ts';
import { type Repair, repair } from '../../src/core/repair.ts';
import type { Finding } from '../../src/core/rules/rule.ts';
import { subjectOf } from '../../src/core/subject.ts';
import { gainsOf } from '../support/gains.ts';
import { configOf, copyOf, type Doc, hostilePod, NAMESPACE, NOW, type Setting, setting } from '../support/hostile-pods.ts';
import { check } from '../support/properties.ts';
import { applyPatch } from '../support/rfc6902.ts';

const cases = fc.tuple(hostilePod, setting);

test('T61: judging changes no pod, and gives the same verdict twice', () => {
  check(0.05, cases, ([pod, given]) => {
    const input = questionOf(deepFreeze(copyOf(pod)), given);
    expect(judge(input)).toEqual(judge(input));
    expect(input.subject.document).toEqual(pod);
  });
});

test('T32: a patch fits its pod, and two independent libraries give the same result', () => {
  check(0.08, cases, ([pod, given]) => {
    const document = deepFreeze(copyOf(pod));
    const { patch, subject } = repaired(document, given);
    const theirs = jsonPatch.applyPatch(copyOf(pod), copyOf(patch) as Operation[], true).newDocument;
    expect(applyPatch(pod, patch)).toEqual(theirs);
    expect(subject.document).toEqual(theirs);
    expect(document).toEqual(pod);
  });
});

test('T33: a second repair changes nothing, and finds nothing to fix', () => {
  check(0.08, cases, ([pod, given]) => {
    const first = repaired(copyOf(pod), given);
    if (first.unresolved.length > 0) return;
    const document = first.subject.document as Doc;
    const { findings } = judge(questionOf(document, given));
    expect(findings.filter(({ fix, kind }) => fix !== undefined || kind === 'escape')).toEqual([]);
    expect(repaired(document, given).patch).toEqual([]);
  });
});

test('T45: a patch changes only the paths of its findings', () => {
  check(0.06, cases, ([pod, given]) => {
    const { patch, repaired: findings } = repaired(copyOf(pod), given);
    const named = findings.flatMap(({ path, also = [] }) => [path, ...also.map((each) => each.path)].map((each) => pointerOf(each)));
    named.push('/metadata/annotations/cloister.dev~1profile-applied');
    const changed = changesBetween(pod, applyPatch(pod, patch));
    expect(changed.filter((path) => !named.some((each) => within(path, each)))).toEqual([]);
  });
});

test('T30: a patch adds no privilege that the grant does not list', () => {
  check(0.08, cases, ([pod, given]) => {
    const { patch } = repaired(copyOf(pod), given);
    expect(gainsOf(pod, applyPatch(pod, patch) as Doc, pod, given)).toEqual([]);
  });
});

function questionOf(document: Doc, given: Setting): JudgeInput {
  const config = configOf(given);
  const subject = subjectOf(document, '', 'Pod');
  const own = config.profiles.get('own');
  if (!subject.ok || own === undefined) throw new Error(`no pod: ${JSON.stringify(subject)}`);
  const policy = selectPolicy(own, subject.value.pod, { profiles: config.profiles, obeysProfileLabel: true });
  return { subject: subject.value, policy, namespace: NAMESPACE, exemptions: config.exemptions, now: NOW };
}

function repaired(document: Doc, given: Setting): Repair & { readonly findings: readonly Finding[] } {
  const input = questionOf(document, given);
  const verdict = judge(input);
  return { findings: verdict.findings, ...repair(input, verdict, { apply: applyToCopy, addsAnnotation: true }) };
}

/** JSON pointers of what differs. A list whose length changed counts as one change. */
function changesBetween(before: unknown, after: unknown, at = ''): string[] {
  if (isPlain(before) && isPlain(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) => changesBetween(before[key], after[key], `${at}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`));
  }
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
    return before.flatMap((each, index) => changesBetween(each, after[index], `${at}/${index}`));
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [at];
}

const isPlain = (value: unknown): value is Doc => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether a change is at the path of a finding, below it, or at a missing parent of it. */
const within = (path: string, named: string): boolean => `${path}/`.startsWith(`${named}/`) || `${named}/`.startsWith(`${path}/`);

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const each of Object.values(value)) deepFreeze(each);
  }
  return value;
}
