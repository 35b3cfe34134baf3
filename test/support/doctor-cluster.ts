import { once } from 'node:events';
import { createServer as createHttpServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { openApi } from '../../src/cluster/client.ts';
import { version } from '../../src/commands/shared/version.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { Check, Context, DoctorAnswer } from '../../src/doctor/check.ts';
import { examine, selectChecks } from '../../src/doctor/examine.ts';
import { gatherFacts } from '../../src/doctor-facts/gather.ts';
import { issueCertificate } from '../../src/tls/certificate.ts';
import { type ApiServer, startApiServer } from './api-server.ts';
import { createRuntimeClasses } from './cluster-setup.ts';
import { createService, NAMESPACE, runEnsure, SECRETS, SERVICE, type Secret, type ServingPod, startServingPod } from './ensure.ts';
import { createInstallation } from './installation.ts';

/** An API server of its own with an installed Cloister, whose serving pod is a process of this machine. */
export interface DoctorCluster {
  readonly apiServer: ApiServer;
  readonly pod: ServingPod;
  readonly config: string;
  /** Runs `cloister ensure` with the configuration. */
  ensure(): Promise<void>;
  stop(): Promise<void>;
}

/** @param prepare what is there before Cloister is installed */
export async function startDoctorCluster(
  config: string,
  prepare: (apiServer: ApiServer) => Promise<void> = async () => {},
): Promise<DoctorCluster> {
  const apiServer = await startApiServer();
  await createService(apiServer);
  await createRuntimeClasses(apiServer);
  await prepare(apiServer);
  const pod = await startServingPod(apiServer, config);
  const ensure = async (): Promise<void> => {
    const { endpoint } = pod;
    await runEnsure(apiServer.admin.kubeconfig, {
      config,
      port: endpoint.port,
      pods: [endpoint],
      waitMs: 60_000,
      onPause: () => pod.sync(),
    });
  };
  await ensure();
  await createInstallation(apiServer, config);
  return {
    apiServer,
    pod,
    config,
    ensure,
    async stop() {
      await pod.cloister.stop();
      await apiServer.stop();
    },
  };
}

/** Every check that runs no pod: this API server has no kubelet. */
export const examined = selectChecks({ dryRuns: true, pods: false });

interface Examination {
  /** Absent: `examined`. */
  readonly selected?: readonly Check[];
  readonly onRequest?: () => void;
}

/** The answers of checks, in this process, which is faster than the command. */
export async function examineAs(
  { pod, config }: Pick<DoctorCluster, 'pod' | 'config'>,
  kubeconfig: string,
  { selected = examined, onRequest = () => {} }: Examination = {},
): Promise<readonly DoctorAnswer[]> {
  const [api, read] = [await openApi({ kubeconfig }), parseConfig(config, 'config.yaml')];
  if (!api.ok || !read.ok) throw new Error(JSON.stringify([api, read]));
  const service = { namespace: NAMESPACE, name: SERVICE, port: pod.endpoint.port };
  const context: Context = { ...read.value, version: version(), service, now: new Date() };
  const { send } = api.value;
  const counted: typeof send = (...request) => {
    onRequest();
    return send(...request);
  };
  const source = {
    api: { ...api.value, send: counted },
    context,
    target: { service },
    servingEndpoints: [pod.endpoint],
    operationsPort: 9443,
  };
  return examine(selected, await gatherFacts([...new Set(selected.flatMap(({ reads }) => reads))], source), context);
}

export async function post({ admin }: ApiServer, path: string, body: object): Promise<void> {
  const answer = await admin.request('POST', path, body);
  if (answer.status >= 300) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
}

/** A namespace whose pods may not connect to everything. */
export async function createTeam(apiServer: ApiServer, name: string, labels: Readonly<Record<string, string>>): Promise<void> {
  await apiServer.createNamespace(name, labels);
  const spec = { podSelector: {}, policyTypes: ['Egress'] };
  await post(apiServer, `/apis/networking.k8s.io/v1/namespaces/${name}/networkpolicies`, { metadata: { name: 'egress' }, spec });
}

const DAY_MS = 86_400_000;

/** A serving pod with a certificate of the current authority, which expired ten days ago. */
export interface ExpiredPod {
  /** For `--serving-endpoints`. */
  readonly address: string;
  /** What a restart of the pod does: it loads a certificate that is valid. */
  renew(): Promise<void>;
  stop(): void;
}

export async function startExpiredPod({ apiServer, config }: Pick<DoctorCluster, 'apiServer' | 'config'>): Promise<ExpiredPod> {
  const { body } = await apiServer.admin.request<Secret>('GET', `${SECRETS}/cloister-ca`);
  const decode = (name: string): string => Buffer.from(body.data[name] ?? '', 'base64').toString();
  const authority = { certificate: decode('tls.crt'), key: decode('tls.key') };
  const issue = (now: Date) => issueCertificate(authority, [`${SERVICE}.${NAMESPACE}.svc`], { now, days: 30 });
  const { certificate: cert, key } = await issue(new Date(Date.now() - 40 * DAY_MS));
  const read = parseConfig(config, 'config.yaml');
  const ready = JSON.stringify({ version: version(), configuration: read.ok && read.value.digest });
  const reviews = createTlsServer({ cert, key });
  const servers: readonly Server[] = [reviews as unknown as Server, createHttpServer((_, response) => response.end(ready))];
  const ports = await Promise.all(
    servers.map(async (server) => {
      await once(server.listen(0, '127.0.0.1'), 'listening');
      return (server.address() as AddressInfo).port;
    }),
  );
  return {
    address: `127.0.0.1:${ports.join('/')}`,
    async renew() {
      const renewed = await issue(new Date());
      reviews.setSecureContext({ cert: renewed.certificate, key: renewed.key });
    },
    stop() {
      for (const server of servers) server.close();
    },
  };
}
