import { printPlace } from '../../core/finding-text.ts';
import { remedyOf } from '../../core/remedy.ts';
import type { Finding } from '../../core/rules/rule.ts';
import { html, type Markup } from './markup.ts';
import type { ScanReport, ScanRow, ScanVerdict, WallFinding, WallState } from './scan-report.ts';
import { STYLE } from './style.ts';
import { isNoteworthy, notesOf, summaryOf } from './summary.ts';

/** The size of the page. */
const MAX_BYTES = 3_000_000;

/**
 * A page in one file, which loads nothing and runs nothing. Rows with nothing to say are counted. The page has at most 3 MB: the worst rows are
 * printed, and what has no place is counted.
 */
export function printScanHtml(report: ScanReport): string {
  const others = Buffer.byteLength(printPage(report, NOTHING).markup);
  return printPage(report, printNamespaces(report, MAX_BYTES - others)).markup;
}

const NOTHING = html``;

function printPage(report: ScanReport, namespaces: Markup): Markup {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${`Cloister scan, ${printTime(report.time)}`}</title>
<style>${{ markup: STYLE }}</style>
</head>
<body>
${printHead(report)}
<main>
${printCounts(report)}
${printSentences('This scan is incomplete', 'incomplete', report.incomplete)}${printSentences('Notes', 'notes', notesOf(report))}${namespaces}
</main>
${FOOT}
</body>
</html>
`;
}

/** `2026-11-30 09:00 UTC` */
function printTime(time: Date): string {
  return `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function printHead({ time, seconds, cluster: { version, configuration } }: ScanReport): Markup {
  const { sha256, matchesWebhook } = configuration;
  const facts = [
    `Kubernetes ${version ?? 'of an unknown version'}`,
    `read in ${seconds.toFixed(1)} s`,
    `configuration ${sha256.slice(0, 12)}, ${printMatch(matchesWebhook)}`,
  ];
  return html`<header>
<h1>Cloister scan</h1>
<p><time datetime="${time.toISOString()}">${printTime(time)}</time>${facts.map((fact) => html` · ${fact}`)}</p>
</header>`;
}

function printMatch(matchesWebhook: boolean | undefined): string {
  if (matchesWebhook === undefined) return 'and whether the webhook runs it is not known';
  return matchesWebhook ? 'which the webhook runs' : 'and the webhook runs another one';
}

type Tone = 'bad' | 'warn' | 'good' | 'mute';

function printCounts(report: ScanReport): Markup {
  const { pods, namespaces, escapes, wallsMissing, promises, unjudged } = summaryOf(report);
  const counts: readonly (readonly [number, string, Tone])[] = [
    [pods, pods === 1 ? 'pod' : 'pods', 'mute'],
    [namespaces, namespaces === 1 ? 'namespace' : 'namespaces', 'mute'],
    [escapes, escapes === 1 ? 'pod escapes' : 'pods escape', 'bad'],
    [wallsMissing, wallsMissing === 1 ? 'wall missing' : 'walls missing', 'bad'],
    [promises, 'short of the grant', 'warn'],
    [unjudged, 'not judged', 'warn'],
  ];
  const items = counts.map(([count, what, tone]) => html`<li class="${count === 0 ? 'mute' : tone}"><b>${count}</b> ${what}</li>\n`);
  return html`<h2 class="unseen">Counts</h2>
<ul class="counts">
${items}</ul>`;
}

const MAX_SENTENCES = 100;

function printSentences(title: string, kind: 'incomplete' | 'notes', sentences: readonly string[]): Markup {
  if (sentences.length === 0) return NOTHING;
  const rest = sentences.length - MAX_SENTENCES;
  const shown = [...sentences.slice(0, MAX_SENTENCES), ...(rest > 0 ? [`and ${rest} more`] : [])];
  return html`<section class="${kind}">
<h2>${title}</h2>
<ul>
${shown.map((sentence) => html`<li>${sentence}</li>\n`)}</ul>
</section>
`;
}

/** Of the element of a namespace without its rows, and of the lines below all namespaces. */
const NAMESPACE_BYTES = 1_000;
/** Up to so many rows, every namespace is open. */
const MAX_OPEN_ROWS = 40;

interface ShownNamespace {
  readonly name: string;
  readonly rows: ScanRow[];
  readonly printed: Markup[];
}

function printNamespaces(report: ScanReport, maxBytes: number): Markup {
  const noteworthy = report.rows.filter(isNoteworthy);
  const { shown, omitted } = shownOf(noteworthy, maxBytes - NAMESPACE_BYTES);
  const quiet = report.rows.length - noteworthy.length;
  const isOpen = noteworthy.length <= MAX_OPEN_ROWS;
  const left = new Set(omitted.map(({ namespace }) => namespace)).size;
  return html`<h2>Namespaces</h2>
${[...shown.values()].map((namespace) => printNamespace(namespace, isOpen))}${
  omitted.length === 0
    ? NOTHING
    : html`<p class="incomplete">${omitted.length} further rows of ${left} namespaces have no place in this file. They are less severe than the rows above: <code>cloister scan -o json</code> prints all.</p>\n`
}<p>${printQuiet(quiet, noteworthy.length)}</p>`;
}

function printQuiet(quiet: number, noteworthy: number): string {
  if (quiet === 0) return noteworthy === 0 ? 'No pod was judged.' : 'Every pod that was judged is listed above.';
  return `${quiet} ${noteworthy === 0 ? '' : 'further '}${quiet === 1 ? 'row has' : 'rows have'} nothing to report.`;
}

/** Rows from the worst on, as long as there is place, by namespace. A namespace stands where its worst row stands. */
function shownOf(
  rows: readonly ScanRow[],
  maxBytes: number,
): { readonly shown: ReadonlyMap<string, ShownNamespace>; readonly omitted: readonly ScanRow[] } {
  const shown = new Map<string, ShownNamespace>();
  let bytes = 0;
  for (const [index, row] of rows.entries()) {
    const { namespace: name } = row;
    const namespace = shown.get(name) ?? { name, rows: [], printed: [] };
    const printed = printRow(row);
    bytes += Buffer.byteLength(printed.markup) + (shown.has(name) ? 0 : NAMESPACE_BYTES);
    if (bytes > maxBytes) return { shown, omitted: rows.slice(index) };
    namespace.rows.push(row);
    namespace.printed.push(printed);
    shown.set(name, namespace);
  }
  return { shown, omitted: [] };
}

function printNamespace({ name, rows, printed }: ShownNamespace, isOpen: boolean): Markup {
  const { escapes, wallsMissing, promises, unjudged } = summaryOf({ rows });
  const warnings = rows.filter(({ verdict, wall }) => verdict === 'clean' && wall.state !== 'missing').length;
  const counts = (
    [
      [escapes, escapes === 1 ? 'escape' : 'escapes', 'bad'],
      [wallsMissing, wallsMissing === 1 ? 'wall missing' : 'walls missing', 'bad'],
      [promises, 'short', 'warn'],
      [unjudged, 'not judged', 'warn'],
      [warnings, warnings === 1 ? 'warning' : 'warnings', 'warn'],
    ] as const
  ).filter(([count]) => count > 0);
  return html`<details${{ markup: isOpen ? ' open' : '' }}>
<summary><h3>${name}</h3>${counts.map(([count, what, tone]) => html` <span class="is ${tone}">${count} ${what}</span>`)}</summary>
<table role="table">
<caption class="unseen">Pods of namespace ${name} with something to report</caption>
<thead role="rowgroup"><tr role="row">${COLUMNS.map((column) => html`<th scope="col" role="columnheader">${column}</th>`)}</tr></thead>
<tbody role="rowgroup">
${printed}</tbody>
</table>
</details>
`;
}

const COLUMNS = ['Pod', 'Profile', 'Verdict', 'Wall', 'Findings'] as const;

const VERDICTS: Readonly<Record<ScanVerdict, readonly [string, Tone]>> = {
  clean: ['clean', 'good'],
  short: ['short', 'warn'],
  escapes: ['escapes', 'bad'],
  unjudged: ['not judged', 'warn'],
};

const WALLS: Readonly<Record<WallState, Tone>> = { stands: 'good', claimed: 'warn', missing: 'bad', none: 'mute', down: 'warn' };

/** The roles are stated because a narrow screen shows the rows as blocks, and browsers then forget that these are a table. */
function printRow(row: ScanRow): Markup {
  const { name, node, owner, runtimeClass, profile, grant, mode, verdict, wall } = row;
  const [word, tone] = VERDICTS[verdict];
  const about = [
    ...(owner === undefined ? [] : [owner]),
    ...(node === undefined ? [] : [`on ${node}`]),
    ...(runtimeClass === undefined ? [] : [`class ${runtimeClass}`]),
  ];
  return html`<tr role="row"><th scope="row" role="rowheader">${name}${about.length === 0 ? NOTHING : html`<small>${about.join(' · ')}</small>`}</th>${cell('Profile', html`${grant === '' ? profile : `${profile}/${grant}`}<small>${mode}</small>`)}${cell('Verdict', html`<span class="is ${tone}">${word}</span>`)}${cell('Wall', html`<span class="is ${WALLS[wall.state]}">${wall.state}</span>`)}${cell('Findings', printFindings(row))}</tr>
`;
}

function cell(column: (typeof COLUMNS)[number], content: Markup): Markup {
  return html`<td role="cell" data-column="${column}">${content}</td>`;
}

/** A row with more findings is the work of one author; the first ones say what to do. */
const MAX_FINDINGS = 20;

function printFindings({ wall, findings, exempted, notes }: ScanRow): Markup {
  const items = [
    ...wall.findings.map(printWallFinding),
    ...findings.map(printFinding),
    ...exempted.map(({ rule, value, reason }) => html`<li class="mute"><b>${rule}</b> ${value} is exempted: ${reason}</li>`),
    ...notes.map((note) => html`<li class="mute">${note}</li>`),
  ];
  const rest = items.length - MAX_FINDINGS;
  const more = rest > 0 ? html`<li class="mute">and ${rest} more</li>` : NOTHING;
  return items.length === 0 ? html`none` : html`<ul>${items.slice(0, MAX_FINDINGS)}${more}</ul>`;
}

const WALL_TONES: Readonly<Record<WallFinding['severity'], Tone>> = { error: 'bad', warning: 'warn', info: 'mute' };

function printWallFinding({ check, severity, message, remedy }: WallFinding): Markup {
  return html`<li class="${WALL_TONES[severity]}"><b>${check}</b> ${message}${remedy === '' ? NOTHING : html`<small>${remedy}</small>`}</li>`;
}

function printFinding(finding: Finding): Markup {
  const { rule, kind, message } = finding;
  return html`<li class="${kind === 'escape' ? 'bad' : 'warn'}"><b>${rule}</b> <code>${printPlace(finding)}</code> ${message}<small>${remedyOf(finding)}</small></li>`;
}

const FOOT = html`<footer>
<h2>What the words mean</h2>
<dl>
<dt>Verdict</dt><dd><b>clean</b>: the pod breaks no rule. <b>escapes</b>: it breaks a rule, and admission would refuse or repair it. <b>short</b>: it breaks no rule, and a part of its grant is missing. <b>not judged</b>: Cloister cannot read the pod.</dd>
<dt>Wall</dt><dd><b>stands</b>: each part of the wall is proven, and nothing contradicts it. <b>claimed</b>: the pod asks for it, and not every part is proven. <b>missing</b>: the cluster says that it is not there. <b>none</b>: the pod asks for no wall. <b>down</b>: no container of the pod runs.</dd>
</dl>
<p>What a node reports of its kernel and runtime is the node’s own statement. A compromised node can report a wall that is not there.</p>
</footer>`;
