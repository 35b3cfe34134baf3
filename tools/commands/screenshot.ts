import { execFile } from 'node:child_process';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { makeFolder } from '../../src/make-folder.ts';
import { startApiServer } from '../../test/support/api-server.ts';
import { cloister } from '../../test/support/run.ts';
import { scanClusterOf } from '../../test/support/scan-cluster.ts';
import { readArguments } from './shared/arguments.ts';

/**
 * `./dev screenshot`: writes docs/images/scan.png, the page that `cloister scan -o html` makes of the pods of test/api-server/scan.test.ts in a real API
 * server. It needs a headless Chromium, such as Debian's package `chromium`.
 */

const USAGE = 'usage: ./dev screenshot    writes docs/images/scan.png; CHROMIUM names the browser if it is not in PATH';
const PICTURE = join(import.meta.dirname, '../../docs/images/scan.png');
/** The README is on the first page that a reader loads. */
const MAX_BYTES = 150_000;
/** Down to the second pod of the table. Scaled, the picture is as wide as a README is shown. */
const WINDOW = '1150,1238';
const SCALE = 0.75;
const NAMESPACE = 'team-a';

readArguments(USAGE, { most: 0 });

const folder = await mkdtemp(join(tmpdir(), 'cloister-screenshot-'));
try {
  const page = join(folder, 'scan.html');
  await writeFile(page, await scannedPage());
  await makeFolder(join(PICTURE, '..'));
  await photograph(page);
  const { size } = await stat(PICTURE);
  if (size > MAX_BYTES) throw new Error(`docs/images/scan.png has ${size} bytes, and may have ${MAX_BYTES}: make the window smaller`);
  process.stdout.write(`docs/images/scan.png: ${size} bytes\n`);
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function scannedPage(): Promise<string> {
  const apiServer = await startApiServer();
  try {
    await scanClusterOf(apiServer).fill();
    const flags = ['--kubeconfig', apiServer.admin.kubeconfig, '--namespace', NAMESPACE, '--fail-on', 'never'];
    const { stdout, stderr } = await cloister(['scan', '-o', 'html', ...flags]);
    if (stdout === '') throw new Error(stderr);
    return stdout;
  } finally {
    await apiServer.stop();
  }
}

async function photograph(page: string): Promise<void> {
  const chromium = process.env.CHROMIUM ?? 'chromium';
  // As root, Chromium has no sandbox. The page is the tool's own, and runs no script.
  const flags = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--hide-scrollbars',
    '--disable-lcd-text',
    `--force-device-scale-factor=${SCALE}`,
    `--window-size=${WINDOW}`,
    `--user-data-dir=${folder}`,
  ];
  try {
    await promisify(execFile)(chromium, [...flags, `--screenshot=${PICTURE}`, pathToFileURL(page).href], { timeout: 300_000 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Error(`there is no ${chromium}: install Chromium (Debian: apt-get install chromium), or name it with CHROMIUM`);
  }
}
