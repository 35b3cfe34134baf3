import { cpus } from 'node:os';
import type { Extent, Section } from '../sections/section.ts';
import type { Servers } from '../servers/servers.ts';
import { type Figure, tableOf } from './figures.ts';

interface Conditions {
  readonly servers: Servers;
  /** Whether servers and load each had a processor. */
  readonly isPinned: boolean;
  readonly extent: Extent;
}

/** The text of a section for docs/performance.md. */
export function sectionOf(
  { name, title, introduction }: Section,
  figures: readonly Figure[],
  { servers, isPinned, extent }: Conditions,
): string {
  const pinning = isPinned ? 'servers on one, load on another' : 'not pinned, so the figures scatter';
  const command = `./dev bench ${name}${extent === 'usual' ? '' : ` --${extent}`} --write`;
  return `## ${title}

${introduction(servers)}

Measured by \`${command}\` on ${cpus().length} processors (${cpus()[0]?.model.trim()}), ${pinning}; Node ${process.versions.node}.

${tableOf(figures)}
`;
}

const HEAD = `# Performance

What Cloister costs, the load that it withstands, and its goals. \`./dev bench\` measures them and marks the goals that are reached.
`;

/** The page with one section replaced. Sections that were never measured are absent. */
export function replaceSection(page: string, { title }: Section, text: string, sections: readonly Section[]): string {
  const parts = new Map(page.split(/^(?=## )/m).map((part) => [/^## (.*)$/m.exec(part)?.[1], part] as const));
  parts.set(title, text);
  return [HEAD, ...sections.map((each) => parts.get(each.title)).filter((part) => part !== undefined)]
    .map((part) => part.trimEnd())
    .join('\n\n')
    .concat('\n');
}
