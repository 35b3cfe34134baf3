// `helm test`: creates two pods in dry-run mode. The first must be repaired, the second must be refused.
import { readFile } from 'node:fs/promises';

const { NAMESPACE, PROFILE, KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
const token = await readFile('/var/run/secrets/kubernetes.io/serviceaccount/token', 'utf8');
const address = `https://${host?.includes(':') ? `[${host}]` : host}:${port}/api/v1/namespaces/${NAMESPACE}/pods?dryRun=All`;

const workspace = { name: 'workspace', image: 'cloister-test' };
const repaired = await create({ containers: [{ ...workspace, securityContext: { privileged: true } }] });
const { privileged } = repaired.body.spec?.containers[0]?.securityContext ?? {};
const isRepaired = repaired.status === 201 && privileged !== true && applied(repaired.body)?.startsWith(`${PROFILE}/`);
report('a privileged pod is repaired', isRepaired, explain(repaired.body));

const refused = await create({ containers: [workspace], volumes: [{ name: 'node', hostPath: { path: '/' } }] });
const isRefused = refused.status === 403 && refused.body.message?.includes('cloister.dev') === true;
report(
  "a pod with the node's files is refused",
  isRefused,
  refused.body.message ?? `the dry run created it, with status ${refused.status}`,
);

async function create(spec) {
  const metadata = { generateName: 'cloister-test-', labels: { 'cloister.dev/profile': PROFILE } };
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const response = await fetch(address, {
    method: 'POST',
    headers,
    body: JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata, spec }),
  });
  return { status: response.status, body: await response.json() };
}

function explain({ message, metadata }) {
  if (message === undefined) return `annotations: ${JSON.stringify(metadata?.annotations)}`;
  if (!/RuntimeClass ".+" not found/.test(message)) return message;
  return `${message}: install the runtime of the profile ${PROFILE} with its RuntimeClass, or remove the profile from the values`;
}

function applied({ metadata }) {
  return metadata?.annotations?.['cloister.dev/profile-applied'];
}

function report(claim, holds, otherwise) {
  process.stdout.write(holds ? `ok: ${claim}\n` : `FAILED: ${claim}: ${otherwise}\n`);
  if (!holds) process.exitCode = 1;
}
