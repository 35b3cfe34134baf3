import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultConfig } from '../../src/config/parse.ts';
import { policiesBesideWebhook } from '../../src/in-tree/beside.ts';
import { ensureRoles } from '../../src/manifests/rbac.ts';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import { ADMISSION, createService, NAMESPACE, runEnsure, SECRETS, SERVICE, type ServingPod, startServingPod } from '../support/ensure.ts';

/** T72: `cloister ensure` needs every right that it is given. An identity with one less fails, and says which. */

const CONFIG = 'apiVersion: cloister.dev/v1alpha1\nkind: Config\n';
const WITHOUT_POLICIES = `${CONFIG}backstop: false\n`;
const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const MERGE = { contentType: 'application/merge-patch+json' };

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface Right {
  readonly kind: 'Role' | 'ClusterRole';
  readonly group: string;
  readonly resource: string;
  readonly name?: string;
  readonly verb: string;
}

/** Every right of the printed roles, one by one. */
const service = { namespace: NAMESPACE, name: SERVICE };
const POLICIES = policiesBesideWebhook(defaultConfig(), { service });
const RIGHTS: readonly Right[] = ensureRoles(service, 'ensure', POLICIES).flatMap(({ kind, rules = [] }) =>
  (rules as readonly Rule[]).flatMap(({ apiGroups: [group = ''], resources: [resource = ''], resourceNames, verbs }) =>
    (resourceNames ?? [undefined]).flatMap((name) =>
      verbs.map((verb) => ({ kind: kind as Right['kind'], group, resource, ...(name !== undefined && { name }), verb })),
    ),
  ),
);

let apiServer: ApiServer & { stop(): Promise<void> };
let pod: ServingPod;
const kubeconfigs: string[] = [];

beforeAll(async () => {
  apiServer = await startApiServer();
  await createService(apiServer);
  pod = await startServingPod(apiServer, CONFIG);
  for (const index of [...RIGHTS.keys(), RIGHTS.length]) {
    const user = `ensure-${index}`;
    await grant(user, RIGHTS.toSpliced(index, 1));
    kubeconfigs.push(await apiServer.kubeconfig(user));
  }
  // The last one lacks nothing; the authorizer knows it last.
  while (
    !(await run(RIGHTS.length).then(
      () => true,
      () => false,
    ))
  )
    await sleep(50); // the hook's own timeout ends it
}, 120_000);
afterAll(async () => {
  await pod?.cloister.stop();
  await apiServer?.stop();
});

const run = (index: number, config = CONFIG) =>
  runEnsure(kubeconfigs[index] ?? '', {
    config,
    port: pod.endpoint.port,
    pods: [pod.endpoint],
    waitMs: 20_000,
    onPause: () => pod.sync(),
    // Its right to find the pods is needed where they are not named.
    findsPods: true,
  });

async function grant(user: string, rights: readonly Right[]): Promise<void> {
  for (const kind of ['Role', 'ClusterRole'] as const) {
    const [roles, bindings] =
      kind === 'Role'
        ? [`${RBAC}/namespaces/${NAMESPACE}/roles`, `${RBAC}/namespaces/${NAMESPACE}/rolebindings`]
        : [`${RBAC}/clusterroles`, `${RBAC}/clusterrolebindings`];
    const rules = rights
      .filter((right) => right.kind === kind)
      .map(({ group, resource, name, verb }) => ({
        apiGroups: [group],
        resources: [resource],
        verbs: [verb],
        ...(name !== undefined && { resourceNames: [name] }),
      }));
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind, name: user };
    const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }];
    for (const [path, object] of [
      [roles, { metadata: { name: user }, rules }],
      [bindings, { metadata: { name: user }, roleRef, subjects }],
    ] as const) {
      const { status, body } = await apiServer.admin.request('POST', path, object);
      if (status !== 201) throw new Error(JSON.stringify(body));
    }
  }
}

const MUTATING = `${ADMISSION}/mutatingwebhookconfigurations/zz-cloister`;
const pathOf = ({ resource, name }: Right): string => (resource === 'secrets' ? `${SECRETS}/${name}` : `${ADMISSION}/${resource}/${name}`);

/** What the object is brought to, so that the right is needed: not there, or not as it should be. */
async function provoke(right: Right): Promise<void> {
  if (right.verb === 'create' || right.verb === 'patch') await apiServer.admin.request('DELETE', pathOf(right));
  if (right.verb === 'manage') await apiServer.admin.request('PATCH', MUTATING, { webhooks: [] }, MERGE);
  if (right.verb === 'update') {
    const { status } = await apiServer.admin.request('PATCH', pathOf(right), DRIFTS[right.resource], MERGE);
    expect(status).toBe(200);
  }
}

/** Waits for the guard, which an earlier test may have had created again: it asks for the verb where entries change. */
async function guarded(user: string): Promise<void> {
  const client = await apiServer.client(user);
  const path = `${MUTATING}?dryRun=All`;
  // The test's own timeout ends it.
  while ((await client.request('PATCH', path, { metadata: { annotations: { 'cloister.dev/hands-off': 'true' } } }, MERGE)).status !== 403)
    await sleep(50);
}

const DRIFTS: Readonly<Record<string, object>> = {
  secrets: { data: { 'tls.crt': '', 'tls.key': '' } },
  mutatingwebhookconfigurations: { webhooks: [] },
  validatingwebhookconfigurations: { webhooks: [] },
  validatingadmissionpolicies: { spec: { matchConstraints: { matchPolicy: 'Exact' } } },
  validatingadmissionpolicybindings: { spec: { validationActions: ['Audit'] } },
};

test('the roles give rights to two Secrets, two webhook configurations, seven policies, their bindings, pods and a dry run, and the verb of the guard only', () => {
  // Those to list and read are for bindings, endpoints and the parameters of a policy.
  expect(RIGHTS).toHaveLength(15 * 4 + 7 * 5 + 3 + 2 + 1);
});

describe('without the right to', () => {
  const needed = RIGHTS.map((right, index) => ({ ...right, index }));

  test.each(needed.filter(({ resource, verb, name }) => resource !== 'podtemplates' && verb !== 'delete' && name !== '*'))(
    'ensure names the missing right $verb $resource $name',
    async ({ index, ...right }) => {
      await provoke(right);
      if (right.verb === 'manage') await guarded(`ensure-${index}`);
      const { verb, resource, name } = right;
      const object = name === undefined ? '' : ` "${name}"`;
      const refusal =
        verb === 'manage'
          ? `mutatingwebhookconfigurations\\S* "zz-cloister" is forbidden: .*needs the verb "manage" on profiles.cloister.dev`
          : `${resource}\\S*${object} is forbidden: User "ensure-${index}" cannot ${verb} resource "${resource}"`;
      await expect(run(index)).rejects.toThrow(new RegExp(`^cannot .*${refusal}[\\s\\S]*cloister manifests --rbac`));
      await run(RIGHTS.length);
    },
  );

  test('read all policies, ensure names it where it creates the policy whose parameters are policies', async () => {
    const index = needed.findIndex(({ name }) => name === '*');
    await apiServer.admin.request('DELETE', `${ADMISSION}/validatingadmissionpolicies/cloister-missing-policy`);
    await expect(run(index)).rejects.toThrow('must have "get" permission on all objects of the referenced paramKind');
    await run(RIGHTS.length);
  });

  test.each(needed.filter(({ verb }) => verb === 'delete'))(
    'ensure leaves the binding $name, and deletes the others that are not configured',
    async ({ index, name }) => {
      const { plan } = await run(index, WITHOUT_POLICIES);
      expect(plan.steps.map(({ do: what, object }) => [what, object.metadata.name])).toEqual([['delete', name]]);
      await run(RIGHTS.length);
    },
  );

  test.each(needed.filter(({ resource }) => resource === 'podtemplates'))(
    'ensure names the missing right $verb $resource in a warning, and writes the entries all the same',
    async ({ index, verb }) => {
      const path = `${ADMISSION}/validatingwebhookconfigurations/cloister`;
      await apiServer.admin.request('PATCH', path, { webhooks: [] }, MERGE);
      const { logged } = await run(index);
      const [warning] = logged.filter((line) => line.startsWith('the API server was not asked which fields of the profile it drops'));
      expect(warning).toContain(`cannot ${verb} resource \\"podtemplates\\"`);
      const { body } = await apiServer.admin.request<{ readonly webhooks?: readonly object[] }>('GET', path);
      expect(body.webhooks?.length).toBeGreaterThan(0);
    },
  );
});
