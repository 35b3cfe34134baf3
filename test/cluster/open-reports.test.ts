import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { openApi } from '../../src/cluster/client.ts';
import { type ReportWrites, writeOpenReports } from '../../src/cluster/open-reports.ts';
import { openReportsOf, REPORT_LABELS } from '../../src/report/scan/open-reports.ts';
import { type Answer, type FalseApiServer, json, startFalseApiServer } from '../support/false-api-server.ts';
import { HOST_PATH, PRIVILEGED, reportOf, rowOf } from '../support/scan-reports.ts';

/** What a real API server cannot be made to do; test/api-server/open-reports.test.ts has the real one. */

const rowsNamed = (...names: readonly string[]) => names.map((name) => rowOf({ name, uid: name, findings: [PRIVILEGED] }));
const liveOf = (...names: readonly string[]): readonly object[] =>
  openReportsOf(reportOf(rowsNamed(...names)), { maxReports: 1_000 }).reports.map((report) => ({
    ...report,
    metadata: { ...report.metadata, resourceVersion: '1' },
  }));
const page = (items: readonly object[], token = ''): Answer => json(200, { kind: 'ReportList', metadata: { continue: token }, items });

let server: FalseApiServer | undefined;
let methods: string[] = [];
afterEach(async () => {
  await server?.stop();
  server = undefined;
  methods = [];
});

/** @param lists answers to lists, one after the other; @param others answers to other requests, by method */
async function write(
  rows: Parameters<typeof reportOf>[0],
  lists: readonly Answer[],
  others: Readonly<Record<string, Answer>> = {},
  signal = new AbortController().signal,
): Promise<ReportWrites> {
  const remaining = [...lists];
  server = await startFalseApiServer([
    (response, request) => {
      const isList = request.method === 'GET' && request.url?.includes('labelSelector');
      if (!isList) methods.push(request.method ?? '');
      const answer = isList ? remaining.shift() : others[request.method ?? ''];
      return (answer ?? json(200, {}))(response, request);
    },
  ]);
  const api = await openApi({ kubeconfig: server.kubeconfig });
  if (!api.ok) throw new Error(api.error);
  const { reports } = openReportsOf(reportOf(rows), { maxReports: 1_000 });
  return writeOpenReports(api.value, { reports, namespaces: ['team-a'] }, REPORT_LABELS, signal);
}

const NONE = { created: 0, updated: 0, unchanged: 0, deleted: 0, problems: [] };
const changedRows = rowsNamed('a').map((row) => ({ ...row, findings: [HOST_PATH] }));

test('a report that a list returns twice, because its pages are of several moments, is not deleted', async () => {
  const gone = json(410, { kind: 'Status', reason: 'Expired', metadata: { continue: 'later' } });
  expect(await write(rowsNamed('a', 'b'), [page(liveOf('a'), 'next'), gone, page(liveOf('a', 'b'))])).toEqual({ ...NONE, unchanged: 3 });
  expect(methods).toEqual([]);
});

test('a report whose item of the list has no kind, as lists of the built-in kinds have none, is found', async () => {
  const items = liveOf('a').map((report) => ({ ...report, apiVersion: undefined, kind: undefined }));
  expect(await write(rowsNamed('a'), [page(items)])).toEqual({ ...NONE, unchanged: 1 });
});

test('a deletion names the version that was read, and one that comes too late is no problem', async () => {
  let body = '';
  const conflict: Answer = async (response, request) => {
    for await (const chunk of request) body += chunk;
    return json(409, { kind: 'Status', message: 'conflict' })(response, request);
  };
  expect(await write([], [page(liveOf('a'))], { DELETE: conflict })).toEqual(NONE);
  expect(JSON.parse(body)).toMatchObject({ kind: 'DeleteOptions', preconditions: { resourceVersion: '1' } });
});

test.each([
  ['whose pod is deleted meanwhile is no problem', json(404, {}), []],
  [
    'that another client changes meanwhile is named',
    json(200, {}),
    ['Report team-a/a was not written, because another client changed it at the same time: scan again'],
  ],
])('a report %s', async (_, read, problems) => {
  const writes = await write(changedRows, [page(liveOf('a'))], { PUT: json(409, { kind: 'Status', message: 'conflict' }), GET: read });
  expect(writes).toEqual({ ...NONE, problems });
  expect(methods).toEqual(['PUT', 'GET']);
});

test.each([
  [
    'without the labels of a scan is named with the command that deletes it',
    { labels: {} },
    /made a Report of this name: .* reports\.openreports\.io a --namespace team-a`/,
  ],
  ['of another scan is another write at the same time', {}, /because another client changed it at the same time: scan again$/],
])('a report of the same name %s', async (_, metadata, problem) => {
  const [live] = liveOf('a') as { readonly metadata: object }[];
  const others = {
    PATCH: json(409, { kind: 'Status', message: 'conflict' }),
    GET: json(200, { ...live, metadata: { ...live?.metadata, ...metadata } }),
  };
  const { problems } = await write(rowsNamed('a'), [page([])], others);
  expect(problems).toEqual([expect.stringMatching(problem)]);
});

test('an API server that fails once ends the writing with one sentence', async () => {
  const names = Array.from({ length: 50 }, (_, index) => `pod-${index}`);
  const failsOnce: Answer = async (response, request) => {
    const isFirst = methods.length === 1;
    // The others are under way when the first one fails.
    await pause(isFirst ? 0 : 200);
    return (isFirst ? json(500, { kind: 'Status', message: 'etcd is away' }) : json(201, {}))(response, request);
  };
  const { problems, created } = await write(rowsNamed(...names), [page([])], { PATCH: failsOnce });
  expect(problems).toEqual([expect.stringMatching(/^cannot create Report team-a\/pod-\d: .* etcd is away/)]);
  expect(methods).toHaveLength(4);
  expect(created).toBe(3);
});

test('the reason of the signal is thrown, and no further request is sent', async () => {
  const controller = new AbortController();
  const names = Array.from({ length: 50 }, (_, index) => `pod-${index}`);
  const abort: Answer = (response, request) => {
    controller.abort(new Error('too long'));
    return json(201, {})(response, request);
  };
  await expect(write(rowsNamed(...names), [page([])], { PATCH: abort }, controller.signal)).rejects.toThrow('too long');
  expect(methods.length).toBeLessThanOrEqual(4);
});
