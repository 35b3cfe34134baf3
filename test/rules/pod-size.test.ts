import { expect, test } from 'vitest';
import { judge } from '../../src/core/judge.ts';
import { podSize } from '../../src/core/rules/pod-size.ts';
import { inputOf, judgeAndRepair, type Sketch, testRule } from '../support/test-rule.ts';

const many = (count: number): Sketch => ({ containers: Array.from({ length: count }, (_, index) => ({ name: `c${index}` })) });
const escalating = (count: number): Sketch => ({
  containers: Array.from({ length: count }, (_, index) => ({ name: `c${index}`, securityContext: { allowPrivilegeEscalation: true } })),
});
const confined: Sketch = { hostUsers: false, securityContext: { seccompProfile: { type: 'RuntimeDefault' } } };
const faulty = (count: number): Sketch => ({
  tolerations: Array.from({ length: count }, (_, index) => ({ operator: 'Exists', effect: `${index}` })),
});

testRule(podSize, {
  passes: {
    'a handful of containers': many(5),
    'a thousand containers': { profile: 'userns', grant: 'sudo', pod: { ...confined, ...escalating(1_000) } },
  },
  fails: {
    'more containers than a thousand': {
      profile: 'userns',
      grant: 'sudo',
      pod: { ...confined, ...escalating(1_001) },
      finds: ['spec.containers'],
      fixed: 'nothing',
    },
    'more escapes than a thousand': { pod: faulty(1_200), finds: ['spec.containers'], fixed: 'nothing' },
  },
});

test('T22, T32: only the first thousand findings are reported, and the pod is not repaired', () => {
  const { verdict, repair } = judgeAndRepair(inputOf(faulty(5_000)));
  expect(verdict.findings).toHaveLength(1_001);
  expect(repair.unresolved.map(({ rule, message }) => `${rule}: ${message}`)).toEqual(['pod-size: the pod has more than 1000 escapes']);
});

test.each([112, 180])(
  '%i plain containers are repaired under the largest grant, because a grant that has no effect yet is no escape',
  (count) => {
    const { verdict, repair } = judgeAndRepair(inputOf(many(count), { grant: 'containers' }));
    expect(verdict.findings.filter(({ kind }) => kind === 'promise').length).toBeGreaterThan(5 * count - 1);
    expect(repair.unresolved).toEqual([]);
    expect(repair.patch.length).toBeGreaterThan(count);
  },
);

test('plain containers whose repair is too long are refused for its size', () => {
  const { verdict, repair } = judgeAndRepair(inputOf(many(420), { grant: 'containers' }));
  expect(verdict.findings.map(({ rule }) => rule)).not.toContain('pod-size');
  expect(repair.unresolved.map(({ message }) => message)).toEqual(['the repair of the pod has more than 144 KiB']);
});

test('T22: a hundred thousand unknown fields are refused without naming each', () => {
  const fields = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`future${index}`, true]));
  const { findings } = judge(inputOf({ ...fields, containers: [{ name: 'main' }] }));
  expect(findings.length).toBeLessThan(3_010);
  expect(findings.at(-1)?.message).toBe(
    'the pod has more than 3000 findings about its grant and unknown fields, or these findings are too long',
  );
});

test('T22: a name longer than any is refused, and no finding repeats it', () => {
  const name = 'ж'.repeat(100_000);
  const securityContext = { capabilities: { add: Array.from({ length: 900 }, () => 'SYS_ADMIN') } };
  const { findings } = judge(inputOf({ containers: [{ name, securityContext }] }));
  expect(findings.length).toBeGreaterThan(900);
  expect(findings).toContainEqual(
    expect.objectContaining({
      rule: 'pod-size',
      path: ['spec', 'containers', 0, 'name'],
      container: name.slice(0, 253),
      message: "the container's name has 100000 characters",
    }),
  );
  expect(JSON.stringify(findings).length).toBeLessThan(1_000_000);
});

test('T22: escapes of too much text are refused for their text, also if they are as many as there may be', () => {
  const resources = { limits: { [`example.com/${'x'.repeat(130 * 1024)}`]: 1 } };
  const messageBehind = (count: number): string | undefined => {
    const { containers } = escalating(1) as { readonly containers: readonly Sketch[] };
    const pod = { ...confined, ...faulty(count), containers: containers.map((each) => ({ ...each, resources })) };
    return judge(inputOf(pod)).findings.at(-1)?.message;
  };
  expect(judge(inputOf({ ...confined, ...faulty(999), ...escalating(1) })).findings).toHaveLength(999);
  expect(messageBehind(1)).toBe('the escapes of the pod have more than 128 Ki characters');
  expect(messageBehind(999)).toBe('the escapes of the pod have more than 128 Ki characters');
  expect(messageBehind(1_000)).toBe('the pod has more than 1000 escapes');
});

test('an old pod of too many faults hides no new one among them', () => {
  const old = inputOf(faulty(2_000)).subject;
  const findings = judge({ ...inputOf({ ...faulty(2_000), hostPID: true }), old }).findings;
  expect(findings.map(({ rule }) => rule)).toContain('pod-size');
});

test('T22: a million capabilities are refused without naming each', () => {
  const securityContext = { capabilities: { add: Array.from({ length: 500_000 }, () => 'A') } };
  const { findings } = judge(inputOf({ containers: [{ name: 'main', securityContext }] }));
  expect(findings.filter(({ kind }) => kind === 'escape')).toHaveLength(1_001);
});
