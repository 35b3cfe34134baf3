import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { ensureRoles, userRoles } from '../../src/manifests/rbac.ts';

/** test/api-server/ensure-rbac.test.ts tests on a real API server that these permissions suffice, and that each is needed. */

const service = { namespace: 'cloister-system', name: 'cloister' };
const print = (objects: readonly object[]): string =>
  objects.map((each) => stringify(each, { aliasDuplicateObjects: false, lineWidth: 0 })).join('---\n');

test('the roles are those of the golden file', async () => {
  await expect(print([...userRoles(), ...ensureRoles(service, 'ensure')])).toMatchFileSnapshot('../golden/manifests/rbac.yaml');
});

test('T72: every permission but that to list EndpointSlices, and the verb of the guard, names its objects, and none allows deletion or listing', () => {
  const rules = ensureRoles(service, 'ensure').flatMap(({ rules: found = [] }) => found as readonly Rule[]);
  expect(rules.filter(({ resourceNames }) => resourceNames === undefined)).toEqual([
    { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list'] },
    { apiGroups: ['cloister.dev'], resources: ['profiles'], verbs: ['manage'] },
  ]);
  const verbs = new Set(rules.filter(({ resourceNames }) => resourceNames !== undefined).flatMap((rule) => rule.verbs));
  expect([...verbs]).toEqual(['get', 'create', 'patch', 'update']);
});

interface Rule {
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

test('the roles allow no access to Secrets where another tool manages the certificates', () => {
  expect(print(ensureRoles(service, 'files'))).not.toContain('secrets');
});
