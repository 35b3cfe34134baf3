import { X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import type { Client } from '../support/client.ts';
import { ADMISSION, createService, runEnsure, SECRETS, type Secret, type ServingPod, startServingPod } from '../support/ensure.ts';
import { plainPod } from '../support/pod-manifests.ts';

/**
 * T64: the authority changes repeatedly while the API server calls, and no call fails. Checked in the answers to a client that creates pods and in
 * the API server's own metrics. The API server calls one serving pod. A second one loads its certificate late, and the previous authority must
 * stay trusted until then.
 */

/** A call may take as long as the API server can wait: on a busy machine, a slow answer is no failed rotation. */
const CONFIG = 'apiVersion: cloister.dev/v1alpha1\nkind: Config\ntimeoutSeconds: {mutate: 10, enforce: 10}\n';
const ROTATIONS = 20;
/** Each pod is reviewed twice: 200 reviews a second. */
const EVERY_MS = 10;
/** In each of so many rotations the second pod is that late. */
const LATE_EVERY = 4;
/** So many wait at most: an API server takes no more than 200 at once, and on a busy machine each of them waits for those before it. */
const MAX_PENDING = 30;
const SETTLE_MS = 200;
const PODS = '/api/v1/namespaces/team/pods?dryRun=All';

interface Governed {
  readonly spec?: { readonly hostUsers?: boolean };
  readonly message?: string;
}

let apiServer: ApiServer & { stop(): Promise<void> };
let called: ServingPod;
let late: ServingPod;

beforeAll(async () => {
  apiServer = await startApiServer();
  await createService(apiServer);
  [called, late] = await Promise.all([startServingPod(apiServer, CONFIG), startServingPod(apiServer, CONFIG)]);
});
afterAll(async () => {
  await called?.cloister.stop();
  await late?.cloister.stop();
  await apiServer?.stop();
});

const ensure = () =>
  runEnsure(apiServer.admin.kubeconfig, {
    config: CONFIG,
    port: called.endpoint.port,
    pods: [called.endpoint, late.endpoint],
    settleMs: SETTLE_MS,
    waitMs: 60_000,
    onPause: () => Promise.all([called.sync(), late.sync()]),
  });

async function authority(): Promise<string> {
  const { body } = await apiServer.admin.request<Secret>('GET', `${SECRETS}/cloister-ca`);
  return new X509Certificate(Buffer.from(body.data['tls.crt'] ?? '', 'base64')).serialNumber;
}

async function trusted(): Promise<readonly string[]> {
  type Configuration = { readonly webhooks: readonly { readonly clientConfig: { readonly caBundle: string } }[] };
  const { body } = await apiServer.admin.request<Configuration>('GET', `${ADMISSION}/mutatingwebhookconfigurations/zz-cloister`);
  const bundle = Buffer.from(body.webhooks[0]?.clientConfig.caBundle ?? '', 'base64').toString();
  return (bundle.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? []).map((each) => new X509Certificate(each).serialNumber);
}

/** The sum of a counter of the API server over all its labels. */
async function counted(name: string): Promise<number> {
  const lines = (await apiServer.metrics()).split('\n').filter((line) => line.startsWith(`${name}{`));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** Creates pods at a steady pace until it is stopped. What a busy machine delays is caught up with, whether or not those before were answered. */
function load(client: Client) {
  const failures: unknown[] = [];
  const pending = new Set<Promise<void>>();
  const began = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    for (const due = (performance.now() - began) / EVERY_MS; sent < due && pending.size < MAX_PENDING; sent += 1) {
      const answered = create().finally(() => pending.delete(answered));
      pending.add(answered);
    }
  }, EVERY_MS);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(pending);
      return { sent, failures, seconds: (performance.now() - began) / 1_000 };
    },
  };

  async function create(): Promise<void> {
    try {
      const { status, body } = await client.request<Governed>('POST', PODS, plainPod());
      if (status !== 201 || body.spec?.hostUsers !== false) failures.push({ status, message: body.message });
    } catch (error) {
      failures.push(error);
    }
  }
}

test(`T64, L7: no call fails during ${ROTATIONS} rotations of the authority`, { timeout: 300_000 }, async () => {
  await ensure();
  await Promise.all([called.start(), late.start()]);
  await apiServer.createNamespace('team', { 'cloister.dev/enforce': 'userns' });
  const tenant = await apiServer.createTenant('team', 'tenant');
  while ((await tenant.request<Governed>('POST', PODS, plainPod())).body.spec?.hostUsers !== false) await sleep(50); // the test's own timeout ends it

  const before = await reviews();
  const { stop } = load(tenant);
  const authorities = new Set([await authority()]);
  for (let rotation = 1; rotation <= ROTATIONS; rotation += 1) {
    const previous = await authority();
    expect((await apiServer.admin.request('DELETE', `${SECRETS}/cloister-ca`)).status).toBe(200);
    const { plan } = await ensure();
    expect(plan.previousAuthorities).toHaveLength(1);
    authorities.add(await authority());

    if (rotation % LATE_EVERY !== 0) await late.sync();
    await called.start();
    if (rotation % LATE_EVERY === 0) {
      // The second pod has the old certificate still.
      while ((await ensure()).plan.previousAuthorities[0]?.reason.startsWith(late.address.split('/')[0] ?? '') === false) await sleep(20);
      expect(await trusted()).toEqual([await authority(), previous]);
      await late.sync();
    }
    while ((await ensure()).plan.previousAuthorities.length > 0) await sleep(20);
    expect(await trusted()).toEqual([await authority()]);
  }
  const { sent, failures, seconds } = await stop();

  expect(failures).toEqual([]);
  expect(authorities.size).toBe(ROTATIONS + 1);
  expect(await counted('apiserver_admission_webhook_rejection_count')).toBe(0);
  expect(await counted('apiserver_admission_webhook_fail_open_count')).toBe(0);
  const made = (await reviews()) - before;
  expect(made).toBeGreaterThanOrEqual(2 * sent);
  process.stdout.write(
    `${ROTATIONS} authorities in ${seconds.toFixed(1)} s, ${(made / seconds).toFixed(0)} reviews/s, 0 failed of ${made}\n`,
  );
});

/** Calls of webhooks, as the API server counts them. */
const reviews = (): Promise<number> => counted('apiserver_admission_webhook_admission_duration_seconds_count');
