import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ATTACK_NAMES, type AttackJob } from '../../bench/load/attack.ts';
import { makeReviewWithLargeAnswer } from '../../bench/reviews/hostile-bodies.ts';
import { fileOf, SMALL } from '../../bench/reviews/recordings.ts';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import type { Client } from '../support/client.ts';
import { Daemons } from '../support/daemons.ts';
import { dockerInDocker } from '../support/pod-manifests.ts';
import { type Cloister, startCloister } from '../support/webhook.ts';

/** Pods are created while one caller attacks the server by its connections. The server is attacked, so it is one of its own. */

const NAMESPACE = 'attacked';
const SECONDS = 4;

let apiServer: ApiServer & { stop(): Promise<void> };
let cloister: Cloister;
let tenant: Client;
let daemons: Daemons;
let largeAnswer: string;

beforeAll(async () => {
  apiServer = await startApiServer();
  daemons = await Daemons.create('attacks');
  largeAnswer = join(daemons.folder, 'large-answer.json');
  await writeFile(largeAnswer, await makeReviewWithLargeAnswer());
  await apiServer.createNamespace(NAMESPACE, { 'cloister.dev/enforce': 'userns' });
  tenant = await apiServer.createTenant(NAMESPACE, 'tenant');
  cloister = await startCloister(apiServer, { config: 'apiVersion: cloister.dev/v1alpha1\nkind: Config\n', apply: true });
}, 120_000);

afterAll(async () => {
  await cloister?.stop();
  await daemons?.stop();
  await apiServer?.stop();
});

test.each(ATTACK_NAMES)(
  'T24: every pod of a governed namespace is created, repaired, during this attack: %s',
  async (attack) => {
    const port = (url: string): number => Number(new URL(url).port);
    const job: AttackJob = {
      attack,
      path: SMALL.path,
      files: { ordinary: fileOf(SMALL), largeAnswer },
      seconds: SECONDS,
      ports: { reviews: port(cloister.url), operations: port(cloister.operationsUrl), metrics: port(cloister.metricsUrl) },
    };
    const attacker = join(import.meta.dirname, '../../bench/load/attack.ts');
    const attacking = promisify(execFile)(process.execPath, [attacker, JSON.stringify(job)]);
    const created: string[] = [];
    const end = performance.now() + SECONDS * 1_000;
    while (performance.now() < end) {
      const { status, body } = await tenant.request<{ readonly spec?: { readonly hostUsers?: boolean }; readonly message?: string }>(
        'POST',
        `/api/v1/namespaces/${NAMESPACE}/pods?dryRun=All`,
        { ...dockerInDocker(), metadata: { generateName: 'pod-' } },
      );
      created.push(`${status}, ${body.message ?? `hostUsers ${body.spec?.hostUsers}`}`);
      expect((await fetch(`${cloister.operationsUrl}/readyz`, { headers: { connection: 'close' } })).status).toBe(200);
    }
    await attacking;
    expect(new Set(created)).toEqual(new Set(['201, hostUsers false']));
  },
  120_000,
);
