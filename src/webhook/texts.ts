import type { PatchOp } from '../core/patch.ts';
import { printPath } from '../core/path.ts';
import type { Policy } from '../core/policy.ts';
import { printable } from '../core/printable.ts';
import { remedyOf } from '../core/remedy.ts';
import type { Finding } from '../core/rules/rule.ts';

const MAX_TEXT = 200;
const MAX_SENTENCE_BYTES = 4096;
const MAX_ANNOTATION_BYTES = 8192;
const CUT = '… (cut)';
// An answer with all that a pod may have would be longer than anybody reads.
const MAX_CAUSES = 200;
const MAX_WARNINGS = 64;

export interface Cause {
  readonly reason: string;
  readonly field: string;
  readonly message: string;
}

/**
 * One warning for each kind of change, with the containers it concerns. The same finding gives the same bytes under every entry, because
 * the API server drops duplicates.
 */
export function warningsOf(findings: readonly Finding[], profile: string): string[] {
  const containers = new Map<string, string[]>();
  for (const finding of findings) {
    const { rule, message, fix, container } = finding;
    // Read after a repair or instead of one, the same words must be true.
    const what = `${rule}: ${message}; ${fix === undefined ? '' : 'repair: '}${printable(remedyOf(finding))}`;
    const named = containers.get(what);
    if (named === undefined) containers.set(what, container === undefined ? [] : [container]);
    // Findings come container by container.
    else if (container !== undefined && named.at(-1) !== container) named.push(container);
  }
  const warnings: string[] = [];
  for (const [what, named] of containers) {
    if (warnings.length === MAX_WARNINGS) {
      warnings.push(`cloister ${profile}: and ${containers.size - MAX_WARNINGS} more`);
      break;
    }
    const warning = `cloister ${profile}: ${what}${inContainers(named)}`;
    warnings.push(warning.length > MAX_TEXT * 3 ? printable(warning, MAX_TEXT * 3) : warning);
  }
  return warnings;
}

/**
 * What the author of a refused pod reads: every finding with its rule, path, container, and what to do. What only a person can change
 * stands first.
 */
export function denialOf(escapes: readonly Finding[], { profile, grant }: Policy, isUpdate: boolean): { message: string; causes: Cause[] } {
  const mustChange = escapes.filter(({ fix }) => fix === undefined);
  const repairable = escapes.filter(({ fix }) => fix !== undefined);
  const sections = [
    { title: 'To change:', findings: mustChange },
    { title: titleOfRepairable(mustChange.length > 0, isUpdate), findings: repairable },
  ];
  const lines = sections.flatMap(({ title, findings }) => (findings.length === 0 ? [] : [title, ...findings.map(lineOf)]));
  const causes = [...mustChange, ...repairable].slice(0, MAX_CAUSES).map(causeOf);
  const more = escapes.length - causes.length;
  if (more > 0) causes.push({ reason: 'more', field: 'spec', message: `and ${more} more` });
  return { message: joined([`profile ${profile.id} (grant ${grant}) does not let this pod run.`, ...lines]), causes };
}

function causeOf(finding: Finding): Cause {
  return { reason: finding.rule, field: printable(printPath(finding.path)), message: say(finding) };
}

function titleOfRepairable(isSecond: boolean, isUpdate: boolean): string {
  if (isUpdate) return 'Not to add to a pod that exists (pods are repaired when they are made):';
  return isSecond
    ? 'The rest is repaired by itself once that is changed:'
    : 'Not as repaired (another webhook changed it afterwards). To change:';
}

/**
 * `changes`, `findings`: which rule at which path, and the kind where it is no escape; `patch`: operations. Together they stay below what an
 * audit log should carry; what comes first is cut last.
 */
export function annotationsOf(parts: { readonly [key: string]: string | readonly Finding[] | readonly PatchOp[] }): {
  [key: string]: string;
} {
  const entries = Object.entries(parts);
  // Each part may need its mark.
  let left = MAX_ANNOTATION_BYTES - entries.length * Buffer.byteLength(CUT);
  const annotations: { [key: string]: string } = {};
  for (const [key, part] of entries) {
    const text = typeof part === 'string' ? part : JSON.stringify(part.map((each) => ('rule' in each ? briefOf(each) : each)));
    const whole = printable(text, Number.POSITIVE_INFINITY);
    const kept = Buffer.byteLength(whole) <= left ? whole : firstBytes(whole, left);
    annotations[key] = kept.length < whole.length ? kept + CUT : kept;
    left -= Buffer.byteLength(kept);
  }
  return annotations;
}

function briefOf({ rule, kind, path }: Finding): object {
  return kind === 'escape' ? { rule, path: printPath(path) } : { rule, path: printPath(path), kind };
}

function say(finding: Finding): string {
  return `${finding.message}; ${printable(remedyOf(finding))}`;
}

function lineOf(finding: Finding): string {
  const where = finding.container === undefined ? '' : ` (container "${printable(finding.container)}")`;
  return `- ${finding.rule}: ${printable(printPath(finding.path))}${where}: ${say(finding)}`;
}

function inContainers(names: readonly string[]): string {
  if (names.length === 0) return '';
  return ` (${names.length === 1 ? 'container' : 'containers'} ${names.map((name) => printable(name)).join(', ')})`;
}

function joined(lines: readonly string[]): string {
  const kept: string[] = [];
  let bytes = 0;
  for (const line of lines) {
    bytes += Buffer.byteLength(line) + 1;
    if (bytes > MAX_SENTENCE_BYTES - 32) return [...kept, `and ${lines.length - kept.length} more`].join('\n');
    kept.push(line);
  }
  return kept.join('\n');
}

/** A character that is cut in two is left out. */
function firstBytes(text: string, bytes: number): string {
  return Buffer.from(text)
    .subarray(0, bytes)
    .toString()
    .replace(/\ufffd$/, '');
}
