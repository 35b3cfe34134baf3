import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import { createService, runEnsure, type ServingPod, startServingPod, versionsOf } from '../support/ensure.ts';

const CONFIG = 'apiVersion: cloister.dev/v1alpha1\nkind: Config\n';
let apiServer: ApiServer & { stop(): Promise<void> };
let pod: ServingPod;
beforeAll(async () => {
  apiServer = await startApiServer();
  await createService(apiServer);
  pod = await startServingPod(apiServer, CONFIG);
});
afterAll(async () => {
  await pod?.cloister.stop();
  await apiServer?.stop();
});

test('spike', async () => {
  const options = { config: CONFIG, port: pod.endpoint.port, pods: [pod.endpoint], waitMs: 60_000, onPause: () => pod.sync() };
  const first = await runEnsure(apiServer.admin.kubeconfig, options);
  console.log(first.told.join('\n'), first.plan);
  const before = await versionsOf(apiServer);
  const second = await runEnsure(apiServer.admin.kubeconfig, options);
  console.log(second.told.join('\n'), second.plan);
  expect(await versionsOf(apiServer)).toEqual(before);
  await apiServer.createNamespace('team', { 'cloister.dev/enforce': 'userns' });
  await new Promise((r) => setTimeout(r, 500));
  const made = await apiServer.admin.request('POST', '/api/v1/namespaces/team/pods', { metadata: { name: 'a' }, spec: { containers: [{ name: 'a', image: 'b', securityContext: {privileged: true} }] } });
  console.log(JSON.stringify(made.body).slice(0, 1500), made.warnings);
});
