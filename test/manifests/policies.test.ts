import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { RUNTIME_ANNOTATIONS } from '../../src/core/rules/runtime-annotations.ts';
import { type Manifest, policies } from '../../src/manifests/policies.ts';

/** What the policies do, test/cluster/label-integrity.test.ts asks a real API server. */

const named = (name: string, kind = 'ValidatingAdmissionPolicy'): Manifest => {
  const found = policies().find((each) => each.kind === kind && each.metadata.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found;
};

test('the objects as a whole', async () => {
  const text = policies().map((each) => stringify(each, { aliasDuplicateObjects: false, lineWidth: 0 }));
  await expect(text.join('---\n')).toMatchFileSnapshot('../golden/manifests/policies.yaml');
});

test.each(['cloister-namespace-labels', 'cloister-pods'])('T04: %s fails closed, holds in every namespace, and has its binding', (name) => {
  const { spec } = named(name);
  expect(spec).toMatchObject({ failurePolicy: 'Fail' });
  expect(Object.keys((spec as { matchConstraints: object }).matchConstraints)).toEqual(['matchPolicy', 'resourceRules']);
  expect(named(name, 'ValidatingAdmissionPolicyBinding').spec).toEqual({ policyName: name, validationActions: ['Deny'] });
});

test('T03: every way to write a namespace’s metadata is matched', () => {
  expect(named('cloister-namespace-labels').spec).toMatchObject({
    matchConstraints: {
      resourceRules: [{ operations: ['CREATE', 'UPDATE'], resources: ['namespaces', 'namespaces/status', 'namespaces/finalize'] }],
    },
  });
});

test('T17: every runtime annotation that the rule knows is in the policy', () => {
  const { variables } = named('cloister-pods').spec as { variables: readonly { name: string; expression: string }[] };
  const orders = variables.find(({ name }) => name === 'orders')?.expression;
  const { names, prefixes, domains } = RUNTIME_ANNOTATIONS;
  for (const each of [...names, ...prefixes, ...domains]) expect(orders).toContain(`'${each}'`);
});

test('nothing in a list can end a CEL text early', () => {
  const { names, prefixes, domains } = RUNTIME_ANNOTATIONS;
  for (const each of [...names, ...prefixes, ...domains]) expect(each).toMatch(/^[-\w./]+$/);
});
