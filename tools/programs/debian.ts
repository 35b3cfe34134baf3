import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, chmod, mkdir, readdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { cached, complaint, lastLines } from './cache.ts';

/** A file system of Debian, with the packages that are named. */
export interface Root {
  /** What for; part of its folder's name. */
  readonly name: string;
  readonly suite: string;
  readonly packages: readonly string[];
}

/**
 * The folder of such a root, made once, into the user's cache, from where this machine's own apt gets its packages. A root is never changed
 * afterwards: whoever writes, writes into a layer above it. Needs root.
 */
export async function debianRoot({ name, suite, packages }: Root): Promise<string> {
  const wish = createHash('sha256').update(packages.join(' ')).digest('hex').slice(0, 12);
  const folder = await cached(`root-${name}-${suite}-${wish}`, ['root'], async (into) => {
    process.stderr.write(`Making a root of Debian ${suite} for the ${name}: this takes a minute or two, once.\n`);
    const root = join(into, 'root');
    await mkdir(root);
    await debootstrap([`--include=${packages.join(',')}`, suite, root, await mirror()], suite);
    await chmod(root, 0o755);
  });
  return join(folder, 'root');
}

async function debootstrap(args: readonly string[], suite: string): Promise<void> {
  const { program, folder } = await findDebootstrap();
  // A suite that is newer than debootstrap is made like the one under development.
  const script = (await readdir(join(folder, 'scripts'))).includes(suite) ? [] : [join(folder, 'scripts/sid')];
  // In namespaces of its own: an interrupted run leaves neither mounts nor processes.
  const apart = ['--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private'];
  try {
    await promisify(execFile)('unshare', [...apart, program, '--variant=minbase', ...args, ...script], {
      env: { ...process.env, DEBOOTSTRAP_DIR: folder, PATH: `${process.env.PATH}${delimiter}/usr/sbin${delimiter}/sbin` },
      maxBuffer: 64 * 1024 * 1024,
    });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw complaint(`debootstrap could not make a Debian ${suite}: ${lastLines(stdout + stderr) || error}.`);
  }
}

/** This machine's, or one of the package of that name, unpacked into the cache: nothing is installed. */
async function findDebootstrap(): Promise<{ readonly program: string; readonly folder: string }> {
  const installed = { program: '/usr/sbin/debootstrap', folder: '/usr/share/debootstrap' };
  if (
    await access(installed.program).then(
      () => true,
      () => false,
    )
  )
    return installed;
  const cache = await cached('debootstrap', ['package'], async (into) => {
    const unpacked = join(into, 'package');
    await mkdir(unpacked);
    await run('apt-get', ['download', '--quiet', 'debootstrap'], into).catch(async () => {
      await run('apt-get', ['update', '--quiet'], into);
      await run('apt-get', ['download', '--quiet', 'debootstrap'], into);
    });
    const [archive = ''] = (await readdir(into)).filter((name) => name.endsWith('.deb'));
    await run('dpkg-deb', ['--extract', join(into, archive), unpacked], into);
  });
  const unpacked = join(cache, 'package');
  return { program: join(unpacked, 'usr/sbin/debootstrap'), folder: join(unpacked, 'usr/share/debootstrap') };
}

async function mirror(): Promise<string> {
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(REPO_URI) $(SUITE)', 'Created-By: Packages'], '/');
  const found = stdout.split('\n').find((line) => line !== '' && !line.includes('security'));
  if (found === undefined)
    throw complaint(
      'apt has no Debian archive here (`apt-get indextargets` names none), and a root is made from one: add one to its sources.',
    );
  return found.split(' ')[0] ?? '';
}

async function run(program: string, args: readonly string[], cwd: string): Promise<{ readonly stdout: string }> {
  try {
    return await promisify(execFile)(program, args, { cwd });
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT')
      throw complaint(`A root of Debian is made with ${program}, which is not here: run these tests on a Debian or Ubuntu machine.`);
    throw complaint(`${program} ${args.join(' ')} failed: ${lastLines(stderr ?? String(error))}.`);
  }
}
