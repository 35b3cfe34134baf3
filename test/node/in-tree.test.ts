import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { WORKSPACE_IMAGE, workspaceImage } from '../../tools/programs/workspace-image.ts';
import type { Client } from '../support/client.ts';
import { printManifests } from '../support/print-manifests.ts';
import { bench } from './fixture/bench.ts';
import { type Cluster, startCluster } from './fixture/cluster.ts';
import { expectKept, keepTimeoutMs } from './fixture/expect-kept.ts';
import { enter, type Kind, keep, leave, rootOf } from './fixture/keep.ts';
import { importImage } from './fixture/node.ts';
import { offersWith } from './fixture/offers.ts';
import { dockerInDocker, plainWorkspace, withNodeFiles } from './fixture/pods.ts';
import { installProfile } from './fixture/seccomp.ts';
import type { Ground } from './fixture/setup.ts';
import { onNode } from './fixture/use.ts';
import { startVictim } from './fixture/victim.ts';

/** The four promises in a cluster of its own that has only the policies of `cloister manifests --in-tree`: no process of Cloister answers it. */

const OFFERS = offersWith([]).run.filter(({ backend, options }) => backend === 'userns' && options === undefined);
const kindFor = ({ grant }: (typeof OFFERS)[number]): readonly [title: string, kind: Kind] =>
  grant === 'containers'
    ? ['that asks for everything, in a namespace with the label', 'docker-in-docker']
    : ['that asks for nothing but the label', 'plain'];

/** What a tenant sees of a pod that is created. */
interface Answer {
  readonly message?: string;
  readonly spec?: { readonly hostUsers?: boolean };
}

onNode('the policies inside the API server, without a webhook', () => {
  let cluster: Cluster;
  let ground: Ground;

  beforeAll(async () => {
    const archives = [await workspaceImage('workspace'), await workspaceImage('workspace-docker')];
    const brought = await bench();
    cluster = await startCluster();
    const { apiServer, node } = cluster;
    for (const archive of archives) await importImage(node, archive);
    await installProfile(node);
    await startVictim(apiServer);
    ground = { connection: apiServer.connection, node, bench: brought };
  }, 600_000);
  afterAll(() => cluster?.stop());

  const tenantOf = async (namespace: string, labels: Readonly<Record<string, string>> = {}): Promise<Client> => {
    await cluster.apiServer.createNamespace(namespace, labels);
    return cluster.apiServer.createTenant(namespace, namespace);
  };
  const tryToCreate = (tenant: Client, namespace: string, pod: object) =>
    tenant.request<Answer>('POST', `/api/v1/namespaces/${namespace}/pods?dryRun=All`, pod);

  test('before the policies are applied, root of a docker-in-docker pod is root of the node', async () => {
    const tenant = await tenantOf('before', { 'cloister.dev/enforce': 'userns-containers' });
    const workspace = await enter(ground, tenant, 'before', dockerInDocker(WORKSPACE_IMAGE));
    expect((await rootOf(ground, workspace)).onNode).toEqual([0]);
    await leave(workspace);
  });

  describe('after they are applied', () => {
    beforeAll(async () => {
      const { apiServer } = cluster;
      const applied = await apiServer.kubectl(['apply', '--validate=strict', '--filename=-'], { input: await policies() });
      expect(applied).toMatchObject({ code: 0, stderr: '' });
      // An API server evaluates a policy a moment after it is stored.
      for (const { id } of OFFERS) {
        const namespace = `applied-${id}`;
        const tenant = await tenantOf(namespace, { 'cloister.dev/enforce': id });
        const isInForce = async (): Promise<boolean> => {
          const repaired = await tryToCreate(tenant, namespace, plainWorkspace(WORKSPACE_IMAGE, id));
          const refused = await tryToCreate(tenant, namespace, withNodeFiles(WORKSPACE_IMAGE));
          return repaired.body.spec?.hostUsers === false && refused.status === 403;
        };
        // The hook's own timeout ends it.
        while (!(await isInForce())) await sleep(200);
      }
    });

    test('the API server calls no webhook', async () => {
      const webhooks = 'mutatingwebhookconfigurations,validatingwebhookconfigurations';
      expect(await cluster.apiServer.kubectl(['get', webhooks, '--output=name'])).toMatchObject({ code: 0, stdout: '' });
    });

    describe.each(OFFERS)('$id', (offer) => {
      // One pod for each grant: under the webhook, whose repair stores the same pods, the promises have every pair.
      const [title, kind] = kindFor(offer);
      test(`the promises are kept in the pod ${title}`, { timeout: keepTimeoutMs(offer) }, async () => {
        expectKept(await keep(ground, cluster.apiServer, offer, kind));
      });

      test('a privileged pod with the files of the node is refused by the policy, which names the volume alone', async () => {
        const namespace = `refused-${offer.id}`;
        const tenant = await tenantOf(namespace, { 'cloister.dev/enforce': offer.id });
        const { status, body } = await tenant.request<Answer>(
          'POST',
          `/api/v1/namespaces/${namespace}/pods`,
          withNodeFiles(WORKSPACE_IMAGE),
        );
        expect(status).toBe(403);
        expect(body.message).toContain(`ValidatingAdmissionPolicy 'cloister-profile-${offer.id}'`);
        expect(body.message).toContain('denied request: volume-types: volume "node" is the node\'s /; use an emptyDir');
        expect(body.message).not.toContain('privileged: ');
        const { stdout } = await tenant.kubectl([`--namespace=${namespace}`, 'get', 'pods', '--output=name']);
        expect(stdout).toBe('');
      });
    });
  });
});

/** As an operator prints them for the offers. */
async function policies(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cloister-in-tree-node-'));
  const file = join(folder, 'config.yaml');
  const profiles = OFFERS.map(({ id, backend, grant }) => [id, { ...(id === backend ? {} : { extends: backend }), grant }]);
  try {
    await writeFile(file, stringify({ apiVersion: 'cloister.dev/v1alpha1', kind: 'Config', profiles: Object.fromEntries(profiles) }));
    const { code, stdout, stderr } = await printManifests(['--in-tree', '--config', file]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return stdout;
  } finally {
    await rm(folder, { recursive: true });
  }
}
