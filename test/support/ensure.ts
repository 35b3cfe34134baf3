import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { apply } from '../../src/apply-patch.ts';
import { connect, type DeletingCluster } from '../../src/cluster/client.ts';
import { type Endpoint, observePod, servingEndpoints } from '../../src/cluster/serving.ts';
import { version } from '../../src/commands/shared/version.ts';
import { parseConfig } from '../../src/config/load.ts';
import { samplePodsOf } from '../../src/ensure/kept-fields.ts';
import { namesOf } from '../../src/ensure/objects.ts';
import { type Outcome, reconcile } from '../../src/ensure/reconcile.ts';
import type { DesiredState } from '../../src/ensure/types.ts';
import { policiesBesideWebhook } from '../../src/in-tree/beside.ts';
import { entriesOf } from '../../src/manifests/entries.ts';
import type { ApiServer } from './api-server.ts';
import { Daemons } from './daemons.ts';
import { SecretVolume } from './secret-volume.ts';
import { type Cloister, startServing } from './webhook.ts';

export const NAMESPACE = 'cloister-system';
export const SERVICE = 'cloister';
export const SECRETS = `/api/v1/namespaces/${NAMESPACE}/secrets`;
export const ADMISSION = '/apis/admissionregistration.k8s.io/v1';
/** Everything that `ensure` writes. */
export const OBJECTS = [
  `${SECRETS}/cloister-ca`,
  `${SECRETS}/cloister-tls`,
  `${ADMISSION}/mutatingwebhookconfigurations/zz-cloister`,
  `${ADMISSION}/validatingwebhookconfigurations/cloister`,
  ...['cloister-namespace-labels', 'cloister-namespace-advice', 'cloister-pods', 'cloister-guard'].flatMap((name) => [
    `${ADMISSION}/validatingadmissionpolicies/${name}`,
    `${ADMISSION}/validatingadmissionpolicybindings/${name}`,
  ]),
] as const;

export interface Secret {
  readonly data: Readonly<Record<string, string>>;
}

/** A serving pod as `ensure` sees it: `cloister serve`, and the volume with its Secret. */
export interface ServingPod {
  readonly cloister: Cloister;
  readonly volume: SecretVolume;
  readonly endpoint: Endpoint;
  /** As a flag says it. */
  readonly address: string;
  /** Brings the volume to what the Secret holds, once; false where it holds nothing yet. */
  sync(): Promise<boolean>;
  /** Until it is ready. */
  start(): Promise<void>;
}

export async function startServingPod({ admin }: ApiServer, config: string): Promise<ServingPod> {
  const daemons = await Daemons.create('serving-pod');
  try {
    const volume = new SecretVolume(await mkdtemp(join(daemons.folder, 'tls-')));
    const configFile = join(daemons.folder, 'config.yaml');
    await writeFile(configFile, config);
    const cloister = await startServing(daemons, { configFile, tlsDir: volume.folder });
    const port = Number(new URL(cloister.url).port);
    const operationsPort = Number(new URL(cloister.operationsUrl).port);
    let synced = '';
    let syncing: Promise<boolean> | undefined;
    return {
      cloister,
      volume,
      endpoint: { host: '127.0.0.1', port, operationsPort, isReady: true },
      address: `127.0.0.1:${port}/${operationsPort}`,
      sync,
      async start() {
        // A test's own timeout ends it.
        while (!(await sync()) || !(await fetch(`${cloister.operationsUrl}/readyz`)).ok) await pause(50);
      },
    };

    function sync(): Promise<boolean> {
      syncing ??= bringUp().finally(() => {
        syncing = undefined;
      });
      return syncing;
    }

    async function bringUp(): Promise<boolean> {
      const { status, body } = await admin.request<Secret>('GET', `${SECRETS}/cloister-tls`);
      if (status !== 200 || !body.data['tls.key']) return false;
      const found = JSON.stringify(body.data);
      if (found !== synced) await volume.write(body.data);
      synced = found;
      return true;
    }
  } catch (error) {
    await daemons.stop();
    throw error;
  }
}

/**
 * A Service that an API server can reach without a node: a name, which stands for this machine's loopback. The server's certificate is still
 * checked against `name.namespace.svc`.
 */
export async function createService({ admin, createNamespace }: ApiServer): Promise<void> {
  await createNamespace(NAMESPACE);
  const service = { metadata: { name: SERVICE }, spec: { type: 'ExternalName', externalName: 'localhost' } };
  const { status, body } = await admin.request('POST', `/api/v1/namespaces/${NAMESPACE}/services`, service);
  if (status !== 201) throw new Error(JSON.stringify(body));
}

export interface RunOptions {
  readonly config: string;
  readonly port: number;
  readonly pods: readonly Endpoint[];
  readonly certificates?: 'ensure' | 'files';
  readonly now?: () => Date;
  readonly settleMs?: number;
  readonly waitMs?: number;
  readonly overlapMs?: number;
  /** Called between looks at serving pods that are not as far yet; a kubelet's part. */
  readonly onPause?: () => Promise<unknown>;
  /** Whether the Service is asked for its pods as well, as where none are named. */
  readonly findsPods?: boolean;
  /** To stand between `ensure` and the cluster. */
  readonly through?: (cluster: DeletingCluster) => DeletingCluster;
}

export interface Ran extends Outcome {
  /** The logged lines. */
  readonly logged: readonly string[];
}

/** One run of `cloister ensure`, in this process, as the identity of a kubeconfig. */
export async function runEnsure(kubeconfig: string, options: RunOptions): Promise<Ran> {
  const { config, port, pods, certificates = 'ensure', through = (cluster) => cluster } = options;
  const read = parseConfig(config, 'config.yaml');
  const connected = await connect({ kubeconfig });
  if (!read.ok || !connected.ok) throw new Error(JSON.stringify([read, connected]));
  const service = { namespace: NAMESPACE, name: SERVICE, port };
  const desired: DesiredState = {
    service,
    certificates,
    configurations: entriesOf(read.value, { service }),
    samples: samplePodsOf(read.value, apply, new Date()),
    policies: policiesBesideWebhook(read.value, { service }),
    version: version(),
    configuration: read.value.digest,
    overlapMs: options.overlapMs ?? 0,
  };
  const logged: string[] = [];
  const line = (fields: object, message: string) => logged.push(`${message} ${JSON.stringify(fields)}`);
  const outcome = await reconcile(
    desired,
    {
      cluster: through(connected.value),
      async observePods() {
        const found = options.findsPods ? await servingEndpoints(connected.value, service, 9443) : [];
        return Promise.all([...pods, ...found].map((each) => observePod(each, namesOf(service)[0])));
      },
      now: options.now ?? (() => new Date()),
      async pause(ms) {
        await options.onPause?.();
        await pause(Math.min(ms, 200));
      },
      logger: { info: line, warn: line } as unknown as Pick<Logger, 'info' | 'warn'>,
    },
    { settleMs: options.settleMs ?? 0, waitMs: options.waitMs ?? 0 },
  );
  return { ...outcome, logged };
}

/** The resource version of each object, which changes with every write. */
export async function versionsOf({ admin }: ApiServer): Promise<Readonly<Record<string, string | undefined>>> {
  const versionOf = async (path: string): Promise<string | undefined> => {
    for (;;) {
      const { metadata, status } = (await admin.request<StoredObject>('GET', path)).body;
      // After each change of a policy, a controller checks its types and writes the status.
      const isChecked = !path.includes('/validatingadmissionpolicies/') || status?.observedGeneration === metadata?.generation;
      if (isChecked) return metadata?.resourceVersion;
      await pause(50);
    }
  };
  return Object.fromEntries(await Promise.all(OBJECTS.map(async (path) => [path, await versionOf(path)] as const)));
}

interface StoredObject {
  readonly metadata?: { readonly resourceVersion?: string; readonly generation?: number };
  readonly status?: { readonly observedGeneration?: number };
}

export async function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'cloister-ensure-'));
}
