import { styleText } from 'node:util';
import { plural } from '../../core/plural.ts';
import { printable } from '../../core/printable.ts';
import type { DoctorAnswer, Level } from '../../doctor/check.ts';
import { countByLevel } from '../../doctor/examine.ts';
import type { DoctorReport } from './doctor-report.ts';

type Style = Parameters<typeof styleText>[0];

const STYLES: Readonly<Record<Level, Style>> = { error: 'red', warning: 'yellow', unknown: 'magenta', info: 'cyan', ok: 'green' };
const LEVEL_WIDTH = 'warning'.length;
/** Messages contain what other programs answered. */
const MAX_CHARS = 1_000;

/**
 * The report for people: what was examined, each problem with what to do, and the counts in the last line. Answers that are ok are only counted.
 * @param stream the output; colours are used only if it is a terminal and `NO_COLOR` is not set
 */
export function printDoctorText({ cluster, answers }: DoctorReport, stream: NodeJS.WriteStream): string {
  const noteworthy = answers.filter(({ level }) => level !== 'ok');
  const width = Math.max(0, ...noteworthy.map(({ check }) => check.length));
  const problems = noteworthy.map((answer) => printAnswer(answer, width, stream)).join('');
  return `${[printCluster(cluster), ...(problems === '' ? [] : [problems]), printSummary(answers)].join('\n')}`;
}

function printCluster({ version, nodes, cloister, configuration, origin, profiles, namespaces }: DoctorReport['cluster']): string {
  const offered = profiles.map(({ id, grant }) => `${id} (grant ${grant})`).join(', ') || 'none';
  const parts = [
    `Kubernetes ${version}${nodes === undefined ? '' : `, ${nodes} nodes`}`,
    `cloister ${cloister}, configuration ${configuration.slice(0, 12)} of ${origin}`,
    `profiles ${offered}`,
    ...(namespaces === undefined ? [] : [`${namespaces.enforce} namespaces enforce, ${namespaces.warn} warn, ${namespaces.audit} audit`]),
  ];
  return `${printable(parts.join('; '), MAX_CHARS)}\n`;
}

function printAnswer({ level, check, profile, message, remedy }: DoctorAnswer, width: number, stream: NodeJS.WriteStream): string {
  const label = styleText(STYLES[level], level.padEnd(LEVEL_WIDTH), { stream });
  const about = profile === undefined ? '' : `${profile}: `;
  const indent = ' '.repeat(LEVEL_WIDTH + 2 + width + 2);
  return `${label}  ${check.padEnd(width)}  ${printable(about + message, MAX_CHARS)}\n${remedy === '' ? '' : `${indent}${printable(remedy, MAX_CHARS)}\n`}`;
}

function printSummary(answers: readonly DoctorAnswer[]): string {
  const { error, warning, unknown, info, ok } = countByLevel(answers);
  const unread = [...new Set(answers.filter(({ level }) => level === 'unknown').map(({ check }) => check))];
  const notChecked = unread.length === 0 ? '' : `. Not known: ${unread.join(', ')}`;
  return `${plural(answers.length, 'answer')}: ${ok} ok, ${plural(error, 'error')}, ${plural(warning, 'warning')}, ${info} info, ${unknown} unknown${notChecked}. \`cloister explain CHECK\` describes a check.\n`;
}
