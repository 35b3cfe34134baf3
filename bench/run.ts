import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Daemons } from '../test/support/daemons.ts';
import { rewrite, sectionOf } from './report/performance-page.ts';
import { costs } from './sections/costs.ts';
import { hostile } from './sections/hostile.ts';
import { load } from './sections/load.ts';
import type { Section } from './sections/section.ts';
import { soak } from './sections/soak.ts';
import { pinning } from './servers/cpu-pinning.ts';
import { prepare } from './servers/servers.ts';

/**
 * Measures Cloister: `./dev bench`, or `./dev bench load soak` for some of it.
 *
 * `--quick` proves in seconds that everything runs, and tells nothing; `--full` goes on for as long as the goals say, which is most of an
 * hour. `--write` puts what was measured into docs/performance.md, and leaves the rest of that page as it is.
 */

/** In the order of the page. */
const SECTIONS: readonly Section[] = [costs, hostile, load, soak];
const PAGE = join(import.meta.dirname, '..', 'docs', 'performance.md');

const { values: flags, positionals: asked } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    full: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});
const names = SECTIONS.map(({ name }) => name);
const unknown = asked.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`bench: there is no ${unknown.join(', ')}; there are: ${names.join(', ')}\n`);
  process.exit(2);
}

const extent = flags.quick ? 'quick' : flags.full ? 'full' : 'usual';
const { pin, isPinned } = pinning();
const daemons = await Daemons.create('bench');
try {
  const field = await prepare(daemons);
  for (const section of SECTIONS.filter(({ name }) => asked.length === 0 || asked.includes(name))) {
    const figures = await section.measure({ field, stage: { daemons, ca: field.ca, pin }, extent });
    const text = sectionOf(section, figures, { field, isPinned, extent });
    process.stdout.write(`${text}\n`);
    if (flags.write) await writeFile(PAGE, rewrite(await readFile(PAGE, 'utf8'), section, text, SECTIONS));
  }
} finally {
  await daemons.stop();
}
