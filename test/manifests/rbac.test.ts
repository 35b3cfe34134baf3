import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { ensureRoles, labelerRole } from '../../src/manifests/rbac.ts';

/** That these rights are enough, and none too many, test/cluster/ensure-rbac.test.ts asks a real API server. */

const service = { namespace: 'cloister-system', name: 'cloister' };
const print = (objects: readonly object[]): string =>
  objects.map((each) => stringify(each, { aliasDuplicateObjects: false, lineWidth: 0 })).join('---\n');

test('the roles as a whole', async () => {
  await expect(print([labelerRole(), ...ensureRoles(service, 'ensure')])).toMatchFileSnapshot('../golden/manifests/rbac.yaml');
});

test('T72: every right but that to find the serving pods is for objects by name, and none is to delete or to list', () => {
  const rules = ensureRoles(service, 'ensure').flatMap(({ rules: found = [] }) => found as readonly Rule[]);
  expect(rules.filter(({ resourceNames }) => resourceNames === undefined)).toEqual([
    { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list'] },
  ]);
  const verbs = new Set(rules.filter(({ resourceNames }) => resourceNames !== undefined).flatMap((rule) => rule.verbs));
  expect([...verbs]).toEqual(['get', 'create', 'patch', 'update']);
});

interface Rule {
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

test('where somebody else keeps the certificates, no Secret can be read', () => {
  expect(print(ensureRoles(service, 'files'))).not.toContain('secrets');
});
