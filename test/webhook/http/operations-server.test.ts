import { expect, test } from 'vitest';
import { buildOperationsServer } from '../../../src/webhook/http/operations-server.ts';

const metrics = { contentType: 'text/plain; version=0.0.4; charset=utf-8', expose: async () => 'up 1\n' };

test('/livez answers 200 while the process is not ready', async () => {
  const app = buildOperationsServer({ metrics, notReadyReason: () => 'anything' });
  const { statusCode, body } = await app.inject('/livez');
  expect([statusCode, JSON.parse(body)]).toEqual([200, { live: true }]);
});

test('/readyz answers 503 with the reason, and 200 without one', async () => {
  let reason: string | undefined = 'no certificate';
  const app = buildOperationsServer({ metrics, notReadyReason: () => reason });
  const before = await app.inject('/readyz');
  reason = undefined;
  const after = await app.inject('/readyz');
  expect([before.statusCode, before.json()]).toEqual([503, { ready: false, reason: 'no certificate' }]);
  expect([after.statusCode, after.json()]).toEqual([200, { ready: true }]);
});

test('/metrics answers with the text that Prometheus scrapes', async () => {
  const app = buildOperationsServer({ metrics, notReadyReason: () => undefined });
  const { statusCode, headers, body } = await app.inject('/metrics');
  expect([statusCode, headers['content-type'], body]).toEqual([200, metrics.contentType, 'up 1\n']);
});

test('the operations server answers no reviews', async () => {
  const app = buildOperationsServer({ metrics, notReadyReason: () => undefined });
  expect((await app.inject({ method: 'POST', url: '/mutate/userns', payload: '{}' })).statusCode).toBe(404);
});
