import { describe, expect, test } from 'vitest';
import { judge } from '../../../src/core/judge.ts';
import { rules } from '../../../src/core/rules/index.ts';
import { warningsOf } from '../../../src/webhook/review/wording.ts';
import { hostilePod, refusedPod, talkativePod } from '../../support/pods.ts';
import { type Circumstances, inputOf, judgeAndRepair, type Sketch } from '../../support/test-rule.ts';

const CONTAINERS = { grant: 'containers' } as const;

function warningsAbout(pod: Sketch, circumstances: Circumstances = CONTAINERS): string[] {
  return warningsOf(judge(inputOf(pod, circumstances)).findings, 'userns');
}

const ordinary = (count: number, container: Sketch = {}): Sketch => ({
  containers: Array.from({ length: count }, (_, index) => ({ name: `c${index}`, image: 'dev', ...container })),
});

describe('the warnings about a pod that the repair makes fit', () => {
  test('a plain pod has one, which names the rules', () => {
    expect(warningsAbout(ordinary(1))).toEqual([
      'cloister userns: the repair sets or grants user-namespace, privilege-escalation, capability-grant, seccomp, proc-mount, image-storage ' +
        '(`cloister explain RULE` describes each)',
    ]);
  });

  test('a pod that loses something has two, and what is taken away comes first', () => {
    const pod = { hostNetwork: true, ...ordinary(2, { securityContext: { privileged: true } }) };
    expect(warningsAbout(pod, {})).toEqual([
      'cloister userns: the repair takes away host-namespaces (hostNetwork is true); privileged (privileged is true; set it to false; the container gets the grant ' +
        'sudo instead, and no container engine works under that grant) (containers c0, c1)',
      'cloister userns: the repair sets or grants user-namespace, privilege-escalation, seccomp (`cloister explain RULE` describes each)',
    ]);
  });

  test.each([1, 20, 100])('%i privileged containers have two, and privileged is named', (count) => {
    const warnings = warningsAbout(ordinary(count, { securityContext: { privileged: true } }));
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toContain('takes away privileged (privileged is true)');
    expect(warnings[0]?.length).toBeLessThan(150);
  });

  test('many things of one kind hide no other rule', () => {
    const ports = Array.from({ length: 200 }, (_, index) => ({ containerPort: 1000 + index, hostPort: 1000 + index }));
    const [taken = ''] = warningsAbout(ordinary(1, { ports, securityContext: { privileged: true, procMount: 'Odd' } }), {});
    expect(taken).toMatch(/takes away host-ports \(hostPort 1000 .*; privileged \(.*; proc-mount \(.*; and \d+ more \(host-ports\)$/);
  });

  test('an init container that loses NET_ADMIN has the loss and the exemption in the sentence', () => {
    const iptables = { name: 'istio-init', securityContext: { capabilities: { add: ['NET_ADMIN', 'NET_RAW'] } } };
    const [taken] = warningsAbout({ initContainers: [iptables], ...ordinary(1) });
    const lost = (each: string) =>
      `capabilities (capability ${each} is added, and this init container will probably fail without it; remove it, or ask the operator for an ` +
      `exemption (capabilities: [${each}])) (container istio-init)`;
    expect(taken).toBe(`cloister userns: the repair takes away ${lost('NET_ADMIN')}; ${lost('NET_RAW')}`);
  });
});

test('what only a person can change has a sentence of its own, the escapes first', () => {
  const pod = { nodeName: 'worker-1', ...ordinary(2, { image: 'docker:dind' }) };
  expect(warningsAbout(pod).slice(0, 2)).toEqual([
    'cloister userns: node-name: nodeName is worker-1; remove it; use nodeSelector or affinity to select nodes',
    'cloister userns: rootful-engine: the container starts dockerd as root, which will not work under this profile; use rootless Docker, which ' +
      'the workspace image has, or a profile of sysbox with the grant containers (containers c0, c1)',
  ]);
});

test('what no repair ends because the pod exists has a sentence of its own', () => {
  const { findings } = judge(inputOf(ordinary(1, { securityContext: { privileged: true } }), {}));
  expect(warningsOf(findings, 'userns', findings)).toContain(
    'cloister userns: privileged: privileged is true; set it to false; the container gets the grant sudo instead, and no container engine works under that grant (container c0)',
  );
});

test('the sentences about what is left are the same after the repair, so that the API server drops the second of each', () => {
  const input = inputOf(ordinary(3, { image: 'docker:dind', securityContext: { capabilities: { drop: ['CHOWN'] } } }), CONTAINERS);
  const { verdict, repair } = judgeAndRepair(input);
  const before = warningsOf(verdict.findings, 'userns');
  const after = warningsOf(judge({ ...input, subject: repair.subject }).findings, 'userns');
  expect(after.length).toBeGreaterThan(0);
  expect(before).toEqual(expect.arrayContaining(after));
});

describe.each([
  ['hostile', hostilePod],
  ['refused', refusedPod('x'.repeat(5_000))],
  ['refused with escaped text', refusedPod('\u0001'.repeat(5_000))],
  ['talkative', talkativePod('ä'.repeat(5_000))],
  ['wide', { ...hostilePod, containers: Array.from({ length: 60 }, () => (hostilePod.containers as readonly object[])[0]) }],
])('a %s pod', (_, pod) => {
  test.each([{ profile: 'userns' }, { profile: 'sysbox', grant: 'none' }, { profile: 'kata-qemu', grant: 'containers' }] as const)(
    'has warnings of at most 4,096 bytes under %o, and each rule whose finding is repaired is named',
    (circumstances) => {
      const { findings } = judge(inputOf(pod, circumstances));
      const warnings = warningsOf(findings, 'p'.repeat(63));
      expect(warnings.filter((each) => each.includes(': the repair ')).length).toBeLessThanOrEqual(2);
      expect(Buffer.byteLength(warnings.join(''))).toBeLessThanOrEqual(4_096);
      const repaired = new Set(findings.flatMap(({ rule, fix }) => (fix === undefined ? [] : [rule])));
      const text = warnings.filter((each) => each.includes(': the repair ')).join('\n');
      expect(rules.map(({ id }) => id).filter((id) => repaired.has(id) && !text.includes(id))).toEqual([]);
    },
  );
});
