import { describe, expect, test } from 'vitest';
import { applyToCopy } from '../../src/apply-patch.ts';
import { type JudgeInput, judge, type Verdict } from '../../src/core/judge.ts';
import { makeNamePattern } from '../../src/core/name-pattern.ts';
import { printPath } from '../../src/core/path.ts';
import { CONTAINER_LISTS } from '../../src/core/pod.ts';
import { selectPolicy } from '../../src/core/policy.ts';
import { backendById } from '../../src/core/profiles/index.ts';
import { makeProfile, type Profile, type ProfileOptions } from '../../src/core/profiles/profile.ts';
import { remedyOf } from '../../src/core/remedy.ts';
import { type Repair, repair } from '../../src/core/repair.ts';
import type { Grant } from '../../src/core/requirements.ts';
import type { Finding, FindingKind, Rule } from '../../src/core/rules/rule.ts';
import { type Subject, subjectOf } from '../../src/core/subject.ts';

/** The spec of a pod, written down as far as it matters; `metadata` may stand among its fields. */
export type Sketch = Readonly<Record<string, unknown>>;

/** What a pod is judged by; absent: `userns` with its default grant, and nothing else. */
export interface Circumstances {
  readonly profile?: string;
  readonly grant?: Grant;
  readonly options?: ProfileOptions;
  /** What the operator lets through, by rule id. */
  readonly exempt?: Readonly<Record<string, readonly string[]>>;
  /** The containers that it is for; absent: every container, and the pod. */
  readonly exemptIn?: readonly string[];
  /** The storage of claims, by their names. */
  readonly claims?: ReadonlyMap<string, string>;
  /** Makes it an update of this pod. */
  readonly old?: Sketch;
}

export interface Passing extends Circumstances {
  readonly pod: Sketch;
}

export interface Failing extends Circumstances {
  readonly pod: Sketch;
  /** The escapes, as printed paths in reading order. */
  readonly finds?: readonly string[];
  /** The promises, as printed paths in reading order. */
  readonly promises?: readonly string[];
  /** The unknown fields, as printed paths in reading order. */
  readonly unknowns?: readonly string[];
  /** The pod after the rule's own fixes; `nothing`: there are none, a person must decide. */
  readonly fixed: Sketch | 'nothing';
  /** The messages of all findings, where they are part of the claim. */
  readonly says?: readonly string[];
  /** What to do about each finding, where that is part of the claim. */
  readonly advises?: readonly string[];
  /** Promises that stay broken: reported, not fixed. */
  readonly leaves?: readonly string[];
}

export interface Cases extends Circumstances {
  readonly passes: Readonly<Record<string, Sketch | Passing>>;
  readonly fails: Readonly<Record<string, Failing>>;
}

export const NOW = new Date('2026-11-21T10:00:00Z');

/** The API server shortens warnings to 256 characters, rule and place included. */
export const LONGEST_MESSAGE = 200;

/** A case of a table, without what the table expects. */
export interface TableCase extends Circumstances {
  readonly rule: Rule;
  readonly claim: string;
  readonly pod: Sketch;
}

/** The cases of all tables that were run, for tests that ask another judge about the same pods. */
export const tableCases: TableCase[] = [];

/** Runs a rule's table: each pod is judged by all rules, and the findings of this rule are compared, repaired and judged again. */
export function testRule(rule: Rule, { passes, fails, ...suite }: Cases): void {
  for (const [claim, given] of Object.entries(passes))
    tableCases.push({ ...suite, ...(isPassing(given) ? given : { pod: given }), rule, claim });
  for (const [claim, { finds: _, fixed: __, ...given }] of Object.entries(fails)) tableCases.push({ ...suite, ...given, rule, claim });
  describe(rule.id, () => {
    for (const [claim, given] of Object.entries(passes)) {
      const { pod, ...own } = isPassing(given) ? given : { pod: given };
      test(`passes: ${claim}`, () => {
        expect(printFindings(findingsOf(rule, inputOf(pod, { ...suite, ...own })))).toEqual([]);
      });
    }
    for (const [claim, { pod, finds = [], promises = [], unknowns = [], says, advises, fixed, leaves, ...own }] of Object.entries(fails)) {
      test(`finds: ${claim}`, () => {
        const input = inputOf(pod, { ...suite, ...own });
        const findings = findingsOf(rule, input);
        expect({
          finds: pathsOf(findings, 'escape'),
          promises: pathsOf(findings, 'promise'),
          unknowns: pathsOf(findings, 'unknown'),
        }).toEqual({
          finds,
          promises,
          unknowns,
        });
        for (const finding of findings) checkFinding(finding, rule);
        if (says !== undefined) expect(findings.map(({ message }) => message)).toEqual(says);
        if (advises !== undefined) expect(findings.map(remedyOf)).toEqual(advises);

        const { subject } = repair(input, { findings, exempted: [] }, { apply: applyToCopy, addsAnnotation: false });
        expect(subject.document).toEqual(documentOf(fixed === 'nothing' ? pod : fixed));
        const left = findingsOf(rule, { ...input, subject }).map(({ path }) => printPath(path));
        expect(left).toEqual(leaves ?? (fixed === 'nothing' ? findings.map(({ path }) => printPath(path)) : []));
      });
    }
  });
}

/** One claim about a container, made of all three lists; the ephemeral one is added to a pod that is there already. */
export function inEachList(
  claim: string,
  container: Sketch,
  { finds, fixed, ...circumstances }: Circumstances & { readonly finds: readonly string[]; readonly fixed: Sketch | 'nothing' },
): Record<string, Failing> {
  const cases = CONTAINER_LISTS.map((list): [string, Failing] => {
    const podWith = (sketch: Sketch): Sketch => ({ [list]: [{ name: 'one', ...sketch }] });
    return [
      `${claim}, in ${list}`,
      {
        ...circumstances,
        ...(list === 'ephemeralContainers' ? { old: {} } : {}),
        pod: podWith(container),
        finds: finds.map((path) => `spec.${list}[0].${path}`),
        fixed: fixed === 'nothing' ? fixed : podWith(fixed),
      },
    ];
  });
  return Object.fromEntries(cases);
}

export function profileOf({ profile = 'userns', grant, options }: Circumstances): Profile {
  const backend = backendById.get(profile);
  if (backend === undefined) throw new Error(`no backend is called ${profile}`);
  return makeProfile(profile, backend, { ...options, ...(grant === undefined ? {} : { grant }) });
}

export function inputOf(pod: Sketch, circumstances: Circumstances = {}): JudgeInput {
  const { exempt, exemptIn, claims, old } = circumstances;
  const profile = profileOf(circumstances);
  const subject = podOf(pod);
  const asked = old === undefined ? subject : podOf(old);
  return {
    subject,
    ...(old === undefined ? {} : { old: asked }),
    policy: selectPolicy(profile, asked.pod, { profiles: new Map([[profile.id, profile]]), obeysProfileLabel: true }),
    namespace: 'team-a',
    claims,
    exemptions: exempt === undefined ? [] : [exemptionOf(exempt, exemptIn)],
    now: NOW,
  };
}

/** The verdict on a pod, and its repair. */
export function judgeAndRepair(input: JudgeInput): { readonly verdict: Verdict; readonly repair: Repair } {
  const verdict = judge(input);
  return { verdict, repair: repair(input, verdict, { apply: applyToCopy, addsAnnotation: input.old === undefined }) };
}

/** Parsed from text, as a real document is, so that no two places share an object. */
export function documentOf({ metadata, ...spec }: Sketch): object {
  return JSON.parse(JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'workspace', ...(metadata as object) }, spec }));
}

export function podOf(sketch: Sketch): Subject {
  const found = subjectOf(documentOf(sketch), '', 'Pod');
  if (!found.ok) throw new Error(`${printPath(found.error.path)} is not ${found.error.expected}`);
  return found.value;
}

/** Each finding on one line. */
export const printFindings = (findings: readonly Finding[]): string[] =>
  findings.map(({ rule, kind, path, message }) => `${kind} ${rule} at ${printPath(path)}: ${message}`);

/** Checks what is true of every finding of every rule. */
export function checkFinding(finding: Finding, { id, fields }: Rule): void {
  const { path, message, remedy, fix } = finding;
  expect(message, `${id} says what was found`).not.toBe('');
  expect(message, `${id} mentions only what exists`).not.toMatch(/undefined|null|NaN|\[object/);
  expect(message.length, `${id} is brief: ${message}`).toBeLessThanOrEqual(LONGEST_MESSAGE);
  expect(message, `${id} ends without a full stop`).not.toMatch(/\.$/);
  expect(fix ?? remedy, `${id} says what to do about: ${message}`).toBeDefined();
  expect(remedyOf(finding), `${id} says in words what to do about: ${message}`).not.toBe('');
  const printed = printPath(path);
  expect(
    fields.some((field) => touches(printed, field)),
    `${id} lists the field of its finding: ${printed}`,
  ).toBe(true);
}

/** Whether a path is one of the field's, or above or below one. */
function touches(path: string, field: string): boolean {
  const place = path.replace(/^spec\.(init|ephemeral)Containers/, 'spec.containers');
  const shorter = stepsOf(field);
  return stepsOf(place).every((step, index) => {
    const wanted = shorter[index];
    return wanted === undefined || (wanted.endsWith('*') ? step.startsWith(wanted.slice(0, -1)) : step === wanted);
  });
}

/** `spec.containers[0].env[*]` in steps, each index a `*`: spec, containers, *, env, *. */
function stepsOf(printed: string): string[] {
  return [...printed.matchAll(/\["([^"]*)"\]|\[(\d+|\*)\]|[^.[\]]+/g)].map(
    ([step, key, index]) => key ?? (index === undefined ? step : '*'),
  );
}

function isPassing(given: Sketch | Passing): given is Passing {
  return 'pod' in given;
}

function findingsOf(rule: Rule, input: JudgeInput): Finding[] {
  return judge(input).findings.filter((finding) => finding.rule === rule.id);
}

function pathsOf(findings: readonly Finding[], kind: FindingKind): string[] {
  return findings.filter((finding) => finding.kind === kind).map(({ path }) => printPath(path));
}

function exemptionOf(
  exempt: Readonly<Record<string, readonly string[]>>,
  containers: readonly string[] | undefined,
): JudgeInput['exemptions'][number] {
  return {
    reason: 'the operator knows it',
    expires: new Date(NOW.getTime() + 1),
    namespaces: [makeNamePattern('team-*')],
    serviceAccounts: [makeNamePattern('*')],
    containers: containers?.map(makeNamePattern),
    allow: new Map(Object.entries(exempt).map(([rule, values]) => [rule, new Set(values)])),
  };
}
