import type { KubeConfig } from '@kubernetes/client-node';
import { err, ok, type Result } from '../core/result.ts';
import { printConnectionError } from '../io-errors.ts';
import { collectionPath, type LiveObject, objectPath, type Reference, titleOf } from './object.ts';

/** Access to a cluster. Each call on objects throws a ClusterError when the API server cannot be reached, or rejects the request. */
export interface Cluster {
  /** @returns undefined when the object does not exist */
  read(object: Reference): Promise<LiveObject | undefined>;
  list(apiVersion: string, kind: string, place: ListPlace): Promise<readonly LiveObject[]>;
  /** @returns false when another client created the object with other content */
  create(object: Reference): Promise<boolean>;
  /** @returns false when another client changed or deleted the object after it was read */
  update(object: LiveObject): Promise<boolean>;
  /** A server-side dry run. @returns the object as the API server would store it */
  tryCreate(object: Reference): Promise<object>;
}

export interface ListPlace {
  /** Absent: all namespaces. */
  readonly namespace?: string;
  /** A label selector, such as `app=web`. */
  readonly selector: string;
  /** Only objects of this name: RBAC may then allow the list for the name alone. */
  readonly name?: string;
}

/** Access to a cluster for the commands that delete objects. */
export interface DeletingCluster extends Cluster {
  /** @returns false when another client changed or deleted the object after it was read */
  delete(object: LiveObject): Promise<boolean>;
}

/** The version of Kubernetes that an API server behaves like: its emulated version if it emulates one, otherwise its own. */
export interface ServerVersion {
  readonly major: number;
  readonly minor: number;
}

/** Why the API server did not answer a request, or rejected it; the message is for the user of the command. */
export class ClusterError extends Error {
  /** Whether the same request may succeed a moment later. */
  readonly isRetryable: boolean;
  /** The HTTP status; undefined: there was no answer. */
  readonly status: number | undefined;

  constructor(message: string, { isRetryable, status }: { readonly isRetryable: boolean; readonly status?: number }) {
    super(message);
    this.name = 'ClusterError';
    this.isRetryable = isRetryable;
    this.status = status;
  }
}

export interface ClusterOptions {
  /** Absent: KUBECONFIG, ~/.kube/config, or the service account of the pod. */
  readonly kubeconfig?: string;
  /** Absent: the current context. */
  readonly context?: string;
  /** The advice to print when RBAC forbids a request. Absent: to give the identity the roles that `cloister manifests --rbac` prints. */
  readonly whenForbidden?: string;
}

/** The name of this client in managedFields. */
const FIELD_MANAGER = 'cloister';
const TIMEOUT_MS = 10_000;

/**
 * Connects to the cluster that a kubeconfig names. This sends no request.
 *
 * The library finds the cluster and authenticates. Objects are sent and received as plain JSON: the models of the library drop each field
 * that they do not know, in both directions.
 * @returns the cluster, or what is wrong with the kubeconfig
 */
export async function connect(options: ClusterOptions): Promise<Result<DeletingCluster, string>> {
  const api = await openApi(options);
  return api.ok ? ok(clusterOf(api.value)) : api;
}

/** As `connect`, for requests that a Cluster has no function for. */
export async function openApi({ kubeconfig, context, whenForbidden = NO_ROLES }: ClusterOptions): Promise<Result<ApiConnection, string>> {
  // The import takes half a second. It is here, so that `--help` does not wait for it.
  const { IsomorphicFetchHttpLibrary, KubeConfig, RequestContext } = await import('@kubernetes/client-node');
  const loaded = load(new KubeConfig(), { kubeconfig, context });
  if (!loaded.ok) return loaded;
  const { config, server } = loaded.value;
  const library = new IsomorphicFetchHttpLibrary();
  return ok({ server, send, whenForbidden });

  async function send(
    method: ApiMethod,
    path: string,
    { body, contentType = 'application/json', accept = 'application/json', timeoutMs = TIMEOUT_MS, signal }: RequestContent = {},
  ): Promise<ApiResponse> {
    const request = new RequestContext(server + path, method);
    const timeout = AbortSignal.timeout(timeoutMs);
    request.setSignal(signal === undefined ? timeout : AbortSignal.any([timeout, signal]));
    request.setHeaderParam('Accept', accept);
    if (body !== undefined) {
      request.setHeaderParam('Content-Type', contentType);
      request.setBody(JSON.stringify(body));
    }
    try {
      await config.applySecurityAuthentication(request);
      const response = await library.send(request).toPromise();
      const text = await response.body.text();
      return {
        status: response.httpStatusCode,
        headers: response.headers,
        body: TEXTS.includes(accept) && response.httpStatusCode < 300 ? text : parse(text),
      };
    } catch (error) {
      signal?.throwIfAborted();
      const problem = `the API server at ${server} cannot be reached: ${printConnectionError(error, timeoutMs)}`;
      throw new ClusterError(problem, { isRetryable: true });
    }
  }
}

export interface ObjectChange {
  /** Undefined: the object did not exist. */
  readonly before: Reference | undefined;
  /** Undefined: the object was deleted. */
  readonly after: Reference | undefined;
}

/** A cluster that keeps all writes in memory: reads return what the writes before them would have stored. */
export function dryRun(cluster: DeletingCluster): { readonly simulated: DeletingCluster; changes(): readonly ObjectChange[] } {
  const original = new Map<string, LiveObject | undefined>();
  const written = new Map<string, LiveObject | undefined>();
  const simulated: DeletingCluster = {
    async list(apiVersion, kind, place) {
      const found = await cluster.list(apiVersion, kind, place);
      return found.filter((each) => !written.has(titleOf({ ...each, kind })));
    },
    tryCreate: cluster.tryCreate,
    async read(object) {
      if (written.has(titleOf(object))) return written.get(titleOf(object));
      const found = await cluster.read(object);
      original.set(titleOf(object), found);
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
    async delete(object) {
      original.set(titleOf(object), object);
      written.set(titleOf(object), undefined);
      return true;
    },
  };
  return { simulated, changes: () => [...written].map(([title, after]) => ({ before: original.get(title), after })) };
}

type ApiMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

interface RequestContent {
  readonly body?: object;
  readonly contentType?: string;
  /** By default JSON. */
  readonly accept?: string;
  readonly timeoutMs?: number;
  /** Its reason is thrown when it aborts the request. */
  readonly signal?: AbortSignal;
}

export interface ApiResponse {
  readonly status: number;
  /** By their names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** An authenticated way to an API server. */
export interface ApiConnection {
  /** Address of the API server. */
  readonly server: string;
  /** The advice to print when RBAC forbids a request. */
  readonly whenForbidden: string;
  /** Throws a ClusterError when the API server cannot be reached; every answer is returned, also a rejection. */
  send(method: ApiMethod, path: string, content?: RequestContent): Promise<ApiResponse>;
}

/** For `accept`: the body of the answer is then a text. */
export const PLAIN_TEXT = 'text/plain';
/** The same, for what the API server passes on from a kubelet, such as a log: it answers `text/plain` with 406 there. */
export const PASSED_ON = '*/*';
const TEXTS: readonly string[] = [PLAIN_TEXT, PASSED_ON];

const AS_MANAGER = `fieldManager=${FIELD_MANAGER}`;
const NOT_FOUND = 404;
const CONFLICT = 409;

export function clusterOf(api: ApiConnection): DeletingCluster {
  const { send } = api;
  return {
    async read(object) {
      const response = await send('GET', objectPath(object));
      return response.status === NOT_FOUND ? undefined : (successOf(response, `read ${titleOf(object)}`) as LiveObject);
    },
    async list(apiVersion, kind, { namespace, selector, name }) {
      const parameters = new URLSearchParams({ labelSelector: selector });
      if (name !== undefined) parameters.set('fieldSelector', `metadata.name=${name}`);
      const response = await send('GET', `${collectionPath(apiVersion, kind, namespace)}?${parameters}`);
      return (successOf(response, `list ${kind} objects in ${namespace ?? 'all namespaces'}`) as { readonly items: readonly LiveObject[] })
        .items;
    },
    async create(object) {
      // Server-side apply instead of POST: RBAC can then allow creation of this name alone. An object that exists with the same content is
      // left unchanged; other content is a conflict.
      const content = { body: object, contentType: 'application/apply-patch+yaml' };
      const response = await send('PATCH', `${objectPath(object)}?${AS_MANAGER}`, content);
      if (response.status === CONFLICT) return false;
      successOf(response, `create ${titleOf(object)}`);
      return true;
    },
    async update(object) {
      const response = await send('PUT', `${objectPath(object)}?${AS_MANAGER}`, { body: object });
      if (response.status === CONFLICT || response.status === NOT_FOUND) return false;
      successOf(response, `update ${titleOf(object)}`);
      return true;
    },
    async delete(object) {
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { resourceVersion: object.metadata.resourceVersion } };
      const response = await send('DELETE', objectPath(object), { body });
      if (response.status === CONFLICT || response.status === NOT_FOUND) return false;
      successOf(response, `delete ${titleOf(object)}`);
      return true;
    },
    async tryCreate(object) {
      // By server-side apply, as in `create`.
      const content = { body: object, contentType: 'application/apply-patch+yaml' };
      const response = await send('PATCH', `${objectPath(object)}?${AS_MANAGER}&dryRun=All`, content);
      return successOf(response, `create ${titleOf(object)} in a dry run`) as object;
    },
  };

  function successOf(response: ApiResponse, what: string): unknown {
    if (response.status < 300) return response.body;
    throw rejectionOf(api, response, what);
  }
}

/** @param what was asked for, worded to follow "cannot" */
export function rejectionOf({ server, whenForbidden }: ApiConnection, { status, body }: ApiResponse, what: string): ClusterError {
  const { message } = (typeof body === 'object' && body !== null ? body : {}) as { readonly message?: string };
  const why = message ?? `status ${status}`;
  const remedy = status === FORBIDDEN ? `; ${whenForbidden}` : (REMEDIES.get(status) ?? '');
  return new ClusterError(`cannot ${what}: the API server at ${server} says: ${why}${remedy}`, {
    isRetryable: RETRYABLE.includes(status),
    status,
  });
}

/** Providers append a plus sign to the minor version: `30+`. */
const NUMBER = /^\d+/;

/** @returns undefined: the answer of `/version` has no numbers */
export function versionIn(body: unknown): ServerVersion | undefined {
  const info = (typeof body === 'object' && body !== null ? body : {}) as { readonly [field: string]: unknown };
  const numberOf = (field: string): number => Number(NUMBER.exec(String(info[field]))?.[0]);
  // Feature gates follow the emulated version. Only newer API servers report an emulated version.
  const versions = ['emulationMajor emulationMinor', 'major minor'].map((fields) => fields.split(' ').map(numberOf));
  const [major = 0, minor = 0] = versions.find((numbers) => !numbers.some(Number.isNaN)) ?? [];
  return major === 0 ? undefined : { major, minor };
}

export const FORBIDDEN = 403;

/** Whether RBAC, or an admission plugin, rejected a request. */
export function isForbidden(error: unknown): error is ClusterError {
  return error instanceof ClusterError && error.status === FORBIDDEN;
}

const NO_ROLES = 'give this identity the roles that `cloister manifests --rbac` prints';
const REMEDIES: ReadonlyMap<number, string> = new Map([
  [401, '; the credentials of the kubeconfig or service account are not valid: renew them'],
]);
const RETRYABLE = [429, 500, 502, 503, 504];

interface LoadedKubeConfig {
  readonly config: KubeConfig;
  /** Address of the API server, without a trailing slash. */
  readonly server: string;
}

function load(
  config: KubeConfig,
  { kubeconfig, context }: { [Option in 'kubeconfig' | 'context']: ClusterOptions[Option] | undefined },
): Result<LoadedKubeConfig, string> {
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
  } catch (error) {
    return err(`${kubeconfig ?? 'the kubeconfig'} cannot be used: ${(error as Error).message}`);
  }
  if (context !== undefined && config.getContextObject(context) === null) {
    const known = config.getContexts().map(({ name }) => name);
    return err(`--context ${context}: the kubeconfig has no such context; it has ${known.join(', ') || 'none'}`);
  }
  if (context !== undefined) config.setCurrentContext(context);
  const server = config.getCurrentCluster()?.server;
  // The library uses this address when it finds no cluster.
  if (server === undefined || server === 'http://localhost:8080') {
    return err('no cluster is named: name a kubeconfig with --kubeconfig or KUBECONFIG, or run this in a pod with a service account');
  }
  return ok({ config, server: server.replace(/\/+$/, '') });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { message: text.slice(0, 500) };
  }
}
