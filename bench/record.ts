import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { apply } from '../src/apply-patch.ts';
import { loadConfig } from '../src/config/load.ts';
import { makeRespond } from '../src/webhook/review/respond.ts';
import { type ApiServer, startApiServer } from '../test/support/api-server.ts';
import { issueServerCertificate } from '../test/support/openssl.ts';
import { pods } from './reviews/pods.ts';
import { CONFIG_FILE, PROFILES, RECORDINGS, writeRecording } from './reviews/recordings.ts';

/**
 * `node bench/record.ts`: records the reviews of the benchmarks. It creates the pods of reviews/pods.ts on a real API server, whose webhook answers
 * as Cloister does and stores each body byte for byte.
 */

const apiServer = await startApiServer();
const bodies = new Map<string, Buffer>();
const webhook = await startWebhook(apiServer, bodies);
try {
  for (const profile of Object.values(PROFILES)) {
    await register(apiServer, webhook, profile);
    await untilReviewed(apiServer, profile, bodies);
    const wanted = RECORDINGS.filter(({ path }) => path.endsWith(`/${profile}`));
    for (const size of new Set(wanted.map((recording) => recording.size))) {
      await succeed(apiServer, `/api/v1/namespaces/${profile}/pods`, pods[size]);
      for (const recording of wanted) {
        const body = bodies.get(recording.path);
        if (recording.size === size && body !== undefined) await writeRecording(recording, body);
      }
    }
    bodies.clear();
  }
} finally {
  webhook.close();
  await apiServer.stop();
}

async function startWebhook({ connection }: ApiServer, seen: Map<string, Buffer>): Promise<Server> {
  const config = await loadConfig(CONFIG_FILE);
  if (!config.ok) throw new Error(config.error.join('\n'));
  const respond = makeRespond(config.value, { apply, now: () => new Date() });
  const { certFile, keyFile } = await issueServerCertificate(connection.folder, 'webhook', connection.authority, ['IP:127.0.0.1']);
  const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
  const server = createServer({ cert, key }, async (request, response) => {
    const path = new URL(request.url ?? '/', 'https://webhook').pathname;
    const body = await buffer(request);
    seen.set(path, body);
    response.setHeader('content-type', 'application/json');
    response.end(respond(path, body).body);
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

/** Creates a namespace and its two entries. */
async function register(apiServer: ApiServer, webhook: Server, profile: string): Promise<void> {
  const { port } = webhook.address() as AddressInfo;
  const caBundle = await readFile(apiServer.caFile, 'base64');
  await apiServer.createNamespace(profile);
  for (const [kind, path] of [
    ['MutatingWebhookConfiguration', `/mutate/${profile}`],
    ['ValidatingWebhookConfiguration', `/validate/enforce/${profile}`],
  ] as const) {
    const entry = {
      name: `${profile}.cloister.dev`,
      clientConfig: { url: `https://127.0.0.1:${port}${path}`, caBundle },
      rules: [{ apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], operations: ['CREATE'] }],
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': profile } },
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
    };
    const resource = `${kind.toLowerCase()}s`;
    const object = { metadata: { name: profile }, webhooks: [entry] };
    await succeed(apiServer, `/apis/admissionregistration.k8s.io/v1/${resource}`, object);
  }
}

/** The API server obeys a new entry a moment after it stored it. A dry run calls every entry and stores nothing. */
async function untilReviewed(apiServer: ApiServer, profile: string, seen: ReadonlyMap<string, Buffer>): Promise<void> {
  const deadline = Date.now() + 10_000;
  do await succeed(apiServer, `/api/v1/namespaces/${profile}/pods?dryRun=All`, pods.small);
  while (seen.size < 2 && Date.now() < deadline);
  if (seen.size < 2)
    throw new Error(`the API server sent ${[...seen.keys()].join(', ') || 'no review'} for a pod of ${profile}: expected two`);
}

async function succeed({ admin }: ApiServer, path: string, object: object): Promise<void> {
  const { status, body } = await admin.request('POST', path, object);
  if (status >= 300) throw new Error(`POST ${path}: ${status} ${JSON.stringify(body)}`);
}
