import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NO_GOVERNANCE } from '../../src/core/governance.ts';
import { judge } from '../../src/core/judge.ts';
import { selectPolicy } from '../../src/core/policy.ts';
import { backendById } from '../../src/core/profiles/index.ts';
import { makeProfile, type ProfileOptions } from '../../src/core/profiles/profile.ts';
import { ruleById, rules } from '../../src/core/rules/index.ts';
import { subjectOf } from '../../src/core/subject.ts';
import { inTreeObjects, staticObjects } from '../../src/in-tree/mode.ts';
import { repairSpecOf } from '../../src/in-tree/repair.ts';
import { hostilePod } from '../support/hostile-pods.ts';

/** test/api-server/in-tree-repair.test.ts compares what the policies repair with what the webhook repairs. */

const NOW = new Date('2026-11-30T12:00:00Z');

function usernsWith(options: ProfileOptions) {
  const backend = backendById.get('userns');
  if (backend === undefined) throw new Error('userns');
  return makeProfile('userns', backend, options);
}
const configOf = (options: ProfileOptions) => ({
  profiles: new Map([['userns', usernsWith(options)]]),
  governance: NO_GOVERNANCE,
  exemptions: [],
});

test.each([
  { grant: 'none' },
  { grant: 'containers' },
  { grant: 'containers', appArmorProfile: 'cloister', seLinuxType: 'container_engine_t', serviceAccountToken: 'remove' },
] as const)('every rule that fixes a pod of userns with %j has its fixes in CEL', (options) => {
  const profile = usernsWith(options);
  const fixing = new Set<string>();
  for (const pod of fc.sample(hostilePod, { numRuns: 4_000, seed: 1 })) {
    const subject = subjectOf(pod, '', 'Pod');
    if (!subject.ok) continue;
    const policy = selectPolicy(profile, subject.value.pod, { profiles: new Map(), obeysProfileLabel: false });
    const { findings } = judge({ subject: subject.value, policy, namespace: 'team', exemptions: [], now: NOW });
    for (const { rule, fix } of findings) if (fix !== undefined) fixing.add(rule);
  }
  expect(fixing.size).toBeGreaterThan(15);
  expect([...fixing].filter((id) => ruleById.get(id)?.inTreeFixes === undefined)).toEqual([]);
});

test('the fixes of each rule change the policy', () => {
  const config = configOf({ grant: 'containers', seLinuxType: 'container_engine_t', serviceAccountToken: 'remove' });
  const profile = config.profiles.get('userns');
  if (profile === undefined) throw new Error('userns');
  const whole = JSON.stringify(repairSpecOf(profile, config));
  for (const rule of rules) {
    const rest = rules.filter((each) => each !== rule);
    const isSame = JSON.stringify(repairSpecOf(profile, config, rest)) === whole;
    expect(isSame, rule.id).toBe(rule.inTreeFixes === undefined);
  }
});

test('a configuration for which a webhook is needed is refused, with every reason', () => {
  const gvisor = backendById.get('gvisor');
  if (gvisor === undefined) throw new Error('gvisor');
  const config = {
    ...configOf({}),
    profiles: new Map([['gvisor', makeProfile('gvisor', gvisor, {})]]),
    governance: { byName: [{ namespaces: ['ws-*'], profiles: { enforce: 'gvisor', audit: 'gvisor' } }], otherwise: { warn: 'gvisor' } },
  };
  expect(inTreeObjects(config, NOW)).toEqual({
    ok: false,
    error: [
      'profiles.gvisor: is a profile of gvisor, whose pods only a webhook can repair: leave it out',
      'governs[0].audit: only a webhook can warn and audit: leave it out',
      'default.warn: only a webhook can warn and audit: leave it out',
    ],
  });
});

test('the objects for files are those of one kind, and every name and reference has the reserved ending', () => {
  const objects = inTreeObjects(configOf({}), NOW);
  if (!objects.ok) throw new Error(objects.error.join());
  for (const [kind, prefix] of [
    ['validating', 'ValidatingAdmissionPolicy'],
    ['mutating', 'MutatingAdmissionPolicy'],
  ] as const) {
    const found = staticObjects(objects.value, kind);
    const policies = new Set(found.filter((each) => each.kind === prefix).map(({ metadata }) => metadata.name));
    expect(policies.size).toBeGreaterThan(0);
    for (const { kind: each, metadata, spec } of found) {
      expect(metadata.name).toMatch(/\.static\.k8s\.io$/);
      expect([prefix, `${prefix}Binding`]).toContain(each);
      if (each !== prefix) expect(policies).toContain((spec as { readonly policyName: string }).policyName);
    }
  }
});
