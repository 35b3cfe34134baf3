import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { apply } from '../../src/apply-patch.ts';
import type { Exemption } from '../../src/core/exemptions.ts';
import { type JudgeInput, judge, type Verdict } from '../../src/core/judge.ts';
import { makeNamePattern } from '../../src/core/name-pattern.ts';
import { printPath } from '../../src/core/path.ts';
import { selectPolicy } from '../../src/core/policy.ts';
import { backendById, backends } from '../../src/core/profiles/index.ts';
import { makeProfile, type Profile, type ProfileOptions } from '../../src/core/profiles/profile.ts';
import { remedyOf } from '../../src/core/remedy.ts';
import { repair } from '../../src/core/repair.ts';
import type { Grant } from '../../src/core/requirements.ts';
import type { Finding } from '../../src/core/rules/rule.ts';
import { subjectOf } from '../../src/core/subject.ts';

export const root = join(import.meta.dirname, '../..');

/** A documentation page, in the parts that are held against the code. */
export interface Page {
  readonly text: string;
  readonly title: string;
  /** The first paragraph, on one line. */
  readonly lead: string;
  readonly sections: ReadonlyMap<string, string>;
}

/** Names of the pages of a folder of docs/, without their ending. */
export function pagesIn(folder: string): string[] {
  return readdirSync(join(root, 'docs', folder), { recursive: true, encoding: 'utf8' }).map((name) => name.replace(/\.md$/, ''));
}

export function readPage(file: string): Page {
  const text = readFileSync(join(root, file), 'utf8');
  const [head = '', ...rest] = text.split(/^## /m);
  const [title = '', lead = ''] = head.split('\n\n');
  return {
    text,
    title: title.replace(/^# /, ''),
    lead: lead.replaceAll('\n', ' '),
    sections: new Map(
      rest.map((section) => {
        const end = section.indexOf('\n');
        return [section.slice(0, end), section.slice(end).trim()];
      }),
    ),
  };
}

export function sectionOf({ title, sections }: Page, name: string): string {
  const section = sections.get(name);
  if (section === undefined) throw new Error(`the page "${title}" has no section "${name}"`);
  return section;
}

/** A pod of a page, the terms it is judged under, and what the page says comes of it. */
export interface Example {
  readonly profile: string;
  readonly options: object;
  readonly grant: Grant;
  readonly pod: Readonly<Record<string, unknown>>;
  /** After: what the pod becomes. Refused, Warned: what is said about it, while it stays as it is. */
  readonly outcome: 'After' | 'Refused' | 'Warned';
  readonly says: string;
}

const EXAMPLE =
  /^Profile `(?<profile>[a-z-]+)`(?: with `(?<options>\{.*\})`)?, grant `(?<grant>[a-z]+)`:\n\n```yaml\n(?<pod>[^`]+)```\n\n(?<outcome>After|Refused|Warned):\n\n```(?:yaml|text)\n(?<says>[^`]+)```/gm;

export function examplesOf(section: string): Example[] {
  return [...section.matchAll(EXAMPLE)].map(({ groups = {} }) => ({
    profile: groups.profile ?? '',
    options: groups.options === undefined ? {} : parse(groups.options),
    grant: groups.grant as Grant,
    pod: parse(groups.pod ?? ''),
    outcome: groups.outcome as Example['outcome'],
    says: groups.says ?? '',
  }));
}

/** Judges an example's pod, a copy of its own. */
export function judged(example: Example, exemptions: readonly Exemption[] = []): { readonly input: JudgeInput; readonly verdict: Verdict } {
  const profile = profileOf(example);
  const config = { profiles: new Map(backends.map((each) => [each.id, makeProfile(each.id, each, {})])), exemptions };
  const subject = subjectOf(structuredClone(example.pod), '', 'Pod');
  if (!subject.ok) throw new Error(`${printPath(subject.error.path)} must be ${subject.error.expected}`);
  const policy = selectPolicy(profile, subject.value.pod, { profiles: config.profiles, obeysProfileLabel: true });
  const input = { subject: subject.value, policy, namespace: 'team-a', exemptions, now: new Date('2030-01-01') };
  return { input, verdict: judge(input) };
}

/** What becomes of an example's pod, in the page's own words: the pod as it is stored, or what is said about it. */
export function outcomeOf(example: Example): Pick<Example, 'outcome'> & { readonly pod?: object; readonly says?: string } {
  const { input, verdict } = judged(example);
  const { patch, unresolved, subject: fixed } = repair(input, verdict, { apply, addsAnnotation: false });
  if (unresolved.length > 0) return { outcome: 'Refused', says: print(verdict.findings) };
  if (patch.length === 0) return { outcome: 'Warned', says: print(verdict.findings) };
  return { outcome: 'After', pod: fixed.document };
}

export function claimedBy({ outcome, says }: Example): ReturnType<typeof outcomeOf> {
  return outcome === 'After' ? { outcome, pod: parse(says) } : { outcome, says };
}

function profileOf({ profile, options, grant }: Example): Profile {
  const backend = backendById.get(profile);
  if (backend === undefined) throw new Error(`no backend is called ${profile}`);
  return makeProfile(profile, backend, { ...optionsOf(options), grant });
}

/** Options as a configuration file has them. */
export function optionsOf(written: object): ProfileOptions {
  const { grantTo, ...options } = written as { readonly grantTo?: readonly string[] };
  return grantTo === undefined ? options : { ...options, grantTo: grantTo.map(makeNamePattern) };
}

function print(findings: readonly Finding[]): string {
  return findings
    .map((finding) => [printPath(finding.path), `  ${finding.message}`, `  ${remedyOf(finding)}`].join('\n'))
    .map((paragraph) => `${paragraph}\n`)
    .join('');
}

/** The cells of a Markdown table's rows, its head left out. */
export function rowsOf(section: string): string[][] {
  return section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/** Every path of a value, inner ones too: `spec.containers[*].name`. */
export function pathsOf(value: unknown, at: string): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => pathsOf(item, `${at}[*]`));
  if (typeof value !== 'object' || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, `${at}.${key}`))];
}
