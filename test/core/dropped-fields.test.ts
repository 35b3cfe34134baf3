import { describe, expect, test } from 'vitest';
import { explainDropped } from '../../src/core/dropped-fields.ts';
import { type JudgeInput, judge } from '../../src/core/judge.ts';
import { subjectOf } from '../../src/core/subject.ts';
import { type Circumstances, inputOf, type Sketch } from '../support/test-rule.ts';

/** A new pod as its validating entry sees it. test/api-server/feature-gates.test.ts has API servers that drop the fields. */

interface Seen {
  readonly spec: Sketch;
  /** The value of `profile-applied`. */
  readonly applied?: string;
  /** The fields of the spec that `managedFields` show. */
  readonly sent?: readonly string[];
}

function inputFor({ spec, applied, sent }: Seen, circumstances: Circumstances): JudgeInput {
  const input = inputOf(spec, circumstances);
  const fieldsV1 = { 'f:spec': Object.fromEntries((sent ?? []).map((field) => [`f:${field}`, {}])) };
  const metadata = {
    name: 'pod',
    ...(applied !== undefined && { annotations: { 'cloister.dev/profile-applied': applied } }),
    ...(sent !== undefined && { managedFields: [{ manager: 'kubectl', operation: 'Update', fieldsV1 }] }),
  };
  const subject = subjectOf({ ...input.subject.document, metadata }, '', 'Pod');
  if (!subject.ok) throw new Error(JSON.stringify(subject.error));
  return { ...input, subject: subject.value };
}

function explained(seen: Seen, circumstances: Circumstances = {}): readonly string[] {
  const input = inputFor(seen, circumstances);
  return explainDropped(judge(input).findings, input)
    .filter(({ message }) => /missing now|Default now/.test(message))
    .map(
      ({ rule, kind, fix, message }) =>
        `${rule} ${kind} ${fix === undefined ? 'no fix' : 'fix'}: ${/feature gate \w+|another webhook removed it, because/.exec(message)?.[0]}`,
    );
}

const GATE = 'user-namespace escape no fix: feature gate UserNamespacesSupport';

describe('hostUsers', () => {
  const cases: readonly (readonly [string, Seen, readonly string[]])[] = [
    ['after the repair', { spec: {}, applied: 'userns/sudo' }, [GATE]],
    ['after its author sent it', { spec: {}, sent: ['hostUsers'] }, [GATE]],
    ['that nothing set', { spec: {} }, []],
    ['that was not sent with other fields', { spec: {}, sent: ['containers'] }, []],
    ['after the repair by another policy', { spec: {}, applied: 'userns/containers' }, []],
    ['that another webhook set to true', { spec: { hostUsers: true }, applied: 'userns/sudo' }, []],
    ['that is there', { spec: { hostUsers: false }, applied: 'userns/sudo' }, []],
  ];
  test.each(cases)('the finding names the gate, or not: hostUsers %s', (_, seen, expected) => expect(explained(seen)).toEqual(expected));

  test('a forged annotation changes the words of a denial, and does not admit the pod', () => {
    const input = inputFor({ spec: {}, applied: 'userns/sudo' }, {});
    const { findings } = judge(input);
    const kindsOf = (each: readonly { readonly rule: string; readonly kind: string }[]) => each.map(({ rule, kind }) => `${rule} ${kind}`);
    expect(kindsOf(explainDropped(findings, input))).toEqual(kindsOf(findings));
  });
});

test('runtimeClassName, which the API server never drops: another webhook removed it', () => {
  expect(explained({ spec: {}, applied: 'gvisor/sudo' }, { profile: 'gvisor' })).toEqual([
    'runtime-class escape no fix: another webhook removed it, because',
  ]);
});

describe('procMount', () => {
  const containers = (procMount?: string): Sketch => ({
    hostUsers: false,
    containers: [{ name: 'main', securityContext: { ...(procMount !== undefined && { procMount }) } }],
  });
  const GRANTED = { options: { grant: 'containers' } } as const;
  const cases: readonly (readonly [string, Seen, readonly string[]])[] = [
    [
      'after the repair',
      { spec: containers('Default'), applied: 'userns/containers' },
      ['proc-mount promise no fix: feature gate ProcMountType'],
    ],
    ['before the repair', { spec: containers('Default') }, []],
    ['that is absent, which no API server makes of it', { spec: containers(), applied: 'userns/containers' }, []],
    ['that is kept', { spec: containers('Unmasked'), applied: 'userns/containers' }, []],
  ];
  test.each(cases)('the promise names the gate, or not: procMount %s', (_, seen, expected) =>
    expect(explained(seen, GRANTED)).toEqual(expected),
  );
});

describe('resourceClaims', () => {
  const CLAIMS = 'no fix: feature gate DynamicResourceAllocation';
  const cases: readonly (readonly [string, Seen, readonly string[]])[] = [
    ['of a pod that was left to its author', { spec: {}, sent: ['resourceClaims'] }, [`resource-claims escape ${CLAIMS}`]],
    [
      'of a pod that was repaired',
      { spec: { hostUsers: false }, sent: ['resourceClaims'], applied: 'userns/sudo' },
      [`resource-claims promise ${CLAIMS}`],
    ],
    ['that are there', { spec: { resourceClaims: [{ name: 'gpu' }] }, sent: ['resourceClaims'] }, []],
    ['that were not sent', { spec: {}, sent: ['containers'] }, []],
  ];
  test.each(cases)('the finding names the gate, or not: claims %s', (_, seen, expected) => expect(explained(seen)).toEqual(expected));
});
