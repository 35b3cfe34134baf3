import { beforeAll, expect, test } from 'vitest';
import { publishedPodSchemas } from '../../tools/commands/openapi.ts';
import { type ApiServer, useApiServer } from '../support/api-server.ts';
import { tested } from '../support/kubernetes.ts';
import { podPaths, podSchemas } from '../support/openapi.ts';

let apiServer: ApiServer;

beforeAll(async () => {
  apiServer = await useApiServer();
});

test('T12: the fixture equals the pod schema of the API server: else run `node tools/commands/openapi.ts`', async () => {
  expect(podSchemas(tested.version)).toEqual(await publishedPodSchemas(apiServer.admin));
});

test('the paths of the fixture are the fields that kubectl explains', async () => {
  const { stdout } = await apiServer.kubectl(['explain', 'pods.spec', '--recursive']);
  const explained = fieldsOf(stdout.slice(stdout.indexOf('\nFIELDS:')));
  const fields = podPaths(podSchemas(tested.version))
    .filter((path) => !/(\[\*\]|\.\*)$/.test(path))
    .map((path) => path.replaceAll('[*]', ''));
  expect(explained.length).toBeGreaterThan(1_000);
  expect(fields.toSorted()).toEqual(explained.toSorted());
});

/** kubectl prints a tree: two spaces deeper for each level, then the name and its type. */
function fieldsOf(tree: string): readonly string[] {
  const parents = ['spec'];
  return [...tree.matchAll(/^((?: {2})+)(\w+)\t</gm)].map(([, indent = '', name = '']) => {
    parents.length = indent.length / 2;
    parents.push(name);
    return parents.join('.');
  });
}
