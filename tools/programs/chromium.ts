import { access, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { cached } from './cache.ts';
import { debianRoot } from './debian.ts';

const INSTALLED = '/usr/bin/chromium';

/** With a font, and with the bus that a library of Chromium depends on under a name that debootstrap does not resolve. */
const PACKAGES = ['chromium', 'fonts-dejavu-core', 'dbus-x11'];

/** What this machine lacks for Chromium, in words; undefined: nothing. */
export async function missingForChromium(): Promise<string | undefined> {
  if (await exists(INSTALLED)) return undefined;
  if (process.getuid?.() !== 0)
    return 'Chromium: install the package chromium, or run the tests as root, so that they install it into the cache';
  return (await exists('/usr/bin/apt-get')) ? undefined : 'Chromium: install it as /usr/bin/chromium, or use Debian or Ubuntu';
}

/** The program Chromium: that of the machine, or else the Debian package. */
export async function chromium(): Promise<string> {
  return (await exists(INSTALLED)) ? INSTALLED : chromiumOfDebian();
}

/** The Debian package in a root file system of its own, made once into the cache. Needs root. */
export async function chromiumOfDebian(): Promise<string> {
  const root = await debianRoot({ name: 'chromium', suite: 'trixie', packages: PACKAGES });
  const folder = await cached(basename(dirname(root)), ['chromium'], async (into) => {
    await writeFile(join(into, 'chromium'), startScript(root), { mode: 0o755 });
  });
  return join(folder, 'chromium');
}

/** The mounts are in a namespace of the process, and end with it. */
const startScript = (root: string): string => `#!/bin/sh
exec unshare --mount --propagation private /bin/sh -c '
  root=$0
  for folder in dev proc sys tmp; do mount --rbind "/$folder" "$root/$folder"; done
  HOME=/tmp exec chroot "$root" ${INSTALLED} "$@"
' '${root}' "$@"
`;

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
