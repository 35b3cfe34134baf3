import { afterEach, expect, test } from 'vitest';
import { type FalseApiServer, startFalseApiServer } from '../support/false-api-server.ts';
import { cloister } from '../support/run.ts';

let server: FalseApiServer | undefined;
afterEach(() => server?.stop());

test('an API server that does not answer ends the command after one request', async () => {
  server = await startFalseApiServer([() => {}]);
  const { code, stderr } = await cloister(['doctor', '--config', 'examples/config.yaml', '--kubeconfig', server.kubeconfig]);
  expect([code, stderr]).toEqual([2, `error: the API server at ${server.url} cannot be reached: no answer within 10 s\n`]);
  expect(server.requests.map(({ pathname }) => pathname)).toEqual(['/version']);
}, 30_000);
