import { readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { kubernetesBinaries } from '../../tools/programs/kubernetes.ts';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import { run } from '../support/helm.ts';
import { plainPod } from '../support/pod-manifests.ts';
import { type Cloister, startCloister } from '../support/webhook.ts';

/** The commands of docs/quickstart.md that need only an API server, typed into a shell, with what they print. `UPDATE_GOLDEN=1` writes it into the page. */

const root = join(import.meta.dirname, '../..');
const PAGE = join(root, 'docs/quickstart.md');
const BLOCK = /(<!-- run on an API server -->\n```console\n)([\s\S]*?)(```)/;

let apiServer: ApiServer & { stop(): Promise<void> };
let cloister: Cloister;
beforeAll(async () => {
  apiServer = await startApiServer();
  // The configuration of the chart's default values.
  cloister = await startCloister(apiServer, { config: await readFile(join(root, 'examples/containers.yaml'), 'utf8'), apply: true });
}, 120_000);
afterAll(async () => {
  await cloister?.stop();
  await apiServer?.stop();
});

test('the commands of the quick start print what the page shows', async () => {
  const page = await readFile(PAGE, 'utf8');
  const [, , shown = ''] = BLOCK.exec(page) ?? [];
  const commands = shown.split('\n').filter((line) => line.startsWith('$ '));
  expect(commands.length).toBeGreaterThan(3);
  let printed = '';
  for (const line of commands) {
    printed += `${line}\n${await type(line.slice(2))}`;
    if (line.includes('create namespace')) await forServiceAccount();
    if (line.includes('label namespace')) await forLabel();
  }
  if (process.env.UPDATE_GOLDEN === '1')
    await writeFile(
      PAGE,
      page.replace(BLOCK, (_, before, __, after) => `${before}${printed}${after}`),
    );
  else expect(shown).toBe(printed);
});

/** What the terminal shows. */
async function type(command: string): Promise<string> {
  const env = {
    ...process.env,
    PATH: `${await kubernetesBinaries()}${delimiter}${process.env.PATH}`,
    KUBECONFIG: apiServer.admin.kubeconfig,
  };
  const { stdout } = await run('sh', ['-c', `cd '${root}'; ${command} 2>&1`], '', env);
  return stdout;
}

/** The API server knows the new namespace and its label a moment later, which is too short to matter to a person who types. */
async function forServiceAccount(): Promise<void> {
  const status = async () => (await apiServer.admin.request('GET', '/api/v1/namespaces/team/serviceaccounts/default')).status;
  await expect.poll(status, { timeout: 10_000 }).toBe(200);
}

async function forLabel(): Promise<void> {
  const dryRun = () =>
    apiServer.admin.request<{ readonly spec?: { readonly hostUsers?: boolean } }>(
      'POST',
      '/api/v1/namespaces/team/pods?dryRun=All',
      plainPod('asked'),
    );
  await expect.poll(async () => (await dryRun()).body.spec?.hostUsers, { timeout: 10_000 }).toBe(false);
}
