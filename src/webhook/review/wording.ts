import { printPlace } from '../../core/finding-text.ts';
import { escapesOf, type Verdict } from '../../core/judge.ts';
import type { PatchOp } from '../../core/patch.ts';
import { printPath } from '../../core/path.ts';
import type { Policy } from '../../core/policy.ts';
import { printable } from '../../core/printable.ts';
import { remedyOf } from '../../core/remedy.ts';
import { rules } from '../../core/rules/index.ts';
import type { Finding } from '../../core/rules/rule.ts';

// The limits of an answer. A pod can have so many findings that the answer would be too long for a reader, and for the API server.
const MAX_MESSAGE_BYTES = 4096;
const MAX_ANNOTATION_BYTES = 8192;
const MAX_CAUSES = 200;
/** The most items that are printed: more items are always longer than MAX_ANNOTATION_BYTES. */
const MAX_ITEMS = 1_000;
const CUT = '… (cut)';

/**
 * If all warnings of an answer together have more than 4,096 characters, the API server shortens each one to 256. These limits keep the sum below
 * 4,096: the sentence about what is taken away has MAX_TAKEN_BYTES plus the words about the rest, the sentence that lists rules is short, and all
 * other sentences together have MAX_OPEN_BYTES.
 * Source: k8s.io/apiserver pkg/endpoints/filters/warning.go
 */
const MAX_TAKEN_BYTES = 1_000;
const MAX_OPEN_BYTES = 1_500;
const MAX_OPEN_CHARS = 500;
const MAX_ITEM_CHARS = 360;
const MAX_NAMED_CONTAINERS = 3;

export type PodOperation = 'create' | 'update';

export interface Cause {
  readonly reason: string;
  readonly field: string;
  readonly message: string;
}

/**
 * Writes the warnings about a pod: one sentence for everything that its repair takes away, one for everything that the repair sets or grants, and
 * one for each thing that only a person can change. Every webhook entry writes the same text for the same finding, so that the API server
 * drops the duplicates. The text is therefore true whether the repair was made or not.
 * @param unresolved findings that have a fix which cannot be made, because the pod exists already
 */
export function warningsOf(findings: readonly Finding[], profile: string, unresolved: readonly Finding[] = []): string[] {
  const isLeft = new Set(unresolved);
  const isOpen = (finding: Finding): boolean => finding.fix === undefined || isLeft.has(finding);
  const open = findings.filter(isOpen);
  const fixed = findings.filter((finding) => !isOpen(finding));
  const taken = fixed.filter(takesAway);
  const set = fixed.filter((finding) => !takesAway(finding));
  const subject = `cloister ${profile}: the repair`;
  return [
    ...wordOpen([...escapesOf(open), ...open.filter(({ kind }) => kind !== 'escape')], profile),
    ...(taken.length === 0 ? [] : [`${subject} takes away ${printTaken(taken)}`]),
    ...(set.length === 0 ? [] : [`${subject} sets or grants ${rulesOf(set)} (\`cloister explain RULE\` describes each)`]),
  ];
}

/** Whether the fix removes or changes something that the author of the pod wrote, and grants nothing. */
const takesAway = ({ kind, isWritten, fix }: Finding): boolean =>
  kind === 'escape' && isWritten === true && fix !== undefined && !('append' in fix);

/** Each rule once, in reading order. */
const rulesOf = (findings: readonly Pick<Finding, 'rule'>[]): string =>
  [...new Set(findings.map(({ rule }) => rule))].sort((a, b) => orderOf(a) - orderOf(b)).join(', ');

/**
 * Prints the first item of each rule in reading order, then the second item of each rule, and so on, so that a long list still names every rule. If
 * items are left out, the end of the text names their rules.
 */
function printTaken(findings: readonly Finding[]): string {
  const seen = new Map<string, number>();
  const ranked = groupByText(findings, (finding) => {
    const { rule, message, remedy, exemption } = finding;
    const advice = remedy === undefined && exemption === undefined ? '' : `; ${remedyOf(finding)}`;
    return printable(`${rule} (${message}${advice})`, MAX_ITEM_CHARS);
  }).map((group) => {
    const rank = seen.get(group.rule) ?? 0;
    seen.set(group.rule, rank + 1);
    return { ...group, rank };
  });
  ranked.sort((a, b) => a.rank - b.rank || orderOf(a.rule) - orderOf(b.rule));
  const items: string[] = [];
  let bytes = 0;
  for (const { text, containers } of ranked) {
    const item = text + containersSuffix(containers);
    bytes += Buffer.byteLength(item) + 2;
    if (bytes > MAX_TAKEN_BYTES) break;
    items.push(item);
  }
  const rest = ranked.slice(items.length);
  if (rest.length === 0) return items.join('; ');
  return [...items, `and ${rest.length} more (${rulesOf(rest)})`].join('; ');
}

const ORDER: ReadonlyMap<string, number> = new Map(rules.map(({ id }, index) => [id, index]));
const orderOf = (rule: string): number => ORDER.get(rule) ?? 0;

function wordOpen(findings: readonly Finding[], profile: string): string[] {
  const groups = groupByText(findings, (finding) => `${finding.rule}: ${finding.message}; ${remedyOf(finding)}`);
  const warnings: string[] = [];
  let bytes = 0;
  for (const { text, containers } of groups) {
    const warning = `cloister ${profile}: ${printable(text, MAX_OPEN_CHARS)}${containersSuffix(containers)}`;
    bytes += Buffer.byteLength(warning);
    if (bytes > MAX_OPEN_BYTES) return [...warnings, `cloister ${profile}: and ${groups.length - warnings.length} more`];
    warnings.push(warning);
  }
  return warnings;
}

interface Group {
  readonly rule: string;
  readonly text: string;
  readonly containers: readonly string[];
}

/** Findings with the same text, with the containers that they are about, in the order of the findings. */
function groupByText(findings: readonly Finding[], print: (finding: Finding) => string): Group[] {
  const groups = new Map<string, { readonly rule: string; readonly containers: string[] }>();
  for (const finding of findings) {
    const { rule, container } = finding;
    const text = print(finding);
    const group = groups.get(text);
    if (group === undefined) groups.set(text, { rule, containers: container === undefined ? [] : [container] });
    // Findings are in the order of the containers, so only the last name can be equal.
    else if (container !== undefined && group.containers.at(-1) !== container) group.containers.push(container);
  }
  return [...groups].map(([text, group]) => ({ ...group, text }));
}

/**
 * Writes the denial of a pod: every finding with its rule, path, container, and what to do. Findings that are not repaired automatically come
 * first.
 */
export function denialOf(
  { findings, wholeBecause }: Verdict,
  { profile, grant }: Policy,
  operation: PodOperation,
): { message: string; causes: Cause[] } {
  const escapes = escapesOf(findings);
  const mustChange = escapes.filter(({ fix }) => fix === undefined);
  const repairable = escapes.filter(({ fix }) => fix !== undefined);
  const sections = [
    { title: 'To change:', findings: mustChange },
    { title: titleOfRepairable(operation, mustChange.length > 0 ? 'second' : 'only'), findings: repairable },
  ];
  const lines = sections.flatMap(({ title, findings }) => (findings.length === 0 ? [] : [title, ...findings.map(lineOf)]));
  const causes = [...mustChange, ...repairable].slice(0, MAX_CAUSES).map(causeOf);
  const more = escapes.length - causes.length;
  if (more > 0) causes.push({ reason: 'more', field: 'spec', message: `and ${more} more` });
  const denial = `profile ${profile.id} (grant ${grant}) does not let this pod run.`;
  const whole =
    wholeBecause === undefined
      ? ''
      : ` The update ${wholeBecause}, so the whole pod is judged. Findings in fields that an update cannot change need a new pod.`;
  return { message: joinLines([denial + whole, ...lines]), causes };
}

function causeOf(finding: Finding): Cause {
  return { reason: finding.rule, field: printable(printPath(finding.path)), message: messageOf(finding) };
}

function titleOfRepairable(operation: PodOperation, section: 'only' | 'second'): string {
  if (operation === 'update') return 'Cannot be changed on an existing pod (pods are repaired only on creation):';
  return section === 'second'
    ? 'Repaired automatically once the above is fixed:'
    : 'Not repaired, or another webhook undid the repair. Change these fields:';
}

/**
 * Prints audit annotations. `changes` and `findings` list rule and path, and the kind where it is not an escape; `patch` lists operations.
 * Together they stay below MAX_ANNOTATION_BYTES; the last parts are cut first.
 */
export function annotationsOf(parts: { readonly [key: string]: string | readonly Finding[] | readonly PatchOp[] }): {
  [key: string]: string;
} {
  const entries = Object.entries(parts);
  // Each part needs room for the mark CUT.
  let bytesLeft = MAX_ANNOTATION_BYTES - entries.length * Buffer.byteLength(CUT);
  const annotations: { [key: string]: string } = {};
  for (const [key, part] of entries) {
    const text =
      typeof part === 'string' ? part : JSON.stringify(part.slice(0, MAX_ITEMS).map((item) => ('rule' in item ? briefOf(item) : item)));
    const whole = printable(text, Number.POSITIVE_INFINITY);
    const kept = Buffer.byteLength(whole) <= bytesLeft ? whole : firstBytes(whole, bytesLeft);
    annotations[key] = kept.length < whole.length ? kept + CUT : kept;
    bytesLeft -= Buffer.byteLength(kept);
  }
  return annotations;
}

function briefOf({ rule, kind, path }: Finding): object {
  return kind === 'escape' ? { rule, path: printPath(path) } : { rule, path: printPath(path), kind };
}

function messageOf(finding: Finding): string {
  return `${finding.message}; ${printable(remedyOf(finding))}`;
}

function lineOf(finding: Finding): string {
  return `- ${finding.rule}: ${printPlace(finding)}: ${messageOf(finding)}`;
}

function containersSuffix(names: readonly string[]): string {
  if (names.length === 0) return '';
  const more = names.length - MAX_NAMED_CONTAINERS;
  const named = names.slice(0, MAX_NAMED_CONTAINERS).map((name) => printable(name, 63));
  return ` (${names.length === 1 ? 'container' : 'containers'} ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''})`;
}

function joinLines(lines: readonly string[]): string {
  const kept: string[] = [];
  let bytes = 0;
  for (const line of lines) {
    bytes += Buffer.byteLength(line) + 1;
    if (bytes > MAX_MESSAGE_BYTES - 32) return [...kept, `and ${lines.length - kept.length} more`].join('\n');
    kept.push(line);
  }
  return kept.join('\n');
}

/** Leaves out a character that the limit would cut in two. */
function firstBytes(text: string, bytes: number): string {
  return Buffer.from(text)
    .subarray(0, bytes)
    .toString()
    .replace(/\ufffd$/, '');
}
