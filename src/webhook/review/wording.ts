import { printPlace } from '../../core/finding-text.ts';
import { escapesOf, type Verdict } from '../../core/judge.ts';
import type { PatchOp } from '../../core/patch.ts';
import { printPath } from '../../core/path.ts';
import type { Policy } from '../../core/policy.ts';
import { printable } from '../../core/printable.ts';
import { USER_NAMESPACES_SINCE } from '../../core/profiles/profile.ts';
import { remedyOf } from '../../core/remedy.ts';
import type { Finding } from '../../core/rules/rule.ts';

// The limits of an answer: all findings that a pod can have would make it too long to read, and for the API server to accept.
const MAX_WARNING_CHARS = 600;
const MAX_MESSAGE_BYTES = 4096;
const MAX_ANNOTATION_BYTES = 8192;
const MAX_CAUSES = 200;
const MAX_WARNINGS = 64;
/** All warnings together. The API server shortens what is above 4,096. */
const MAX_WARNINGS_BYTES = 16 * 1024;
const CUT = '… (cut)';

export type PodOperation = 'create' | 'update';

export interface Cause {
  readonly reason: string;
  readonly field: string;
  readonly message: string;
}

/**
 * Words one warning for each kind of change, with its containers. Every entry words a finding with the same bytes, because the API server drops
 * duplicate warnings.
 */
export function warningsOf(findings: readonly Finding[], profile: string): string[] {
  const containers = new Map<string, string[]>();
  for (const finding of findings) {
    const { rule, message, fix, container } = finding;
    // The warning is shown both when the fix was applied and when it was not.
    const what = `${rule}: ${message}; ${fix === undefined ? '' : 'repair: '}${printable(remedyOf(finding))}`;
    const named = containers.get(what);
    if (named === undefined) containers.set(what, container === undefined ? [] : [container]);
    // Findings come container by container.
    else if (container !== undefined && named.at(-1) !== container) named.push(container);
  }
  const warnings: string[] = [];
  let bytes = 0;
  for (const [what, named] of containers) {
    const whole = `cloister ${profile}: ${what}${containersSuffix(named)}`;
    const warning = whole.length > MAX_WARNING_CHARS ? printable(whole, MAX_WARNING_CHARS) : whole;
    bytes += Buffer.byteLength(warning);
    if (warnings.length === MAX_WARNINGS || bytes > MAX_WARNINGS_BYTES) {
      warnings.push(`cloister ${profile}: and ${containers.size - warnings.length} more`);
      break;
    }
    warnings.push(warning);
  }
  return warnings;
}

/**
 * Words the denial of a pod: every finding with its rule, path, container, and what to do. Findings that are not repaired automatically come
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
    : `Not repaired, or the repair was undone (by another webhook, or by the API server, which drops fields whose feature gate is off: hostUsers before Kubernetes 1.${USER_NAMESPACES_SINCE}, resourceClaims before 1.34). Change these fields:`;
}

/**
 * Prints audit annotations. `changes` and `findings` list rule and path, and the kind where it is not an escape; `patch` lists operations.
 * Together they stay below MAX_ANNOTATION_BYTES; the last parts are cut first.
 */
export function annotationsOf(parts: { readonly [key: string]: string | readonly Finding[] | readonly PatchOp[] }): {
  [key: string]: string;
} {
  const entries = Object.entries(parts);
  // Each part may need the mark that it is cut.
  let bytesLeft = MAX_ANNOTATION_BYTES - entries.length * Buffer.byteLength(CUT);
  const annotations: { [key: string]: string } = {};
  for (const [key, part] of entries) {
    const text = typeof part === 'string' ? part : JSON.stringify(part.map((item) => ('rule' in item ? briefOf(item) : item)));
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
  return ` (${names.length === 1 ? 'container' : 'containers'} ${names.map((name) => printable(name)).join(', ')})`;
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
