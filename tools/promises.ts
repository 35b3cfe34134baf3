import { writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { furtherRuntimes } from '../test/node/fixture/further-runtimes.ts';
import { type Kept, keep, type Unasked, waitInVain, withoutCloister } from '../test/node/fixture/keep.ts';
import { runOn } from '../test/node/fixture/node.ts';
import { offersWith } from '../test/node/fixture/offers.ts';
import { dockerInDocker, withNodeFiles } from '../test/node/fixture/pods.ts';
import { pageOf, type Run, tableOf } from '../test/node/fixture/report.ts';
import { missingForNode } from '../test/node/fixture/requirements.ts';
import { type Ground, startGround } from '../test/node/fixture/setup.ts';
import type { ApiServer } from '../test/support/api-server.ts';
import { pinned } from './go.ts';
import { takeNoArguments } from './no-arguments.ts';
import { WORKSPACE_IMAGE } from './workspace-image.ts';

/** `./dev promises`: what becomes of the four promises on a real node, as a table; and docs/promises.md, written from the same run. */

const PAGE = join(import.meta.dirname, '../docs/promises.md');

takeNoArguments(
  '`./dev promises` takes no arguments: it starts a node, tries every profile on it for some ten minutes, and writes docs/promises.md',
);

try {
  const missing = await missingForNode();
  if (missing !== undefined) throw new Error(`The promises are kept on a node of one's own, and for that this machine lacks ${missing}.`);
  const { ground, apiServer, stop } = await startGround();
  try {
    const run = await runAll(ground, apiServer);
    process.stdout.write(`${tableOf(run)}\n`);
    await writeFile(PAGE, pageOf(run));
    process.stderr.write(`Written: docs/promises.md\n`);
  } finally {
    await stop();
  }
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}

async function runAll(ground: Ground, apiServer: ApiServer): Promise<Run> {
  const offers = offersWith(await furtherRuntimes());
  const unasked: Unasked[] = [];
  for (const pod of [dockerInDocker(WORKSPACE_IMAGE), withNodeFiles(WORKSPACE_IMAGE)]) {
    process.stderr.write(`${pod.metadata.name}, without Cloister ...\n`);
    unasked.push(await withoutCloister(ground, apiServer, pod));
  }
  const kept: Kept[] = [];
  for (const offer of offers.run) {
    for (const kind of ['plain', 'docker-in-docker'] as const) {
      process.stderr.write(`${offer.id}, ${kind} ...\n`);
      kept.push(await keep(ground, apiServer, offer, kind));
    }
  }
  const missed = new Map<string, string>();
  for (const offer of offers.stored) missed.set(offer.id, (await waitInVain(apiServer, offer)).said);
  return { offers, kept, unasked, missed: Object.fromEntries(missed), versions: await versions(ground) };
}

async function versions({ node }: Ground): Promise<Readonly<Record<string, string>>> {
  const said = async (...command: readonly string[]): Promise<string> => (await runOn(node, command)).stdout;
  const first = (text: string): string => /\d+\.\d+\.\d+/.exec(text)?.[0] ?? 'of an unknown version';
  return {
    Kubernetes: await pinned('kubernetes', 'k8s.io/kubernetes'),
    containerd: first(await said('containerd', '--version')),
    runc: first(await said('runc', '--version')),
    gVisor: await pinned('gvisor', 'gvisor.dev/gvisor'),
    Linux: first(release()),
  };
}
