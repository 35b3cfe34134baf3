import fc from 'fast-check';
import { apply } from '../../src/apply-patch.ts';
import { judge } from '../../src/core/judge.ts';
import { selectPolicy } from '../../src/core/policy.ts';
import { repair } from '../../src/core/repair.ts';
import { subjectOf } from '../../src/core/subject.ts';
import { accepted, completed } from '../support/acceptable-pods.ts';
import type { ApiServer } from '../support/api-server.ts';
import { containerStroke, copyOf, type Doc, hostilePod, paint, type Stroke, setting, stroke } from '../support/hostile-pods.ts';
import { list, map } from '../support/oracle.ts';
import {
  creationOf,
  forEach,
  isWhole,
  type Judged,
  type Parity,
  profileIdOf,
  type Question,
  type Status,
  startParity,
} from '../support/parity.ts';

export interface Fuzzing {
  /** How many requests both validators must judge. */
  readonly runs: number;
  readonly seed: number;
  readonly onProgress?: (judged: number) => void;
}

export interface Outcome {
  /** By kind of request: how many both validators judged, and how many of these both refused. */
  readonly counts: Readonly<Record<Kind, { judged: number; refused: number }>>;
  /** Requests that the API server refused before it asked. */
  readonly unasked: number;
  /** Requests whose findings are too many for the text of a policy, so that only the verdicts are compared. */
  readonly cut: number;
  /** For each rule that a policy named: how many times. */
  readonly named: ReadonlyMap<string, number>;
  readonly disagreements: readonly string[];
}

export const KINDS = [
  'as written',
  'repaired',
  'repaired but for one finding',
  'repaired, then changed',
  'debug container',
  'labels',
  'annotations',
  'tolerations',
  'image',
  'gates',
  'resize',
] as const;
export type Kind = (typeof KINDS)[number];

interface Asked {
  readonly kind: Kind;
  readonly question: Question;
}

/** Settings at a time: each is a policy, which an API server compiles and keeps in its memory. */
const SETTINGS = 4;
const PODS = 60;
const STORED = 4;
const MAX_DISAGREEMENTS = 10;

/** Asks the webhook and the policies about generated pods, under generated settings, until both have judged as many as wanted. */
export async function fuzzInTree(apiServer: ApiServer, { runs, seed, onProgress }: Fuzzing): Promise<Outcome> {
  const tally = makeTally();
  await createNamed(apiServer);
  for (let round = 0; tally.judged() < runs && tally.disagreements.length < MAX_DISAGREEMENTS; round += 1) {
    const settings = fc.sample(setting, { seed: seed + round, numRuns: SETTINGS });
    const parity = await startParity(apiServer, { settings });
    try {
      const stored = await Promise.all(settings.map((_, index) => store(parity, index, seed + round)));
      await parity.enforce();
      for (const [index, given] of settings.entries()) {
        const record = ({ kind, question }: Asked, judged: Judged): void =>
          tally.add(kind, judged, () => JSON.stringify({ seed, round, setting: given, question }));
        await forEach(fc.sample(creation, { seed: seed + round * SETTINGS + index, numRuns: PODS }), async (generated) => {
          for (const asked of await creationsFor(parity, index, generated)) record(asked, await parity.ask(index, asked.question));
        });
        await forEach(stored[index] ?? [], async ({ name, pod, changes }) => {
          for (const asked of updatesOf(name, pod, changes)) record(asked, await parity.ask(index, asked.question));
        });
        onProgress?.(tally.judged());
      }
    } finally {
      await parity.stop();
    }
  }
  return tally;
}

/** The classes that generated pods name, as far as no other test creates them. */
async function createNamed({ admin }: ApiServer): Promise<void> {
  await admin.request('POST', '/apis/scheduling.k8s.io/v1/priorityclasses', { metadata: { name: 'high' }, value: 1_000 });
  for (const name of ['custom', 'other', 'runc'])
    await admin.request('POST', '/apis/node.k8s.io/v1/runtimeclasses', { metadata: { name }, handler: name });
}

interface Creation {
  readonly pod: Doc;
  readonly strokes: readonly Stroke[];
  /** Which findings are left unrepaired. */
  readonly picks: readonly number[];
}

const creation: fc.Arbitrary<Creation> = fc.record({
  pod: hostilePod,
  strokes: fc.array(stroke, { minLength: 2, maxLength: 2 }),
  picks: fc.array(fc.nat(40), { minLength: 2, maxLength: 2 }),
});

async function creationsFor(parity: Parity, index: number, { pod, strokes, picks }: Creation): Promise<readonly Asked[]> {
  const written = await accepted(pod, (each) => parity.ask(index, creationOf(each)));
  if (written === undefined) return [];
  const findings = findingsOf(parity, index, written);
  const repaired = repairedBy(parity, index, written);
  const asked = (kind: Kind, each: Doc): Asked => ({ kind, question: creationOf(each) });
  return [
    asked('as written', written),
    asked('repaired', repaired),
    ...(findings === 0
      ? []
      : picks.map((pick) => asked('repaired but for one finding', repairedBy(parity, index, written, pick % findings)))),
    ...strokes.map((each) => asked('repaired, then changed', completed(paint(repaired, each)))),
  ];
}

function inputFor({ config, namespaces }: Parity, index: number, pod: Doc) {
  const profile = config.profiles.get(profileIdOf(index));
  const subject = subjectOf(copyOf(pod), '', 'Pod');
  if (profile === undefined || !subject.ok) return undefined;
  const policy = selectPolicy(profile, subject.value.pod, { profiles: config.profiles, obeysProfileLabel: true });
  return { subject: subject.value, policy, namespace: namespaces[index] ?? '', exemptions: config.exemptions, now: new Date() };
}

function findingsOf(parity: Parity, index: number, pod: Doc): number {
  const input = inputFor(parity, index, pod);
  return input === undefined ? 0 : judge(input).findings.length;
}

/** The pod with its findings repaired as far as they can be, but for one. */
function repairedBy(parity: Parity, index: number, pod: Doc, without?: number): Doc {
  const input = inputFor(parity, index, pod);
  if (input === undefined) return pod;
  const findings = judge(input).findings.filter(({ fix }, place) => fix !== undefined && place !== without);
  return repair(input, { findings, exempted: [] }, { apply, addsAnnotation: true }).subject.document as Doc;
}

interface StoredPod {
  readonly name: string;
  readonly pod: Doc;
  readonly changes: Changes;
}

interface Changes {
  readonly added: readonly (readonly Stroke[])[];
  readonly strokes: readonly Stroke[];
}

const changes: fc.Arbitrary<Changes> = fc.record({
  added: fc.array(fc.array(containerStroke, { maxLength: 3 }), { minLength: 6, maxLength: 6 }),
  strokes: fc.array(stroke, { minLength: 60, maxLength: 60 }),
});

/** Stores some pods as written and some repaired, so that updates find pods with and without isolation. */
async function store(parity: Parity, index: number, seed: number): Promise<readonly StoredPod[]> {
  const generated = fc.sample(fc.tuple(hostilePod, changes, fc.boolean(), fc.constantFrom(undefined, 'none', 'sudo')), {
    seed,
    numRuns: STORED,
  });
  const stored: StoredPod[] = [];
  for (const [number, [written, change, isRepaired, grant]] of generated.entries()) {
    const name = `stored-${number}`;
    const labels = grant === undefined ? {} : { 'cloister.dev/grant': grant };
    const named = { ...written, metadata: { ...map(written.metadata), name, labels: { ...map(map(written.metadata).labels), ...labels } } };
    const whole = withRequests(completed(named));
    let answer: Status & Doc = {};
    const pod = await accepted(isRepaired ? repairedBy(parity, index, whole) : whole, async (each) => {
      const { status, body, warnings } = await parity.store(index, creationOf(each));
      if (status >= 300) return { unasked: { status, body, warnings } };
      answer = body as Doc;
      return undefined;
    });
    if (pod !== undefined) stored.push({ name, pod: answer, changes: change });
  }
  return stored;
}

/** A pod without requests cannot get some later. */
function withRequests(pod: Doc): Doc {
  const spec = map(pod.spec);
  const containers = list(spec.containers).map((each) => ({
    ...map(each),
    resources: { ...map(map(each).resources), requests: { cpu: '10m' } },
  }));
  return { ...pod, spec: { ...spec, containers } };
}

/** One that a pod may have, and one that it may not. */
const TOLERATIONS = [
  { key: 'example.com/spot', operator: 'Exists' },
  { key: 'node-role.kubernetes.io/control-plane', operator: 'Exists' },
] as const;

function updatesOf(name: string, pod: Doc, { added, strokes }: Changes): readonly Asked[] {
  const path = `/${name}`;
  const put = (kind: Kind, body: Doc, subresource = ''): Asked => ({ kind, question: { method: 'PUT', path: path + subresource, body } });
  const spec = map(pod.spec);
  const withSpec = (fields: Doc): Doc => ({ ...pod, spec: { ...spec, ...fields } });
  const painted = (field: string): Doc[] => strokes.filter(({ at }) => at[1] === field).map((each) => paint(pod, each));
  const debuggers = added.map((each, number) => {
    const container = { ...each.reduce(paint, { name: `debug-${number}`, image: 'busybox' }), image: 'busybox' };
    return put(
      'debug container',
      withSpec({ ephemeralContainers: [...list(spec.ephemeralContainers), container] }),
      '/ephemeralcontainers',
    );
  });
  const containers = list(spec.containers).map(map);
  const resized = containers.map((each) => ({
    ...each,
    resources: { ...map(each.resources), requests: { ...map(map(each.resources).requests), cpu: '20m' } },
  }));
  const [first = {}, ...rest] = containers;
  return [
    ...debuggers,
    ...painted('annotations').map((each) => put('annotations', each)),
    ...painted('labels').map((each) => put('labels', each)),
    put('labels', { ...pod, metadata: { ...map(pod.metadata), labels: { app: 'other' } } }),
    // Few generated pods have any.
    ...[...painted('tolerations').flatMap((each) => list(map(each.spec).tolerations)), ...TOLERATIONS].map((added) =>
      put('tolerations', withSpec({ tolerations: [...list(spec.tolerations), added] })),
    ),
    put('image', withSpec({ containers: [{ ...first, image: 'registry.example.com/workspace:3' }, ...rest] })),
    put('gates', withSpec({ schedulingGates: [] })),
    ...painted('nodeSelector').map((each) =>
      put('gates', withSpec({ nodeSelector: { ...map(spec.nodeSelector), ...map(map(each.spec).nodeSelector) } })),
    ),
    put('resize', withSpec({ containers: resized }), '/resize'),
  ];
}

interface Tally extends Outcome {
  readonly disagreements: string[];
  judged(): number;
  add(kind: Kind, judged: Judged, describe: () => string): void;
}

export function makeTally(): Tally {
  const counts = Object.fromEntries(KINDS.map((kind) => [kind, { judged: 0, refused: 0 }])) as Record<
    Kind,
    { judged: number; refused: number }
  >;
  const named = new Map<string, number>();
  const disagreements: string[] = [];
  const tally = {
    counts,
    named,
    disagreements,
    unasked: 0,
    cut: 0,
    judged: () => Object.values(counts).reduce((sum, { judged }) => sum + judged, 0),
    add(kind: Kind, judged: Judged, describe: () => string): void {
      if ('unasked' in judged) {
        tally.unasked += 1;
        return;
      }
      const { webhook, policy } = judged;
      const count = counts[kind];
      count.judged += 1;
      if (webhook.isRefused && policy.isRefused) count.refused += 1;
      for (const rule of policy.rules) named.set(rule, (named.get(rule) ?? 0) + 1);
      if (!isWhole(policy)) tally.cut += 1;
      const difference = differenceOf(judged);
      if (difference !== undefined) disagreements.push(`${kind}: ${difference}\n${describe()}`);
    },
  };
  return tally;
}

/** What the two opinions differ in; undefined: nothing. */
export function differenceOf({ webhook, policy }: Exclude<Judged, { unasked: unknown }>): string | undefined {
  const isSame =
    webhook.isRefused === policy.isRefused && (webhook.rules.join() === policy.rules.join() || (policy.isRefused && !isWhole(policy)));
  if (isSame) return undefined;
  return `the webhook says ${webhook.isRefused ? 'no' : 'yes'} (${webhook.rules.join(', ')}), the policy ${policy.isRefused ? 'no' : 'yes'} (${policy.rules.join(', ')})\n${webhook.text}\n${policy.text}`;
}

/** On two lines, for a log. */
export function printOutcome({ counts, unasked, cut, named }: Outcome): string {
  const kinds = Object.entries(counts).map(([kind, { judged, refused }]) => `${kind} ${judged} (${refused} refused)`);
  const names = [...named].toSorted(([, a], [, b]) => b - a).map(([rule, count]) => `${rule} ${count}`);
  return `${kinds.join(', ')}; ${unasked} that the API server itself refused; ${cut} with more findings than a text holds\nnamed: ${names.join(', ')}`;
}
