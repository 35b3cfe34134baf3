import { cpus } from 'node:os';
import type { Extent, Section } from '../sections/section.ts';
import type { Field } from '../servers/servers.ts';
import { type Figure, tableOf } from './figures.ts';

interface Circumstances {
  readonly field: Field;
  /** Whether servers and load had a processor each. */
  readonly isPinned: boolean;
  readonly extent: Extent;
}

/** What a section says on docs/performance.md. */
export function sectionOf({ name, title, about }: Section, figures: readonly Figure[], { field, isPinned, extent }: Circumstances): string {
  const where = isPinned ? 'servers on one, load on another' : 'nothing is pinned to one, so the figures scatter';
  const command = `./dev bench ${name}${extent === 'usual' ? '' : ` --${extent}`} --write`;
  return `## ${title}

${about(field)}

Measured by \`${command}\` on ${cpus().length} processors (${cpus()[0]?.model.trim()}), ${where}; Node ${process.versions.node}.

${tableOf(figures)}
`;
}

const HEAD = `# Performance

This page shows what Cloister costs, and which load it sustains. \`./dev bench\` measures the figures, and compares them with their goals.
`;

/** The page with one of its sections replaced; those that were never measured are not there. */
export function rewrite(page: string, { title }: Section, text: string, sections: readonly Section[]): string {
  const parts = new Map(page.split(/^(?=## )/m).map((part) => [/^## (.*)$/m.exec(part)?.[1], part] as const));
  parts.set(title, text);
  return [HEAD, ...sections.map((each) => parts.get(each.title)).filter((part) => part !== undefined)]
    .map((part) => part.trimEnd())
    .join('\n\n')
    .concat('\n');
}
