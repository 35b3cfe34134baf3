import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { furtherRuntimes } from '../../test/node/fixture/further-runtimes.ts';
import { type Kept, keep, type Unasked, waitInVain, withoutCloister } from '../../test/node/fixture/keep.ts';
import { runOn } from '../../test/node/fixture/node.ts';
import { type Offer, offersWith } from '../../test/node/fixture/offers.ts';
import { dockerInDocker, withNodeFiles } from '../../test/node/fixture/pods.ts';
import { type Origin, readRecorded, writeRecorded } from '../../test/node/fixture/recorded.ts';
import { pageOf, type Run, tableOf, withRecorded } from '../../test/node/fixture/report.ts';
import { missingForNode } from '../../test/node/fixture/requirements.ts';
import { type Ground, startGround } from '../../test/node/fixture/setup.ts';
import type { ApiServer } from '../../test/support/api-server.ts';
import { pinnedVersion } from '../programs/go.ts';
import { WORKSPACE_IMAGE } from '../programs/workspace-image.ts';
import { answerHelp } from './shared/arguments.ts';

/**
 * Tries the four promises on a real node.
 *
 * - `./dev promises`: tries every profile for about ten minutes, prints a table, and writes docs/promises.md
 * - `./dev promises --record FOLDER [OFFER...]`: tries all or the named offers, and writes the results into the folder, one file for each offer and
 *   kind of pod; the page does not change
 * - `./dev promises --recorded`: writes the parts of docs/promises.md that show the recorded runs of docs/promises; needs no node
 */
const USAGE = 'usage: ./dev promises [--record FOLDER [OFFER...] | --recorded]';

const ROOT = join(import.meta.dirname, '../..');
const PAGE = join(ROOT, 'docs/promises.md');
const RECORDED = join(ROOT, 'docs/promises');

answerHelp(USAGE);
const { positionals, values } = read();

try {
  if (values.recorded) await renderRecorded();
  else await onNode(values.record === undefined ? writePage : (ground, apiServer) => record(values.record ?? '', ground, apiServer));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}

function read() {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: { record: { type: 'string' }, recorded: { type: 'boolean', default: false } },
    });
    if (values.recorded && values.record !== undefined) return misused();
    return positionals.length > 0 && values.record === undefined ? misused() : { positionals, values };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return misused();
  }
}

function misused(): never {
  process.stderr.write(`${USAGE}\n`);
  process.exit(2);
}

async function onNode(run: (ground: Ground, apiServer: ApiServer) => Promise<void>): Promise<void> {
  const missing = await missingForNode();
  if (missing !== undefined) throw new Error(`The promises are tried on the node of the tests, for which this machine lacks ${missing}.`);
  const { ground, apiServer, stop } = await startGround();
  try {
    await run(ground, apiServer);
  } finally {
    await stop();
  }
}

async function writePage(ground: Ground, apiServer: ApiServer): Promise<void> {
  const run = await runAll(ground, apiServer);
  process.stdout.write(`${tableOf(run)}\n`);
  await writeFile(PAGE, pageOf(run));
  report(PAGE);
}

async function record(folder: string, ground: Ground, apiServer: ApiServer): Promise<void> {
  const { run } = offersWith(await furtherRuntimes());
  const unknown = positionals.filter((id) => !run.some((offer) => offer.id === id));
  if (unknown.length > 0) throw new Error(`The node has no offer ${unknown.join(', ')}; it has ${run.map(({ id }) => id).join(', ')}.`);
  const origin = await originOf(ground);
  const chosen = run.filter(({ id }) => positionals.length === 0 || positionals.includes(id));
  for await (const kept of tryOffers(ground, apiServer, chosen)) report(await writeRecorded(folder, kept, origin));
}

async function renderRecorded(): Promise<void> {
  const page = await readFile(PAGE, 'utf8');
  await writeFile(PAGE, withRecorded(page, { offers: offersWith([]), recorded: await readRecorded(RECORDED) }));
  report(PAGE);
}

function report(file: string): void {
  process.stderr.write(`Written: ${relative(process.cwd(), file)}\n`);
}

async function runAll(ground: Ground, apiServer: ApiServer): Promise<Run> {
  const offers = offersWith(await furtherRuntimes());
  const recorded = await readRecorded(RECORDED);
  const unasked: Unasked[] = [];
  for (const pod of [dockerInDocker(WORKSPACE_IMAGE), withNodeFiles(WORKSPACE_IMAGE)]) {
    process.stderr.write(`${pod.metadata.name}, without Cloister ...\n`);
    unasked.push(await withoutCloister(ground, apiServer, pod));
  }
  const kept: Kept[] = [];
  for await (const each of tryOffers(ground, apiServer, offers.run)) kept.push(each);
  const missed = new Map<string, string>();
  for (const offer of offers.stored) missed.set(offer.id, (await waitInVain(apiServer, offer)).said);
  return { offers, kept, unasked, missed: Object.fromEntries(missed), versions: await versions(ground), recorded };
}

/** Both kinds of pod under each offer, one after the other. */
async function* tryOffers(ground: Ground, apiServer: ApiServer, offers: readonly Offer[]): AsyncGenerator<Kept> {
  for (const offer of offers) {
    for (const kind of ['plain', 'docker-in-docker'] as const) {
      process.stderr.write(`${offer.id}, ${kind} ...\n`);
      yield await keep(ground, apiServer, offer, kind);
    }
  }
}

async function originOf(ground: Ground): Promise<Origin> {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string };
  return { date: new Date().toISOString().slice(0, 10), project: { version, ...(await commit()) }, versions: await versions(ground) };
}

/** The commit of the checkout, with a mark if files differ from it; empty outside a checkout. */
async function commit(): Promise<Pick<Origin['project'], 'commit' | 'committed'>> {
  const git = async (...args: readonly string[]): Promise<string> => (await promisify(execFile)('git', args, { cwd: ROOT })).stdout.trim();
  try {
    return { commit: await git('describe', '--always', '--dirty', '--exclude=*'), committed: await git('log', '-1', '--format=%cs') };
  } catch {
    return {};
  }
}

async function versions({ node }: Ground): Promise<Readonly<Record<string, string>>> {
  const said = async (...command: readonly string[]): Promise<string> => first((await runOn(node, command)).stdout);
  const first = (text: string): string => /\d+\.\d+(\.\d+)?/.exec(text)?.[0] ?? 'of an unknown version';
  const further = (await furtherRuntimes()).flatMap((runtime) => Object.entries(runtime.versions));
  return {
    Kubernetes: pinnedVersion('kubernetes', 'k8s.io/kubernetes'),
    containerd: await said('containerd', '--version'),
    runc: await said('runc', '--version'),
    gVisor: pinnedVersion('gvisor', 'gvisor.dev/gvisor'),
    Linux: first(release()),
    ...Object.fromEntries(await Promise.all(further.map(async ([name, script]) => [name, await said('bash', '-c', script)] as const))),
  };
}
