import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Texts that a person has read once, and that are compared since. `UPDATE_GOLDEN=1` rewrites them: read the difference before you keep it. */
export interface GoldenFiles {
  /** What the file says; with `UPDATE_GOLDEN=1` it then says what it is given. */
  text(name: string, actual: string): Promise<string>;
  /** Files that no test compares. */
  orphans(names: readonly string[]): Promise<readonly string[]>;
}

const isUpdating = process.env.UPDATE_GOLDEN === '1';

/** @param folder below test/golden */
export function goldenFiles(folder: string): GoldenFiles {
  const path = join(import.meta.dirname, '../golden', folder);
  return {
    async text(name, actual) {
      const file = join(path, name);
      if (isUpdating) {
        await mkdir(path, { recursive: true });
        await writeFile(file, actual);
        return actual;
      }
      return readFile(file, 'utf8').catch(() => `there is no ${file}: write it with UPDATE_GOLDEN=1, and read it`);
    },
    async orphans(names) {
      const found = (await readdir(path).catch(() => [])).filter((each) => !names.includes(each));
      if (isUpdating) for (const each of found) await rm(join(path, each));
      return isUpdating ? [] : found;
    },
  };
}
