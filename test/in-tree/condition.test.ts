import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import { policySpecOf } from '../../src/in-tree/backstop.ts';
import { withoutVariables } from '../../src/in-tree/variable.ts';

/** The match condition with which the policy of a profile begins: API servers evaluate the rest only where it is true. */

const exemptions = (count: number, allow: object) =>
  Array.from({ length: count }, () => ({ reason: 'test', expires: '2100-01-01', namespaces: ['team-*'], serviceAccounts: ['*'], allow }));

function conditionOf(options: object): string | undefined {
  const text = stringify({ apiVersion: 'cloister.dev/v1alpha1', kind: 'Config', profiles: { userns: {} }, ...options });
  const config = parseConfig(text, 'condition');
  if (!config.ok) throw new Error(config.error.join('\n'));
  const [profile] = config.value.profiles.values();
  if (profile === undefined) throw new Error('no profile');
  return policySpecOf(profile, config.value).matchConditions.find(({ name }) => name === 'has-findings')?.expression;
}

test('it binds the variables that it uses, in their order, and names none as a variable', () => {
  const variables = [
    { name: 'spec', expression: 'object.spec' },
    { name: 'unused', expression: 'object.status' },
    { name: 'containers', expression: 'variables.spec.containers' },
  ];
  expect(withoutVariables('variables.containers.size() > 1', variables)).toBe(
    '[object.spec].exists(spec,\n[spec.containers].exists(containers,\ncontainers.size() > 1))',
  );
  expect(conditionOf({})?.replaceAll(/'(?:[^'\\]|\\.)*'/g, '')).not.toContain('variables');
});

test('T28: a value of the configuration stays as it is, also where it looks like a variable', () => {
  expect(withoutVariables("variables.path in ['/srv/variables.d', 'it\\'s variables.d']", [{ name: 'path', expression: 'object.p' }])).toBe(
    "[object.p].exists(path,\npath in ['/srv/variables.d', 'it\\'s variables.d'])",
  );
  const condition = conditionOf({ exemptions: exemptions(1, { 'volume-types': ['hostPath:/srv/variables.d'] }) });
  expect(condition).toContain("'hostPath:/srv/variables.d'");
  expect(condition).not.toContain('/srv/d');
});

test('it is left out where pods that the profile does not govern would have to pass it', () => {
  expect(conditionOf({ governs: [{ namespaces: ['team-*'], enforce: 'userns' }] })).toBeUndefined();
  expect(conditionOf({ default: { enforce: 'userns' } })).toBeUndefined();
  expect(conditionOf({ governs: [{ namespaces: ['team-*'], warn: 'userns' }] })).toBeDefined();
});

test('it is left out where it would be longer or deeper than API servers read', () => {
  const one = { capabilities: ['NET_ADMIN'] };
  expect(conditionOf({ exemptions: exemptions(25, one) })).toBeDefined();
  expect(conditionOf({ exemptions: exemptions(26, one) })).toBeUndefined();
  const many = { capabilities: Array.from({ length: 9_000 }, (_, index) => `MADE_UP_${index}`) };
  expect(conditionOf({ exemptions: exemptions(1, many) })).toBeUndefined();
});
