import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import { policiesBesideWebhook } from '../../src/in-tree/beside.ts';
import { ensureRoles, userRoles } from '../../src/manifests/rbac.ts';

/** test/api-server/ensure-rbac.test.ts tests on a real API server that these permissions suffice, and that each is needed. */

const service = { namespace: 'cloister-system', name: 'cloister' };
const config = parseConfig(
  'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {userns: {mayChoose: [gvisor]}, gvisor: {}}\n',
  'config.yaml',
);
if (!config.ok) throw new Error(config.error.join());
const POLICIES = policiesBesideWebhook(config.value, { service });
const print = (objects: readonly object[]): string =>
  objects.map((each) => stringify(each, { aliasDuplicateObjects: false, lineWidth: 0 })).join('---\n');

test('the roles are those of the golden file', async () => {
  await expect(print([...userRoles(), ...ensureRoles(service, 'ensure', POLICIES)])).toMatchFileSnapshot('../golden/manifests/rbac.yaml');
});

test('T72: every permission but those to list EndpointSlices and bindings, and the verb of the guard, names its objects, and only bindings of profiles may be deleted', () => {
  const rules = ensureRoles(service, 'ensure', POLICIES).flatMap(({ rules: found = [] }) => found as readonly Rule[]);
  expect(rules.filter(({ resourceNames }) => resourceNames === undefined)).toEqual([
    { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list'] },
    { apiGroups: ['admissionregistration.k8s.io'], resources: ['validatingadmissionpolicybindings'], verbs: ['list'] },
    { apiGroups: ['cloister.dev'], resources: ['profiles'], verbs: ['manage'] },
  ]);
  const named = rules.filter(({ resourceNames }) => resourceNames !== undefined);
  expect([...new Set(named.flatMap((rule) => rule.verbs))]).toEqual(['get', 'create', 'patch', 'update', 'delete']);
  for (const { resources, resourceNames } of named.filter((rule) => rule.verbs.includes('delete'))) {
    expect(resources).toEqual(['validatingadmissionpolicybindings']);
    for (const name of resourceNames ?? []) expect(name).toMatch(/^cloister-(profile-(userns|gvisor)-|unknown-profile-|missing-policy)/);
  }
});

test('a configuration without these policies gives no right to delete', () => {
  const withoutBackstop = policiesBesideWebhook({ ...config.value, backstop: false }, { service });
  expect(print(ensureRoles(service, 'ensure', withoutBackstop))).not.toContain('- delete');
});

interface Rule {
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

test('the roles allow no access to Secrets where another tool manages the certificates', () => {
  expect(print(ensureRoles(service, 'files', POLICIES))).not.toContain('secrets');
});
