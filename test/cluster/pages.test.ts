import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, test } from 'vitest';
import { openApi } from '../../src/cluster/client.ts';
import { type PageOptions, type PageQuery, pages } from '../../src/cluster/pages.ts';
import { type Answer, type FalseApiServer, json, startFalseApiServer } from '../support/false-api-server.ts';

/** A server that is not ours fails as no real API server can be made to; test/api-server/scan.test.ts has the real one. */

const POD_QUERY = { apiVersion: 'v1', kind: 'Pod', size: 2 } as const;
const page = (names: readonly string[], token = ''): Answer =>
  json(200, { kind: 'PodList', metadata: { continue: token }, items: names.map((name) => ({ metadata: { name } })) });
const gone = (token?: string): Answer =>
  json(410, { kind: 'Status', reason: 'Expired', message: 'The provided continue parameter is too old', metadata: { continue: token } });
const busy = (headers = {}): Answer => json(429, { kind: 'Status', message: 'too many requests' }, headers);

let server: FalseApiServer | undefined;
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

interface Listed {
  readonly names: readonly (readonly string[])[];
  readonly late: readonly boolean[];
  readonly pauses: readonly number[];
  readonly error: unknown;
}

/** Lists what a server with these answers has; no pause is waited for. */
async function list(answers: readonly Answer[], query: Partial<PageQuery> = {}, options: Partial<PageOptions> = {}): Promise<Listed> {
  server = await startFalseApiServer(answers);
  const api = await openApi({ kubeconfig: server.kubeconfig, whenForbidden: 'ask for the right' });
  if (!api.ok) throw new Error(api.error);
  const names: string[][] = [];
  const late: boolean[] = [];
  const pauses: number[] = [];
  const pause = async (ms: number): Promise<void> => {
    pauses.push(ms);
  };
  try {
    for await (const { items, isLate } of pages(
      api.value,
      { ...POD_QUERY, ...query },
      { signal: new AbortController().signal, pause, ...options },
    )) {
      names.push(items.map((item) => (item as { metadata: { name: string } }).metadata.name));
      late.push(isLate);
    }
    return { names, late, pauses, error: undefined };
  } catch (error) {
    return { names, late, pauses, error };
  }
}

const tokens = (): (string | null)[] => server?.requests.map(({ searchParams }) => searchParams.get('continue')) ?? [];

describe('pages', () => {
  test('a list is read page by page, and resourceVersion is never sent', async () => {
    const { names, late, error } = await list([page(['a', 'b'], 't1'), page(['c', 'd'], 't2'), page(['e'])]);
    expect({ names, late, error }).toEqual({ names: [['a', 'b'], ['c', 'd'], ['e']], late: [false, false, false], error: undefined });
    expect(tokens()).toEqual([null, 't1', 't2']);
    for (const { pathname, searchParams } of server?.requests ?? []) {
      expect(pathname).toBe('/api/v1/pods');
      expect(searchParams.get('limit')).toBe('2');
      expect(searchParams.has('resourceVersion')).toBe(false);
    }
  });

  test('namespace, selectors and the wish for metadata alone are in the request', async () => {
    let accept: string | undefined;
    const answer: Answer = (response, request) => {
      accept = request.headers.accept;
      page([])(response, request);
    };
    const query = { namespace: 'team-a', labels: 'a=b,c', fields: 'status.phase!=Failed', isMetadataOnly: true };
    expect((await list([answer], query)).names).toEqual([[]]);
    const [request] = server?.requests ?? [];
    expect(request?.pathname).toBe('/api/v1/namespaces/team-a/pods');
    expect(request?.searchParams.get('labelSelector')).toBe('a=b,c');
    expect(request?.searchParams.get('fieldSelector')).toBe('status.phase!=Failed');
    expect(accept).toBe('application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1');
  });

  test('a list whose items are null is empty', async () => {
    expect(await list([json(200, { kind: 'EventList', metadata: {}, items: null })])).toMatchObject({ names: [[]], error: undefined });
  });

  test('after 410 Gone, the list goes on with the token of the error, and says that the rest is of a later moment', async () => {
    const { names, late, error } = await list([page(['a'], 't1'), gone('t2'), page(['b'], 't3'), page(['c'])]);
    expect({ names, late, error }).toEqual({ names: [['a'], ['b'], ['c']], late: [false, true, true], error: undefined });
    expect(tokens()).toEqual([null, 't1', 't2', 't3']);
  });

  test.each([
    ['has no token', [page(['a'], 't1'), gone()]],
    ['has the token that expired', [page(['a'], 't1'), gone('t1')]],
  ])('410 Gone ends the list where it %s', async (_, answers) => {
    const { names, error } = await list(answers);
    expect(names).toEqual([['a']]);
    expect(String(error)).toContain('The provided continue parameter is too old');
  });

  test('a busy API server is asked again after Retry-After', async () => {
    const { names, pauses } = await list([busy({ 'retry-after': '7' }), page(['a'])]);
    expect([names, pauses]).toEqual([[['a']], [7_000]]);
  });

  test('without Retry-After the pauses double, and after five repetitions the list fails', async () => {
    const { pauses, error } = await list([busy()]);
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 8_000]);
    expect(server?.requests).toHaveLength(6);
    expect(error).toMatchObject({ name: 'ClusterError', status: 429, isRetryable: true });
    expect(String(error)).toContain('cannot list Pod objects in all namespaces');
  });

  test.each([500, 503])('status %i is repeated, and each page starts with short pauses again', async (status) => {
    const failed = json(status, { kind: 'Status', message: 'etcdserver: leader changed' });
    const { names, pauses } = await list([failed, failed, page(['a'], 't1'), failed, page(['b'])]);
    expect([names, pauses]).toEqual([
      [['a'], ['b']],
      [1_000, 2_000, 1_000],
    ]);
  });

  test('a connection that breaks in a body is repeated', async () => {
    const broken: Answer = (response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
      response.write('{"kind": "PodList", "items": [');
      setTimeout(() => response.destroy(), 20);
    };
    const { names, pauses } = await list([page(['a'], 't1'), broken, page(['b'])]);
    expect([names, pauses, tokens()]).toEqual([[['a'], ['b']], [1_000], [null, 't1', 't1']]);
  });

  test('a page that does not end is given up after its time, and requested again', async () => {
    const endless: Answer = (response) => response.writeHead(200, { 'content-type': 'application/json' }).write('{"items": [');
    const { names, pauses } = await list([endless, page(['a'])], {}, { timeoutMs: 200 });
    expect([names, pauses]).toEqual([[['a']], [1_000]]);
  });

  test('the signal ends a request and a pause, with its own reason', async () => {
    const reason = new Error('the time is over');
    const silent: Answer = () => {};
    const inRequest = await list([silent], {}, { signal: AbortSignal.any([abortAfter(100, reason)]) });
    expect(inRequest.error).toBe(reason);
    await server?.stop();
    server = await startFalseApiServer([busy({ 'retry-after': '3600' })]);
    const api = await openApi({ kubeconfig: server.kubeconfig });
    if (!api.ok) throw new Error(api.error);
    await expect(pages(api.value, POD_QUERY, { signal: abortAfter(100, reason) }).next()).rejects.toBe(reason);
  });

  test('a missing right is not repeated, and its message has the advice of the caller', async () => {
    const { pauses, error } = await list([json(403, { kind: 'Status', message: 'pods is forbidden' })], { namespace: 'team-a' });
    expect(pauses).toEqual([]);
    expect(error).toMatchObject({ status: 403, isRetryable: false });
    expect(String(error)).toMatch(/cannot list Pod objects in team-a: .* says: pods is forbidden; ask for the right$/);
  });

  test('an answer that is no list is an error', async () => {
    const { error } = await list([(response) => response.writeHead(200).end('<html>')]);
    expect(String(error)).toMatch(/cannot list Pod objects in all namespaces: what http:.* answers is no list of the Kubernetes API/);
  });

  test('a page is released before the next one is requested', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const released: boolean[] = [];
    let earlier: WeakRef<object> | undefined;
    const watching =
      (answer: Answer): Answer =>
      (response, request) => {
        // The consumer has the last page in its hands until it asks for the next one, which happens before this request.
        collectGarbage();
        if (earlier !== undefined) released.push(earlier.deref() === undefined);
        answer(response, request);
      };
    server = await startFalseApiServer([watching(page(['a'], 't1')), watching(page(['b'], 't2')), watching(page(['c']))]);
    const api = await openApi({ kubeconfig: server.kubeconfig });
    if (!api.ok) throw new Error(api.error);
    const iterator = pages(api.value, POD_QUERY, { signal: new AbortController().signal });
    const take = async (): Promise<boolean> => {
      const { done, value } = await iterator.next();
      earlier = value === undefined ? undefined : new WeakRef(value.items);
      return done === true;
    };
    while (!(await take()));
    expect(released).toEqual([true, true]);
  });
});

function abortAfter(ms: number, reason: Error): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), ms);
  return controller.signal;
}
