import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Client, type Connection, certificateClient } from './client.ts';
import { SecretVolume } from './secret-volume.ts';

/**
 * A node, as far as Cloister's own pods need one: the scheduler's, the kubelet's and kube-proxy's part. It is a program of its own, run in
 * the network of an API server: `node small-node.ts SETTINGS`.
 *
 * Each container is a process with the command, arguments, environment and files that the API server's pod says, in a root of its own, which
 * holds what the image would. It is no container beyond that: it runs as the user that runs the tests. Names in the image are real, so that what
 * a pod mounts lies where its arguments say.
 */

export interface Settings {
  readonly connection: Connection;
  /** Whose pods run here, and whose Services are reached. */
  readonly namespaces: readonly string[];
  readonly image: Image;
  /** Where pods' files, logs and the node's own folders are. */
  readonly folder: string;
}

/** What an image is to us: how its process starts, and which folders and files of this machine stand for its own. */
export interface Image {
  readonly entrypoint: readonly string[];
  readonly path: string;
  /** Place in the image -> place here. */
  readonly files: Readonly<Record<string, string>>;
}

interface Pod {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly uid: string; readonly deletionTimestamp?: string };
  readonly spec: PodSpec;
  readonly status: { readonly phase: string };
}

interface PodSpec {
  readonly nodeName?: string;
  readonly serviceAccountName: string;
  readonly restartPolicy: 'Always' | 'Never';
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes?: readonly Volume[];
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: { readonly fieldRef: FieldRef } }[];
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly readinessProbe?: { readonly httpGet: { readonly path: string; readonly port: string } };
}

interface FieldRef {
  readonly fieldPath: string;
}

interface Item {
  readonly key: string;
  readonly path: string;
}

interface Files {
  readonly name: string;
  readonly items?: readonly Item[];
}

type Source =
  | { readonly configMap: Files }
  | { readonly secret: Omit<Files, 'name'> & { readonly secretName: string } }
  | { readonly serviceAccountToken: { readonly path: string; readonly expirationSeconds: number } }
  | { readonly downwardAPI: { readonly items: readonly { readonly path: string; readonly fieldRef: FieldRef }[] } };

type Volume = { readonly name: string } & (
  | Source
  | { readonly projected: { readonly sources: readonly Source[] } }
  | { readonly hostPath: { readonly path: string } }
);

type Data = Readonly<Record<string, string>>;

const NODE = 'small';
const LOOK_EVERY_MS = 200;

async function serveNode(settings: Settings): Promise<void> {
  const { network: _, ...connection } = settings.connection; // it is in it
  const client = await certificateClient(connection, `system:node:${NODE}`, ['system:masters']);
  await client.request('POST', '/api/v1/nodes', { metadata: { name: NODE, labels: { 'kubernetes.io/os': 'linux' } } });
  const pods = new Map<string, RunningPod>();
  const proxy = new ServiceProxy(client);
  process.stdout.write('ready\n');
  for (;;) {
    try {
      for (const namespace of settings.namespaces) {
        await sync(namespace, { settings, client, running: pods });
        await proxy.sync(namespace);
      }
    } catch (error) {
      process.stderr.write(`${(error as Error).stack}\n`);
    }
    await pause(LOOK_EVERY_MS);
  }
}

interface Runner {
  readonly settings: Settings;
  readonly client: Client;
  readonly running: Map<string, RunningPod>;
}

async function sync(namespace: string, { settings, client, running }: Runner): Promise<void> {
  const found = await client.request<{ readonly items: readonly Pod[] }>('GET', podsIn(namespace));
  if (found.status !== 200) throw new Error(JSON.stringify(found.body));
  const there = new Set(found.body.items.map(({ metadata }) => metadata.uid));
  for (const [uid, pod] of running) if (pod.namespace === namespace && !there.has(uid)) pod.vanish();
  for (const pod of found.body.items) {
    const { uid, name, deletionTimestamp } = pod.metadata;
    const known = running.get(uid);
    if (known !== undefined) {
      if (deletionTimestamp !== undefined) known.stop();
      continue;
    }
    if (deletionTimestamp !== undefined || pod.status.phase !== 'Pending') continue;
    if (pod.spec.nodeName === undefined) {
      const binding = { metadata: { name }, target: { kind: 'Node', name: NODE } };
      await client.request('POST', `${podsIn(namespace)}/${name}/binding`, binding);
    }
    running.set(uid, new RunningPod(pod, settings, client, addressOf(running.size)));
  }
}

const podsIn = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`;

/** From 10.244.1.1 on; none is used again. */
const addressOf = (number: number): string => `10.244.${1 + Math.floor(number / 250)}.${1 + (number % 250)}`;

/** A pod from its first volume to its last word. */
class RunningPod {
  readonly #pod: Pod;
  readonly #settings: Settings;
  readonly #client: Client;
  readonly #address: string;
  readonly #folder: string;
  readonly #startTime = new Date().toISOString();
  readonly #volumes = new Map<string, { readonly folder: string; readonly sync: () => Promise<boolean> }>();
  readonly #states = new Map<string, object>();
  #processes: ChildProcess[] = [];
  #isStopping = false;
  #reported = '';
  #readySince = this.#startTime;
  #wasReady = false;

  constructor(pod: Pod, settings: Settings, client: Client, address: string) {
    this.#pod = pod;
    this.#settings = settings;
    this.#client = client;
    this.#address = address;
    this.#folder = join(settings.folder, pod.metadata.name);
    this.#run().catch((error: Error) => process.stderr.write(`${pod.metadata.name}: ${error.stack}\n`));
  }

  get namespace(): string {
    return this.#pod.metadata.namespace;
  }

  stop(signal: NodeJS.Signals = 'SIGTERM'): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    for (const child of this.#processes) child.kill(signal);
  }

  /** It was deleted by force. */
  vanish(): void {
    this.stop('SIGKILL');
  }

  async #run(): Promise<void> {
    const { initContainers = [], containers, restartPolicy } = this.#pod.spec;
    await this.#report('Pending', false);
    await this.#makeVolumes();
    let phase = 'Running';
    for (const container of initContainers) {
      if ((await this.#end(this.#start(container), container)) !== 0) phase = 'Failed';
      if (phase === 'Failed' || this.#isStopping) break;
    }
    if (phase === 'Running' && !this.#isStopping) {
      const ends = containers.map((container) => this.#end(this.#start(container), container));
      const codes = Promise.all(ends);
      let ended: readonly (number | null)[] | undefined;
      codes.then((each) => {
        ended = each;
      });
      while (ended === undefined) {
        await this.#report('Running', !this.#isStopping && (await this.#isReady()));
        for (const { sync: bringUp } of this.#volumes.values()) await bringUp();
        await Promise.race([codes, pause(LOOK_EVERY_MS)]);
      }
      if (restartPolicy === 'Always' && !this.#isStopping) throw new Error(`a container of it ended: ${ended.join(', ')}`);
      phase = ended.every((code) => code === 0) ? 'Succeeded' : 'Failed';
    }
    await this.#report(phase, false);
    while (!this.#isStopping) await pause(LOOK_EVERY_MS);
    const { name, namespace, uid } = this.#pod.metadata;
    await this.#client.request('DELETE', `${podsIn(namespace)}/${name}`, { gracePeriodSeconds: 0, preconditions: { uid } });
    await rm(join(this.#folder, 'volumes'), { recursive: true, force: true });
  }

  /** A volume whose files are not there yet keeps the pod from starting, and is checked again. */
  async #makeVolumes(): Promise<void> {
    for (const volume of this.#pod.spec.volumes ?? []) {
      if ('hostPath' in volume) {
        const folder = join(this.#settings.folder, 'host', volume.hostPath.path);
        await mkdir(folder, { recursive: true });
        this.#volumes.set(volume.name, { folder, sync: async () => true });
        continue;
      }
      const folder = join(this.#folder, 'volumes', volume.name);
      await mkdir(folder, { recursive: true });
      const written = new SecretVolume(folder);
      const sources = 'projected' in volume ? volume.projected.sources : [volume];
      let last = '';
      const bringUp = async (): Promise<boolean> => {
        const parts = await Promise.all(sources.map((source) => this.#read(source)));
        if (!parts.every((part) => part !== undefined)) return false;
        const data = Object.assign({}, ...parts) as Data;
        if (JSON.stringify(data) !== last) await written.write(data);
        last = JSON.stringify(data);
        return true;
      };
      while (!(await bringUp()) && !this.#isStopping) await pause(LOOK_EVERY_MS);
      // A token is good for longer than any test.
      this.#volumes.set(volume.name, { folder, sync: 'projected' in volume ? async () => true : bringUp });
    }
  }

  async #read(source: Source): Promise<Data | undefined> {
    const { name, namespace, uid } = this.#pod.metadata;
    const base = `/api/v1/namespaces/${namespace}`;
    if ('serviceAccountToken' in source) {
      const { path, expirationSeconds } = source.serviceAccountToken;
      const spec = { expirationSeconds, boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid } };
      const { body } = await this.#client.request<{ readonly status: { readonly token: string } }>(
        'POST',
        `${base}/serviceaccounts/${this.#pod.spec.serviceAccountName}/token`,
        { spec },
      );
      return { [path]: encoded(body.status.token) };
    }
    if ('downwardAPI' in source) {
      return Object.fromEntries(source.downwardAPI.items.map(({ path, fieldRef }) => [path, encoded(this.#field(fieldRef))]));
    }
    const isSecret = 'secret' in source;
    const from = isSecret ? `secrets/${source.secret.secretName}` : `configmaps/${source.configMap.name}`;
    const { items } = isSecret ? source.secret : source.configMap;
    const { status, body } = await this.#client.request<{ readonly data?: Data }>('GET', `${base}/${from}`);
    if (status !== 200) return undefined;
    const texts = Object.entries(body.data ?? {}).map(([key, text]) => [key, isSecret ? text : encoded(text)] as const);
    if (items === undefined) return Object.fromEntries(texts);
    const found = items.map(({ key, path }) => [path, new Map(texts).get(key)] as const);
    return found.every(([, text]) => text !== undefined) ? (Object.fromEntries(found) as Data) : undefined;
  }

  #field({ fieldPath }: FieldRef): string {
    if (fieldPath === 'status.podIP') return this.#address;
    if (fieldPath === 'metadata.namespace') return this.#pod.metadata.namespace;
    throw new Error(`the small node does not know ${fieldPath}`);
  }

  #start(container: Container): ChildProcess {
    const { image, connection } = this.#settings;
    const api = new URL(connection.url);
    const own = (container.env ?? []).map(({ name, value = '', valueFrom }) => [name, valueFrom ? this.#field(valueFrom.fieldRef) : value]);
    const env = new Map([
      ['PATH', image.path],
      ['KUBERNETES_SERVICE_HOST', api.hostname],
      ['KUBERNETES_SERVICE_PORT', api.port],
      ...(own as [string, string][]),
    ]);
    // As Kubernetes does it: $(NAME) of a variable that there is.
    const expand = (text: string): string => text.replace(/\$\((\w+)\)/g, (written, name: string) => env.get(name) ?? written);
    const argv = [...(container.command ?? image.entrypoint), ...(container.args ?? [])].map(expand);
    const mounts = (container.volumeMounts ?? []).map(({ name, mountPath }) => [mountPath, this.#volumes.get(name)?.folder ?? ''] as const);
    const root = join(this.#folder, `root-${container.name}`);
    const script = [
      'set -eu',
      `mkdir -p '${root}'`,
      `mount -t tmpfs tmpfs '${root}'`,
      ...[...Object.entries(image.files), ...mounts].flatMap(([place, here]) => [
        `if [ -d '${here}' ]; then mkdir -p '${root}${place}'; else mkdir -p '${root}${dirname(place)}'; touch '${root}${place}'; fi`,
        `mount --rbind '${here}' '${root}${place}'`,
      ]),
      `mount -o remount,bind,ro '${root}'`,
      `exec env -i "$@"`,
    ].join('\n');
    const variables = [...env].map(([name, value]) => `${name}=${value}`);
    const log = createWriteStream(join(this.#settings.folder, `${this.#pod.metadata.name}.${container.name}.log`));
    // Whatever happens to this process, they do not outlive it.
    const child = spawn(
      'setpriv',
      ['--pdeathsig=KILL', 'unshare', '--mount', 'sh', '-c', script, 'sh', ...variables, chroot, root, ...argv],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    this.#processes.push(child);
    this.#states.set(container.name, { running: { startedAt: new Date().toISOString() } });
    return child;
  }

  #end(child: ChildProcess, { name }: Container): Promise<number | null> {
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        this.#processes = this.#processes.filter((each) => each !== child);
        this.#states.set(name, { terminated: { exitCode: code ?? 137, reason: signal ?? (code === 0 ? 'Completed' : 'Error') } });
        resolve(code);
      });
    });
  }

  async #isReady(): Promise<boolean> {
    const answers = await Promise.all(this.#pod.spec.containers.map((container) => this.#probe(container)));
    return answers.every((isWell) => isWell);
  }

  async #probe({ readinessProbe, ports = [] }: Container): Promise<boolean> {
    if (readinessProbe === undefined) return true;
    const { path, port } = readinessProbe.httpGet;
    const number = ports.find(({ name }) => name === port)?.containerPort;
    return fetch(`http://${this.#address}:${number}${path}`).then(
      ({ ok }) => ok,
      () => false,
    );
  }

  async #report(phase: string, isReady: boolean): Promise<void> {
    if (isReady !== this.#wasReady) this.#readySince = new Date().toISOString();
    this.#wasReady = isReady;
    const condition = (type: string, holds: boolean) => ({
      type,
      status: holds ? 'True' : 'False',
      lastTransitionTime: type.endsWith('Ready') ? this.#readySince : this.#startTime,
    });
    const isBegun = phase !== 'Pending';
    const statuses = (containers: readonly Container[]) =>
      containers.flatMap(({ name, image }) => {
        const state = this.#states.get(name);
        return state === undefined ? [] : [{ name, image, imageID: '', ready: isReady, started: isReady, restartCount: 0, state }];
      });
    const status = {
      phase,
      ...(isBegun && { podIP: this.#address, podIPs: [{ ip: this.#address }] }),
      startTime: this.#startTime,
      conditions: [
        condition('PodScheduled', true),
        condition('Initialized', isBegun),
        condition('ContainersReady', isReady),
        condition('Ready', isReady),
      ],
      initContainerStatuses: statuses(this.#pod.spec.initContainers ?? []),
      containerStatuses: statuses(this.#pod.spec.containers),
    };
    if (JSON.stringify(status) === this.#reported) return;
    const { name, namespace } = this.#pod.metadata;
    const contentType = 'application/merge-patch+json';
    const answer = await this.#client.request('PATCH', `${podsIn(namespace)}/${name}/status`, { status }, { contentType });
    if (answer.status === 200) this.#reported = JSON.stringify(status);
    else if (answer.status !== 404) throw new Error(JSON.stringify(answer.body));
  }
}

const chroot = '/usr/sbin/chroot';

const encoded = (text: string): string => Buffer.from(text).toString('base64');

interface Service {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly clusterIP: string; readonly ports: readonly { readonly name: string; readonly port: number }[] };
}

interface Slice {
  readonly ports: readonly { readonly name: string; readonly port: number }[] | null;
  readonly endpoints: readonly { readonly addresses: readonly string[]; readonly conditions: { readonly ready?: boolean } }[];
}

/** kube-proxy's part: a Service's address leads to its ready pods, in turn. */
class ServiceProxy {
  readonly #client: Client;
  readonly #servers = new Map<string, { readonly server: Server; readonly of: string }>();
  readonly #endpoints = new Map<string, readonly { readonly host: string; readonly port: number }[]>();
  #turn = 0;

  constructor(client: Client) {
    this.#client = client;
  }

  async sync(namespace: string): Promise<void> {
    const services = await this.#list<Service>(`/api/v1/namespaces/${namespace}/services`);
    const wanted = new Set<string>();
    for (const { metadata, spec } of services) {
      const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?labelSelector=kubernetes.io/service-name=${metadata.name}`;
      const slices = await this.#list<Slice>(path);
      for (const { name, port } of spec.ports) {
        const key = `${spec.clusterIP}:${port}`;
        wanted.add(key);
        const ready = slices.flatMap(({ ports, endpoints }) => {
          const target = ports?.find((each) => each.name === name)?.port;
          if (target === undefined) return [];
          return endpoints
            .filter(({ conditions }) => conditions.ready === true)
            .flatMap(({ addresses }) => addresses.map((host) => ({ host, port: target })));
        });
        this.#endpoints.set(key, ready);
        if (!this.#servers.has(key)) {
          const server = createServer((from) => this.#carry(from, key)).listen(port, spec.clusterIP);
          this.#servers.set(key, { server, of: namespace });
        }
      }
    }
    for (const [key, { server, of }] of this.#servers) {
      if (of !== namespace || wanted.has(key)) continue;
      server.close();
      this.#servers.delete(key);
    }
  }

  #carry(from: Socket, key: string): void {
    const endpoints = this.#endpoints.get(key) ?? [];
    this.#turn += 1;
    const endpoint = endpoints[this.#turn % endpoints.length];
    if (endpoint === undefined) {
      from.destroy();
      return;
    }
    const to = connect(endpoint);
    from.pipe(to).pipe(from);
    for (const each of [from, to]) {
      each.on('error', () => {
        from.destroy();
        to.destroy();
      });
    }
  }

  async #list<Item>(path: string): Promise<readonly Item[]> {
    const { status, body } = await this.#client.request<{ readonly items: readonly Item[] }>('GET', path);
    return status === 200 ? body.items : [];
  }
}

if (import.meta.main) await serveNode(JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as Settings);
