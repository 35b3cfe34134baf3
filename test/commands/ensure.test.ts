import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/ensure.ts';
import { cloister } from '../support/run.ts';

/** The parts that need no cluster. test/api-server/ensure.test.ts tests the others on an API server. */

const nowhere = { KUBECONFIG: '/nowhere/kubeconfig', HOME: '/nowhere' };
const ensure = (...args: readonly string[]) => cloister(['ensure', '--service', 'cloister/cloister', ...args], '', nowhere);

describe('unusable input', () => {
  test.each([
    ['no Service', ['ensure'], 'error: --service is missing: name the Service at which the API server calls Cloister\n'],
    [
      'an unknown flag, before the missing one',
      ['ensure', '--servise', 'a/b'],
      "error: unknown option '--servise'\n(Did you mean --service?)\n",
    ],
    [
      'a Service without a namespace',
      ['ensure', '--service', 'cloister'],
      "'cloister' is invalid. It must be NAMESPACE/NAME or NAMESPACE/NAME:PORT",
    ],
    ['an unknown keeper', ['ensure', '--service', 'a/b', '--certificates', 'me'], 'Allowed choices are ensure, files.'],
    [
      'an endpoint without its second port',
      ['ensure', '--service', 'a/b', '--serving-endpoints', '127.0.0.1:1'],
      'HOST:PORT/OPERATIONS-PORT',
    ],
    ['an invalid port', ['ensure', '--service', 'a/b', '--operations-port', '0'], 'It must be a number from 1 to 65535.'],
    ['an invalid duration', ['ensure', '--service', 'a/b', '--wait', '5'], 'like 2m, 5s or 500ms.'],
    ['a missing configuration', ['ensure', '--service', 'a/b', '--config', '/nowhere/c.yaml'], 'error: /nowhere/c.yaml cannot be read'],
  ])('ensure exits with 2 and a message for %s', async (_, args, message) => {
    const { code, stdout, stderr } = await cloister(args, '', nowhere);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
  });

  test('ensure exits with 2 for a missing kubeconfig', async () => {
    const { code, stderr } = await ensure('--kubeconfig', '/nowhere/kubeconfig');
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: \/nowhere\/kubeconfig cannot be used: .*\n$/);
  });

  test('ensure exits with 2 where no cluster is named', async () => {
    const { code, stderr } = await cloister(['ensure', '--service', 'a/b'], '', { KUBECONFIG: '', HOME: '/nowhere' });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: no cluster is named: name a kubeconfig with --kubeconfig or KUBECONFIG/);
  });

  test('ensure exits with 2 for a context that the kubeconfig lacks', async () => {
    const file = join(await temporaryFolder(), 'kubeconfig');
    const contexts = [{ name: 'here', context: { cluster: 'c', user: 'u' } }];
    await writeFile(
      file,
      JSON.stringify({
        clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:59999' } }],
        users: [{ name: 'u', user: {} }],
        contexts,
      }),
    );
    const { code, stderr } = await ensure('--kubeconfig', file, '--context', 'there');
    expect([code, stderr]).toEqual([2, 'error: --context there: the kubeconfig has no such context; it has here\n']);
  });
});

test('the help of ensure does not import the Kubernetes client', async () => {
  const hooks = `import { registerHooks } from 'node:module';
    registerHooks({ load: (url, context, next) => (process.stderr.write(url + '\\n'), next(url, context)) });`;
  const { code, stderr } = await cloister(['ensure', '--help'], '', {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hooks)}`,
  });
  expect(code).toBe(0);
  expect(stderr).toContain('/src/cluster/client.ts');
  expect(stderr).not.toContain('@kubernetes/client-node');
});
