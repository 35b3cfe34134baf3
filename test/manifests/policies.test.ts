import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { RUNTIME_ANNOTATIONS } from '../../src/core/known-names.ts';
import { type Manifest, policies } from '../../src/manifests/policies.ts';

/** test/api-server/label-integrity.test.ts tests the policies on a real API server. */

const named = (name: string, kind = 'ValidatingAdmissionPolicy'): Manifest => {
  const found = policies().find((each) => each.kind === kind && each.metadata.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found;
};

test('the policies are those of the golden file', async () => {
  const text = policies().map((each) => stringify(each, { aliasDuplicateObjects: false, lineWidth: 0 }));
  await expect(text.join('---\n')).toMatchFileSnapshot('../golden/manifests/policies.yaml');
});

test.each(['cloister-namespace-labels', 'cloister-pods'])(
  'T04: the policy %s fails closed, applies to every namespace, and has a binding',
  (name) => {
    const { spec } = named(name);
    expect(spec).toMatchObject({ failurePolicy: 'Fail' });
    expect(Object.keys((spec as { matchConstraints: object }).matchConstraints)).toEqual(['matchPolicy', 'resourceRules']);
    expect(named(name, 'ValidatingAdmissionPolicyBinding').spec).toEqual({ policyName: name, validationActions: ['Deny'] });
  },
);

test('T03: the policy matches every request that can write the metadata of a namespace', () => {
  expect(named('cloister-namespace-labels').spec).toMatchObject({
    matchConstraints: {
      resourceRules: [{ operations: ['CREATE', 'UPDATE'], resources: ['namespaces', 'namespaces/status', 'namespaces/finalize'] }],
    },
  });
});

test('T17: the policy has every runtime annotation of the rule', () => {
  const { variables } = named('cloister-pods').spec as { variables: readonly { name: string; expression: string }[] };
  const instructions = variables.find(({ name }) => name === 'instructions')?.expression;
  const { names, prefixes, domains } = RUNTIME_ANNOTATIONS;
  for (const each of [...names, ...prefixes, ...domains]) expect(instructions).toContain(`'${each}'`);
});

test('no entry of a list can end a CEL string early', () => {
  const { names, prefixes, domains } = RUNTIME_ANNOTATIONS;
  for (const each of [...names, ...prefixes, ...domains]) expect(each).toMatch(/^[-\w./]+$/);
});
