import { expect, test } from 'vitest';
import { useApiServer } from '../../support/api-server.ts';
import type { Client } from '../../support/client.ts';
import { API_SERVER_METRICS, labelsIn } from '../../support/expressions.ts';
import { plainPod } from '../../support/pod-manifests.ts';

/** The API server's own metrics that alerts and dashboard use. Calls to entries without a server produce them. */

const CONFIGURATIONS = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
const NAMESPACE = 'unanswered';

const entry = (failurePolicy: 'Fail' | 'Ignore') => ({
  name: `${failurePolicy.toLowerCase()}.unanswered.cloister.dev`,
  clientConfig: { url: 'https://127.0.0.1:1/' },
  rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
  namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': NAMESPACE } },
  failurePolicy,
  sideEffects: 'None',
  admissionReviewVersions: ['v1'],
});

test('the API server’s metrics have the names and labels that alerts and dashboard use', async () => {
  const { admin, createNamespace, metrics } = await useApiServer();
  await createNamespace(NAMESPACE);
  const configuration = { metadata: { name: NAMESPACE }, webhooks: [entry('Fail'), entry('Ignore')] };
  expect((await admin.request('POST', CONFIGURATIONS, configuration)).status).toBe(201);
  try {
    const create = () => admin.request('POST', `/api/v1/namespaces/${NAMESPACE}/pods?dryRun=All`, plainPod());
    while ((await create()).status !== 500) await new Promise((resolve) => setTimeout(resolve, 50)); // the test's own timeout ends it
    await refuseByPolicy(admin);
    const found = labelsIn(await metrics());
    for (const [metric, labels] of API_SERVER_METRICS) expect(found.get(metric), metric).toEqual(labels);
    expect(await metrics()).toMatch(
      /^apiserver_admission_webhook_rejection_count\{error_type="calling_webhook_error",name="fail\.unanswered\.cloister\.dev"/m,
    );
  } finally {
    await admin.request('DELETE', `${CONFIGURATIONS}/${NAMESPACE}`);
  }
});

/** A policy of Cloister refuses that a pod gets another grant. */
async function refuseByPolicy(admin: Client): Promise<void> {
  const pods = '/api/v1/namespaces/default/pods';
  const labels = { 'cloister.dev/profile': 'userns' };
  expect((await admin.request('POST', pods, { ...plainPod('measured'), metadata: { name: 'measured', labels } })).status).toBe(201);
  const change = { metadata: { labels: { 'cloister.dev/grant': 'none' } } };
  const contentType = 'application/merge-patch+json';
  const { body } = await admin.request<{ readonly message?: string }>('PATCH', `${pods}/measured`, change, { contentType });
  expect(body.message).toContain("ValidatingAdmissionPolicy 'cloister-pods'");
  await admin.request('DELETE', `${pods}/measured`, { gracePeriodSeconds: 0 });
}
