import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../../src/make-folder.ts';
import { readArguments } from './shared/arguments.ts';
import { npm, withShippedProject } from './shared/shipped.ts';

/** `./dev sbom [folder]`: writes the bill of materials of the bundled packages with npm, in both common formats. */

const [folder = join(import.meta.dirname, '../../sbom')] = readArguments('usage: ./dev sbom [folder]', { most: 1 });
await withShippedProject(async (project) => {
  await makeFolder(folder);
  for (const [format, ending] of [
    ['cyclonedx', 'cdx'],
    ['spdx', 'spdx'],
  ] as const) {
    const file = join(folder, `cloister.${ending}.json`);
    await writeFile(file, await npm(project, 'sbom', '--package-lock-only', '--sbom-type=application', `--sbom-format=${format}`));
    process.stdout.write(`${file}\n`);
  }
});
