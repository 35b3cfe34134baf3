import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A folder that changes as a kubelet changes a Secret volume: what its files lead through is swapped in one rename. */
export class SecretVolume {
  readonly folder: string;
  #number = 0;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** @param data by file name, in base64 */
  async write(data: Readonly<Record<string, string>>): Promise<void> {
    this.#number += 1;
    const version = `..version-${this.#number}`;
    await mkdir(join(this.folder, version));
    for (const [name, text] of Object.entries(data)) {
      await writeFile(join(this.folder, version, name), Buffer.from(text, 'base64'), { mode: 0o600 });
      await symlink(join('..data', name), join(this.folder, name)).catch(ignoreExisting);
    }
    await symlink(version, join(this.folder, '..data.part'));
    await rename(join(this.folder, '..data.part'), join(this.folder, '..data'));
    await rm(join(this.folder, `..version-${this.#number - 1}`), { recursive: true, force: true });
  }
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}
