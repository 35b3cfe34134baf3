import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Daemons } from '../test/support/daemons.ts';
import { replaceSection, sectionOf } from './report/performance-page.ts';
import { attacks } from './sections/attacks.ts';
import { costs } from './sections/costs.ts';
import { files } from './sections/files.ts';
import { hostile } from './sections/hostile.ts';
import { load } from './sections/load.ts';
import { policies } from './sections/policies.ts';
import { scan } from './sections/scan.ts';
import type { Section } from './sections/section.ts';
import { soak } from './sections/soak.ts';
import { findPinning } from './servers/cpu-pinning.ts';
import { prepareServers } from './servers/servers.ts';

/** `./dev bench`: measures Cloister. */

/** In the order of the page. */
const SECTIONS: readonly Section[] = [costs, hostile, attacks, load, soak, files, scan, policies];
const NAMES = SECTIONS.map(({ name }) => name);
const PAGE = join(import.meta.dirname, '..', 'docs', 'performance.md');
const USAGE = `usage: ./dev bench [SECTION...] [--quick | --full] [--write]

Sections: ${NAMES.join(', ')}; without a name, all of them.

  --quick  show in seconds that everything runs; the figures mean nothing
  --full   measure for as long as the goals require, most of an hour
  --write  replace the measured sections of docs/performance.md
  --help   print this text
`;

const { flags, names } = readArguments();
const extent = flags.quick ? 'quick' : flags.full ? 'full' : 'usual';
const { pin, isPinned } = findPinning();
const daemons = await Daemons.create('bench');
try {
  const servers = await prepareServers(daemons);
  for (const section of SECTIONS.filter(({ name }) => names.length === 0 || names.includes(name))) {
    const figures = await section.measure({ servers, machine: { daemons, ca: servers.ca, pin }, extent });
    const text = sectionOf(section, figures, { servers, isPinned, extent });
    process.stdout.write(`${text}\n`);
    if (flags.write) await writeFile(PAGE, replaceSection(await readFile(PAGE, 'utf8'), section, text, SECTIONS));
  }
} finally {
  await daemons.stop();
}

function readArguments() {
  const flag = { type: 'boolean', default: false } as const;
  try {
    const options = { quick: flag, full: flag, write: flag, help: flag };
    const { values: flags, positionals: names } = parseArgs({ allowPositionals: true, options });
    if (flags.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    if (flags.quick && flags.full) refuse('--quick and --full exclude each other');
    const unknown = names.find((name) => !NAMES.includes(name));
    if (unknown !== undefined) refuse(`there is no section ${unknown}`);
    return { flags, names };
  } catch (error) {
    return refuse((error as Error).message);
  }
}

function refuse(problem: string): never {
  process.stderr.write(`error: ${problem}\n${USAGE}`);
  process.exit(2);
}
