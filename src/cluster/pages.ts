import { setTimeout as sleep } from 'node:timers/promises';
import { isObject } from '../core/shape.ts';
import { type ApiConnection, type ApiResponse, ClusterError, rejectionOf } from './client.ts';
import { collectionPath } from './object.ts';

/** The objects of one kind. */
export interface PageQuery {
  readonly apiVersion: string;
  readonly kind: string;
  /** Absent: all namespaces. */
  readonly namespace?: string;
  /** A label selector. */
  readonly labels?: string;
  /** A field selector. */
  readonly fields?: string;
  /** Objects in a page. */
  readonly size: number;
  /** Whether `metadata` is enough. */
  readonly isMetadataOnly?: boolean;
}

export interface Page {
  /** As the API server returned them: the items of a list lack `apiVersion` and `kind`. */
  readonly items: readonly unknown[];
  /** Whether the items may be of a later moment than those of the pages before. */
  readonly isLate: boolean;
}

export interface PageOptions {
  /** Ends the list; its reason is thrown. */
  readonly signal: AbortSignal;
  /** For one page, in milliseconds. */
  readonly timeoutMs?: number;
  /** Waits before a request is sent again. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** A page of a busy API server takes longer than the read of one object. */
const PAGE_TIMEOUT_MS = 30_000;
/** Before each of the repeated requests, unless the API server says `Retry-After`. */
const PAUSES_MS = [1_000, 2_000, 4_000, 8_000, 8_000];
const GONE = 410;
const METADATA_ONLY = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

/**
 * Lists objects page by page, in the order of the API server. A page is released before the next one is requested, so that memory does not grow
 * with the number of objects.
 *
 * - `resourceVersion` is not sent: with `0` the API server ignores the limit, and returns everything.
 * - A continue token that expired (410) is replaced by the one that the error contains. The rest of the list is then of a later moment.
 * - A request is repeated when the API server is busy or fails, or the connection breaks: five times, then the list fails.
 *
 * Throws a ClusterError, or the reason of the signal.
 */
export async function* pages(api: ApiConnection, query: PageQuery, options: PageOptions): AsyncGenerator<Page, void, undefined> {
  const cursor: PageCursor = { token: '', isLate: false };
  // No variable here holds a page: it would live until the next page is there.
  while (cursor.token !== undefined) yield await readPage(api, query, options, cursor);
}

/** Where a list goes on. */
interface PageCursor {
  /** Of the next page; '': the first one; undefined: there is none. */
  token: string | undefined;
  isLate: boolean;
}

/** Reads the page at the cursor, and moves the cursor behind it. */
async function readPage(api: ApiConnection, query: PageQuery, options: PageOptions, cursor: PageCursor): Promise<Page> {
  const { token = '' } = cursor;
  const response = await sendPatiently(api, pathOf(query, token), query, options);
  const next = continueOf(response.body);
  cursor.token = next;
  if (response.status === GONE && next !== undefined && next !== token) {
    cursor.isLate = true;
    return readPage(api, query, options, cursor);
  }
  if (response.status >= 300) throw rejectionOf(api, response, describe(query));
  const items = itemsOf(response.body);
  if (items !== undefined) return { items, isLate: cursor.isLate };
  const problem = `cannot ${describe(query)}: what ${api.server} answers is no list of the Kubernetes API`;
  throw new ClusterError(problem, { isRetryable: false });
}

function pathOf({ apiVersion, kind, namespace, labels, fields, size }: PageQuery, token: string): string {
  const parameters = new URLSearchParams({ limit: String(size) });
  if (labels !== undefined) parameters.set('labelSelector', labels);
  if (fields !== undefined) parameters.set('fieldSelector', fields);
  if (token !== '') parameters.set('continue', token);
  return `${collectionPath(apiVersion, kind, namespace)}?${parameters}`;
}

async function sendPatiently(
  api: ApiConnection,
  path: string,
  { isMetadataOnly = false }: PageQuery,
  { signal, timeoutMs = PAGE_TIMEOUT_MS, pause = wait }: PageOptions,
): Promise<ApiResponse> {
  for (let attempt = 0; ; attempt += 1) {
    const pauseMs = PAUSES_MS[attempt];
    const sent = api.send('GET', path, { signal, timeoutMs, ...(isMetadataOnly && { accept: METADATA_ONLY }) });
    if (pauseMs === undefined) return sent;
    const response = await sent.catch((error: unknown) => {
      if (error instanceof ClusterError && error.isRetryable) return undefined;
      throw error;
    });
    if (response !== undefined && !isBusy(response)) return response;
    await pause(retryAfterOf(response) ?? pauseMs, signal);
  }
}

/** Throws the reason of the signal, as a request does. */
async function wait(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}

const isBusy = ({ status }: ApiResponse): boolean => status === 429 || status >= 500;

/** In milliseconds. The API server sends whole seconds. */
function retryAfterOf(response: ApiResponse | undefined): number | undefined {
  const seconds = response?.headers['retry-after'];
  return seconds !== undefined && /^\d{1,5}$/.test(seconds) ? Number(seconds) * 1_000 : undefined;
}

/** Of a list, or of a Status with the reason Expired. */
function continueOf(body: unknown): string | undefined {
  const metadata = isObject(body) && isObject(body.metadata) ? body.metadata : {};
  return typeof metadata.continue === 'string' && metadata.continue !== '' ? metadata.continue : undefined;
}

function itemsOf(body: unknown): readonly unknown[] | undefined {
  if (!isObject(body)) return undefined;
  // An empty list of some kinds is null.
  return Array.isArray(body.items) ? body.items : body.items === null ? [] : undefined;
}

const describe = ({ kind, namespace }: PageQuery): string => `list ${kind} objects in ${namespace ?? 'all namespaces'}`;
