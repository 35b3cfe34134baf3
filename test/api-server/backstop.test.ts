import { globSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { rules } from '../../src/core/rules/index.ts';
import { procMount } from '../../src/core/rules/proc-mount.ts';
import type { Rule } from '../../src/core/rules/rule.ts';
import { differenceOf, fuzzInTree, KINDS, printOutcome } from '../fuzz/in-tree.ts';
import { completed } from '../support/acceptable-pods.ts';
import { startApiServer } from '../support/api-server.ts';
import { createRuntimeClasses } from '../support/cluster-setup.ts';
import type { Doc, Setting } from '../support/hostile-pods.ts';
import { differences } from '../support/kubernetes.ts';
import { list, map } from '../support/oracle.ts';
import { creationOf, forEach, isConfigurable, type Judged, type Parity, type Question, startParity } from '../support/parity.ts';
import { SEED } from '../support/seed.ts';
import { documentOf, type Sketch, type TableCase, tableCases } from '../support/test-rule.ts';

/** `./dev fuzz in-tree --runs 100000` tries more. */
const RUNS = Number(process.env.CLOISTER_PARITY_RUNS ?? 5_000);

vi.setConfig({ testTimeout: 1_800_000, hookTimeout: 600_000 });

let apiServer: Awaited<ReturnType<typeof startApiServer>>;

beforeAll(async () => {
  apiServer = await startApiServer();
  await createRuntimeClasses(apiServer);
});
afterAll(() => apiServer?.stop());

// The tables run here as well, which takes a second: a case that is wrong shows up as such, and not as a difference.
describe('the tables of the rules', async () => {
  const folder = join(import.meta.dirname, '../rules');
  for (const file of globSync('*.test.ts', { cwd: folder }).toSorted()) await import(join(folder, file));
});

describe('the policies of the profiles, and the webhook', () => {
  test('T13, T28: say the same of the pods in the tables of the rules, and name the same rules', async () => {
    const asked: { readonly judged: Judged; readonly what: string; readonly setting: Setting; readonly question: Question }[] = [];
    for (const batch of inBatches([...bySetting([...tableCases, UNMASKED]).values()].filter(({ setting }) => isConfigurable(setting)))) {
      const parity = await startParity(apiServer, { settings: batch.map(({ setting }) => setting) });
      try {
        const stored = await Promise.all(batch.map(({ cases }, index) => storeOld(parity, index, cases)));
        await parity.enforce();
        for (const [index, { cases, setting }] of batch.entries()) {
          await forEach([...cases.entries()], async ([number, given]) => {
            const question =
              given.old === undefined ? creationOf(podFor(given.pod, number)) : updateOf(given, stored[index]?.get(number), number);
            if (question === undefined) return;
            asked.push({ judged: await parity.ask(index, question), what: `${given.rule.id}: ${given.claim}`, setting, question });
          });
        }
      } finally {
        await parity.stop();
      }
    }
    const judged = asked.flatMap((each) => ('webhook' in each.judged ? [{ ...each, judged: each.judged }] : []));
    const unasked = asked.flatMap(({ judged: each, what }) => ('unasked' in each ? [`${what}: ${each.unasked.body.message}`] : []));
    if (process.env.CLOISTER_PARITY_UNASKED) process.stdout.write(`${unasked.join('\n')}\n`);
    process.stdout.write(
      `parity: ${judged.length} of ${tableCases.length} cases of the tables judged by both, the API server itself refused ${unasked.length}\n`,
    );
    for (const { judged: each, setting, question } of judged) {
      if (question.method !== 'POST') continue;
      for (const rule of each.policy.rules) exampleOf.set(rule, { rule, setting, question });
    }
    expect(judged.flatMap(({ judged: each, what, question }) => printDifference(each, what, question))).toEqual([]);
    expect(judged.length).toBeGreaterThan(tableCases.length / 2);
  });

  test(`T13, T28: say the same of ${RUNS} generated pods and updates, and name the same rules`, async () => {
    const outcome = await fuzzInTree(apiServer, { runs: RUNS, seed: SEED });
    process.stdout.write(`parity: ./dev fuzz in-tree --runs ${RUNS} --seed ${SEED}\n${printOutcome(outcome)}\n`);
    expect(outcome.disagreements).toEqual([]);
    for (const kind of KINDS) expect(outcome.counts[kind].judged, kind).toBeGreaterThan(0);
  });

  test('T13: differ where the CEL of one rule is left out, for every rule', async () => {
    const judging = rules.filter(({ id, inTree }) => inTree !== 'no escape' && !UNREACHABLE.has(id));
    const examples = judging.flatMap((rule) => exampleOf.get(rule.id) ?? []);
    expect(
      judging.map(({ id }) => id).filter((id) => !exampleOf.has(id)),
      'the tables have no pod that the API server accepts and the rule refuses',
    ).toEqual([]);
    const unnoticed: string[] = [];
    for (const batch of inBatches(examples)) {
      const rulesOf = (index: number): readonly Rule[] => rules.filter(({ id }) => id !== batch[index]?.rule);
      const parity = await startParity(apiServer, { settings: batch.map(({ setting }) => setting), rulesOf });
      try {
        await parity.enforce();
        for (const [index, { rule, question }] of batch.entries()) {
          const judged = await parity.ask(index, question);
          if ('unasked' in judged || differenceOf(judged) === undefined) unnoticed.push(rule);
        }
      } finally {
        await parity.stop();
      }
    }
    expect(unnoticed).toEqual([]);
  });
});

/** The API server removes fields that it does not know itself, so that only one of a later version lets the rule find any. */
const UNREACHABLE: ReadonlySet<string> = new Set(['unknown-fields', ...(differences.keepsResourceClaims ? [] : ['resource-claims'])]);

/** The API server accepts this value only together with a field that the table of the rule leaves out. */
const UNMASKED: TableCase = {
  rule: procMount,
  claim: 'Unmasked in a pod with a user namespace',
  pod: { hostUsers: false, containers: [{ securityContext: { procMount: 'Unmasked' } }] },
};

interface Example {
  readonly rule: string;
  readonly setting: Setting;
  readonly question: Question;
}

/** For each rule, a pod of the tables for which the policy names the rule. */
const exampleOf = new Map<string, Example>();
const SETTINGS_AT_A_TIME = 8;

function inBatches<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / SETTINGS_AT_A_TIME) }, (_, batch) =>
    items.slice(batch * SETTINGS_AT_A_TIME, (batch + 1) * SETTINGS_AT_A_TIME),
  );
}

interface SettingCases {
  readonly setting: Setting;
  readonly cases: TableCase[];
}

/** The cases that can share a policy. */
function bySetting(cases: readonly TableCase[]): Map<string, SettingCases> {
  const found = new Map<string, SettingCases>();
  for (const each of cases) {
    const { profile = 'userns', grant, options = {}, exempt, exemptIn } = each;
    const { grantTo, ...others } = options;
    const setting = JSON.parse(
      JSON.stringify({
        backend: profile,
        ...others,
        grant: grant ?? options.grant,
        grantTo: grantTo?.map(({ glob }) => glob),
        exempt,
        exemptIn,
      }),
    ) as Setting;
    const key = JSON.stringify(setting);
    const known = found.get(key) ?? { setting, cases: [] };
    known.cases.push(each);
    found.set(key, known);
  }
  return found;
}

function podFor(sketch: Sketch, number: number): Doc {
  const document = documentOf(sketch) as Doc;
  return completed({ ...document, metadata: { ...(document.metadata as Doc), name: `case-${number}` } });
}

/** Without the volume that the API server injects, which an update would have to repeat. */
const withoutToken = (pod: Doc): Doc => ({ ...pod, spec: { automountServiceAccountToken: false, ...map(pod.spec) } });

const debugPath = (number: number): string => `/case-${number}/ephemeralcontainers`;
const debuggersOf = (sketch: Sketch): Doc[] =>
  list(sketch.ephemeralContainers).map((each, index) => ({ name: `debug-${index}`, image: 'test', ...map(each) }));

/** Stores the pods that are updated. @returns what is stored, by the number of the case */
async function storeOld(parity: Parity, index: number, cases: readonly TableCase[]): Promise<ReadonlyMap<number, Doc>> {
  const stored = new Map<number, Doc>();
  for (const [number, { old }] of cases.entries()) {
    if (old === undefined) continue;
    const created = await parity.store(index, creationOf(withoutToken(podFor(old, number))));
    if (created.status !== 201) continue;
    const pod = created.body as Doc;
    const debuggers = debuggersOf(old);
    const body = { ...pod, spec: { ...map(pod.spec), ephemeralContainers: debuggers } };
    const answer = debuggers.length === 0 ? created : await parity.store(index, { method: 'PUT', path: debugPath(number), body });
    if (answer.status < 300) stored.set(number, answer.body as Doc);
  }
  return stored;
}

/** @returns undefined: the API server did not accept the old pod */
function updateOf({ pod: sketch, old = {} }: TableCase, stored: Doc | undefined, number: number): Question | undefined {
  if (stored === undefined) return undefined;
  const debuggers = debuggersOf(sketch);
  if (debuggers.length > debuggersOf(old).length) {
    return { method: 'PUT', path: debugPath(number), body: { ...stored, spec: { ...map(stored.spec), ephemeralContainers: debuggers } } };
  }
  const now = withoutToken(podFor(sketch, number));
  const kept = Object.entries(map(stored.spec)).filter(([field]) => !(field in old));
  const metadata = { ...map(stored.metadata), labels: map(map(now.metadata).labels), annotations: map(map(now.metadata).annotations) };
  const spec = { ...Object.fromEntries(kept), ...map(now.spec) };
  return { method: 'PUT', path: `/case-${number}`, body: { ...stored, metadata, spec } };
}

function printDifference(judged: Exclude<Judged, { unasked: unknown }>, what: string, question: Question): string[] {
  const difference = differenceOf(judged);
  return difference === undefined ? [] : [`${what}: ${difference}\n${JSON.stringify(question.body)}`];
}
