import { afterEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { RbacRule } from '../../src/doctor/rights.ts';
import { type FalseApiServer, startFalseApiServer } from '../support/false-api-server.ts';
import { cloister } from '../support/run.ts';

let server: FalseApiServer | undefined;
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

test('an API server that does not answer ends the command after one request', async () => {
  server = await startFalseApiServer([() => {}]);
  const { code, stderr } = await cloister(['doctor', '--config', 'examples/config.yaml', '--kubeconfig', server.kubeconfig]);
  expect([code, stderr]).toEqual([2, `error: the API server at ${server.url} cannot be reached: no answer within 10 s\n`]);
  expect(server.requests.map(({ pathname }) => pathname)).toEqual(['/version']);
}, 30_000);

test.each([
  ['--run --read-only', '--run creates pods, and --read-only forbids it: leave one of them out'],
  ['--nodes all', '--nodes has no effect without --run'],
  ['--image cloister', '--image has no effect without --run'],
])('doctor %s ends with 2', async (flags, problem) => {
  expect(await cloister(['doctor', ...flags.split(' ')])).toEqual({ code: 2, stdout: '', stderr: `error: ${problem}\n` });
});

test.each(['0', 'some', '-1', '1.5'])('doctor --run --nodes %s ends with 2', async (nodes) => {
  const { code, stderr } = await cloister(['doctor', '--run', `--nodes=${nodes}`]);
  expect([code, stderr]).toEqual([2, expect.stringContaining('It must be `all`, or a number from 1.')]);
});

const rolesFor = async (...flags: readonly string[]) =>
  parse((await cloister(['doctor', '--print-rbac', ...flags])).stdout).rules as readonly RbacRule[];

test('--run needs these rights beyond those of dry runs, and no others', async () => {
  const [without, withRun] = [await rolesFor(), await rolesFor('--run')];
  const rightsOf = (rules: readonly RbacRule[]): readonly string[] =>
    rules.flatMap(({ resources = [], verbs }) => resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}`)));
  const known = new Set(rightsOf(without));
  expect(
    rightsOf(withRun)
      .filter((right) => !known.has(right))
      .toSorted(),
  ).toEqual(['create pods/binding', 'delete pods', 'get pods/log']);
});
