import { parseArgs } from 'node:util';
import { fuzzConnections } from '../../test/fuzz/connections.ts';
import { keep, search } from '../../test/fuzz/decoder.ts';
import { fuzzInTree, printOutcome } from '../../test/fuzz/in-tree.ts';
import { fuzzReviews, repeatBlock } from '../../test/fuzz/reviews.ts';
import { startApiServer } from '../../test/support/api-server.ts';
import { createRuntimeClasses } from '../../test/support/cluster-setup.ts';
import { answerHelp } from './shared/arguments.ts';

/**
 * The fuzzers of `test/fuzz`, with any number of runs. All cases derive from the seed, so that a failure can be reproduced.
 *
 * - `./dev fuzz [reviews] [--runs 1000000] [--seed N] [--path P]`: generated reviews; with the path from a failure, that case alone
 * - `./dev fuzz bytes [--runs 100000] [--seed N]`: mutations of the bodies in test/fuzz/corpus; an input with new coverage, or a failure, is added
 * - `./dev fuzz in-tree [--runs 100000] [--seed N]`: generated pods and updates, which a real API server judges by its policies and by the webhook
 * - `./dev fuzz connections [--runs 100000] [--seed N] [--path P]`: broken HTTP and TLS, sent to a serving process
 */
const USAGE = 'usage: ./dev fuzz [reviews|bytes|in-tree|connections] [--runs N] [--seed N] [--path P]';

const PROGRESS_INTERVAL_MS = 5_000;

answerHelp(USAGE);
const { positionals, values } = read();
const [target = 'reviews'] = positionals;
const seed = number(values.seed) ?? Math.trunc(Math.random() * 0x7fffffff);
const runs = number(values.runs) ?? (target === 'reviews' ? 1_000_000 : 100_000);
const startedAt = performance.now();
let reportedAt = startedAt;
process.stdout.write(`${values.path === undefined ? `${runs} ${target}` : `one of the ${target}`}, --seed ${seed}\n`);

switch (target) {
  case 'reviews':
    conclude(await reviews());
    break;
  case 'bytes':
    conclude(await bytes());
    break;
  case 'in-tree':
    conclude(await inTree());
    break;
  case 'connections':
    conclude(await connections());
    break;
  default:
    misused();
}

async function reviews(): Promise<string[]> {
  const { path } = values;
  const failures =
    path === undefined
      ? (await fuzzReviews({ runs, seed, onProgress: reportProgress })).failures
      : [await repeatBlock({ seed, runs: 1, path })].filter((failure) => failure !== undefined);
  return failures.map((failure) => `./dev fuzz --seed ${failure.seed} --path ${failure.path}\n${failure.message}`);
}

async function bytes(): Promise<string[]> {
  const { kept, reached, failures } = await search({ target: 'decoder', runs, seed, isGuided: true }, ({ tried }) => reportProgress(tried));
  keep([...kept, ...failures.map(({ input }) => input)]);
  process.stdout.write(
    `${kept.length} had new coverage and were added to test/fuzz/corpus; all together reach ${reached} characters of source\n`,
  );
  return failures.map(({ input, faults }) => `${faults.join('\n')}\n${input.toString('base64')}`);
}

async function inTree(): Promise<readonly string[]> {
  const apiServer = await startApiServer();
  try {
    await createRuntimeClasses(apiServer);
    const outcome = await fuzzInTree(apiServer, { runs, seed, onProgress: reportProgress });
    process.stdout.write(`${printOutcome(outcome)}\n`);
    return outcome.disagreements;
  } finally {
    await apiServer.stop();
  }
}

async function connections(): Promise<readonly string[]> {
  const { statuses, unanswered, beside, files, faults } = await fuzzConnections({
    runs,
    seed,
    path: number(values.path),
    onProgress: reportProgress,
  });
  const counts = Object.entries(statuses).map(([status, count]) => `${count} answers with ${status}`);
  process.stdout.write(`${counts.join(', ')}, ${unanswered} connections without an answer; ${beside} ordinary reviews at the same time\n`);
  process.stdout.write(`${files.before} open files before, ${files.after} after\n`);
  return faults;
}

function reportProgress(done: number): void {
  if (performance.now() - reportedAt < PROGRESS_INTERVAL_MS) return;
  reportedAt = performance.now();
  process.stdout.write(`${done} after ${Math.round((reportedAt - startedAt) / 1_000)} s\n`);
}

function conclude(failures: readonly string[]): void {
  for (const failure of failures) process.stdout.write(`\n${failure}\n`);
  process.stdout.write(
    `${failures.length === 0 ? 'no failure' : 'failed'} after ${Math.round((performance.now() - startedAt) / 1_000)} s\n`,
  );
  // Node would wait, sometimes forever, for pending writes to closed connections.
  process.exit(failures.length === 0 ? 0 : 1);
}

function read() {
  try {
    const text = { type: 'string' } as const;
    return parseArgs({ allowPositionals: true, options: { runs: text, seed: text, path: text } });
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return misused();
  }
}

function number(text: string | undefined): number | undefined {
  if (text !== undefined && !/^\d+$/.test(text)) misused();
  return text === undefined ? undefined : Number(text);
}

function misused(): never {
  process.stderr.write(`${USAGE}\n`);
  process.exit(2);
}
