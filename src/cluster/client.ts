import type { KubeConfig } from '@kubernetes/client-node';
import type { Result } from '../core/result.ts';
import { collectionPath, type LiveObject, objectPath, type Reference, titleOf } from './object.ts';

/** What a command may do with a cluster's objects. All of it throws a ClusterError when the API server cannot be reached, or says no. */
export interface Cluster {
  /** Undefined: there is none. */
  read(object: Reference): Promise<LiveObject | undefined>;
  /** @param selector of labels, such as `app=web` */
  list(apiVersion: string, kind: string, place: { readonly namespace: string; readonly selector: string }): Promise<readonly LiveObject[]>;
  /** @returns false when somebody else made it meanwhile, and differently */
  create(object: Reference): Promise<boolean>;
  /** @returns false when it is no longer what was read: somebody else wrote or removed it meanwhile */
  update(object: LiveObject): Promise<boolean>;
}

/** Why the API server did not do what it was asked; the message is a sentence for whoever runs the command. */
export class ClusterError extends Error {
  /** Whether asking again a moment later may help. */
  readonly isPassing: boolean;

  constructor(message: string, { isPassing }: { readonly isPassing: boolean }) {
    super(message);
    this.name = 'ClusterError';
    this.isPassing = isPassing;
  }
}

export interface ClusterOptions {
  /** Absent: KUBECONFIG, ~/.kube/config, or the service account of the pod that this runs in. */
  readonly kubeconfig?: string;
  /** Absent: the current one. */
  readonly context?: string;
}

/** In managedFields, who wrote a field. */
const FIELD_MANAGER = 'cloister';
const TIMEOUT_MS = 10_000;

/**
 * A way to the cluster that a kubeconfig names. Nothing is asked of it yet.
 *
 * The library finds the cluster and proves who we are. Objects go as plain JSON: its models would drop each field that they do not know, on
 * the way in and on the way back.
 * @returns the way, or what is wrong with the kubeconfig
 */
export async function connect({ kubeconfig, context }: ClusterOptions): Promise<Result<Cluster, string>> {
  // Late, because it takes half a second: whoever only asks for the help does not wait for it.
  const { IsomorphicFetchHttpLibrary, KubeConfig, RequestContext } = await import('@kubernetes/client-node');
  const loaded = load(new KubeConfig(), { kubeconfig, context });
  if (!loaded.ok) return loaded;
  const { config, server } = loaded.value;
  const library = new IsomorphicFetchHttpLibrary();
  return { ok: true, value: clusterOf(server, send) };

  async function send(method: Method, path: string, { body, contentType = 'application/json' }: Content = {}): Promise<Answer> {
    const request = new RequestContext(server + path, method);
    request.setSignal(AbortSignal.timeout(TIMEOUT_MS));
    request.setHeaderParam('Accept', 'application/json');
    if (body !== undefined) {
      request.setHeaderParam('Content-Type', contentType);
      request.setBody(JSON.stringify(body));
    }
    try {
      await config.applySecurityAuthentication(request);
      const response = await library.send(request).toPromise();
      const text = await response.body.text();
      return { status: response.httpStatusCode, body: parse(text) };
    } catch (error) {
      throw new ClusterError(`the API server at ${server} cannot be reached: ${reasonOf(error)}`, { isPassing: true });
    }
  }
}

export interface Change {
  /** Undefined: it was not there. */
  readonly before: Reference | undefined;
  readonly after: Reference;
}

/** A cluster whose objects are changed in memory alone: what is read after a write is what the write would have left. */
export function rehearse(cluster: Cluster): { readonly rehearsal: Cluster; changes(): readonly Change[] } {
  const first = new Map<string, LiveObject | undefined>();
  const written = new Map<string, LiveObject>();
  const rehearsal: Cluster = {
    list: cluster.list,
    async read(object) {
      const known = written.get(titleOf(object));
      if (known !== undefined) return known;
      const found = await cluster.read(object);
      first.set(titleOf(object), found);
      return found;
    },
    async create(object) {
      written.set(titleOf(object), { ...object, metadata: { ...object.metadata, resourceVersion: '' } });
      return true;
    },
    async update(object) {
      written.set(titleOf(object), object);
      return true;
    },
  };
  return { rehearsal, changes: () => [...written].map(([title, after]) => ({ before: first.get(title), after })) };
}

type Method = 'GET' | 'PUT' | 'PATCH';

interface Content {
  readonly body?: object;
  readonly contentType?: string;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

type Send = (method: Method, path: string, content?: Content) => Promise<Answer>;

const BY_US = `fieldManager=${FIELD_MANAGER}`;
const NOT_FOUND = 404;
const CONFLICT = 409;

function clusterOf(server: string, send: Send): Cluster {
  return {
    async read(object) {
      const answer = await send('GET', objectPath(object));
      return answer.status === NOT_FOUND ? undefined : (taken(answer, `read ${titleOf(object)}`) as LiveObject);
    },
    async list(apiVersion, kind, { namespace, selector }) {
      const answer = await send('GET', `${collectionPath(apiVersion, kind, namespace)}?labelSelector=${encodeURIComponent(selector)}`);
      return (taken(answer, `list ${kind} objects in ${namespace}`) as { readonly items: readonly LiveObject[] }).items;
    },
    async create(object) {
      // Applied, not posted: the right to create can then be given for this name alone. What is there already and says the same stays as it
      // is; what says something else is a conflict.
      const content = { body: object, contentType: 'application/apply-patch+yaml' };
      const answer = await send('PATCH', `${objectPath(object)}?${BY_US}`, content);
      if (answer.status === CONFLICT) return false;
      taken(answer, `create ${titleOf(object)}`);
      return true;
    },
    async update(object) {
      const answer = await send('PUT', `${objectPath(object)}?${BY_US}`, { body: object });
      if (answer.status === CONFLICT || answer.status === NOT_FOUND) return false;
      taken(answer, `update ${titleOf(object)}`);
      return true;
    },
  };

  function taken({ status, body }: Answer, what: string): unknown {
    if (status < 300) return body;
    const { message } = (typeof body === 'object' && body !== null ? body : {}) as { readonly message?: string };
    const why = message ?? `status ${status}`;
    const remedy = REMEDIES.get(status) ?? '';
    throw new ClusterError(`cannot ${what}: the API server at ${server} says: ${why}${remedy}`, { isPassing: PASSING.includes(status) });
  }
}

const REMEDIES: ReadonlyMap<number, string> = new Map([
  [401, '; the credentials of the kubeconfig or service account are no good: renew them'],
  [403, '; give this identity the roles that `cloister manifests --rbac` prints'],
]);
const PASSING = [429, 500, 502, 503, 504];

interface Loaded {
  readonly config: KubeConfig;
  /** Its address, without a slash at the end. */
  readonly server: string;
}

function load(
  config: KubeConfig,
  { kubeconfig, context }: { [Option in keyof ClusterOptions]: ClusterOptions[Option] | undefined },
): Result<Loaded, string> {
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
  } catch (error) {
    return { ok: false, error: `${kubeconfig ?? 'the kubeconfig'} cannot be used: ${(error as Error).message}` };
  }
  if (context !== undefined && config.getContextObject(context) === null) {
    const known = config.getContexts().map(({ name }) => name);
    return { ok: false, error: `--context ${context}: the kubeconfig has no such context; it has ${known.join(', ') || 'none'}` };
  }
  if (context !== undefined) config.setCurrentContext(context);
  const server = config.getCurrentCluster()?.server;
  // What the library makes up where it finds nothing.
  if (server === undefined || server === 'http://localhost:8080') {
    return {
      ok: false,
      error: 'no cluster is named: name a kubeconfig with --kubeconfig or KUBECONFIG, or run this in a pod with a service account',
    };
  }
  return { ok: true, value: { config, server: server.replace(/\/+$/, '') } };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { message: text.slice(0, 500) };
  }
}

/** `fetch failed` says nothing; its cause does. */
function reasonOf(error: unknown): string {
  const { cause, message, name } = error as Error & { readonly cause?: NodeJS.ErrnoException };
  if (name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1_000} s`;
  return cause?.code ?? cause?.message ?? message;
}
