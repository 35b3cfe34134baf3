import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, chmod, mkdir, readdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { cached, lastLines, userError } from './cache.ts';

/** A root file system of Debian with the named packages. */
export interface DebianRoot {
  /** Its purpose; part of its folder's name. */
  readonly name: string;
  readonly suite: string;
  readonly packages: readonly string[];
}

/**
 * The folder of a root file system, made once, into the user's cache, from the archive that this machine's apt uses. It never changes afterwards:
 * users mount a layer above it for writes. Needs root.
 */
export async function debianRoot({ name, suite, packages }: DebianRoot): Promise<string> {
  const key = createHash('sha256').update(packages.join(' ')).digest('hex').slice(0, 12);
  const folder = await cached(`root-${name}-${suite}-${key}`, ['root'], async (into) => {
    process.stderr.write(
      `Making a root file system of Debian ${suite} for the ${name}: this takes a minute or two, the first time only.\n`,
    );
    const root = join(into, 'root');
    await mkdir(root);
    await debootstrap([`--include=${packages.join(',')}`, suite, root, await mirror()], suite);
    await chmod(root, 0o755);
  });
  return join(folder, 'root');
}

async function debootstrap(args: readonly string[], suite: string): Promise<void> {
  const { program, folder } = await findDebootstrap();
  // A suite newer than debootstrap is made by the script of the development suite.
  const script = (await readdir(join(folder, 'scripts'))).includes(suite) ? [] : [join(folder, 'scripts/sid')];
  // Namespaces for the run: when it is interrupted, its mounts and processes go with them.
  const namespaces = ['--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private'];
  try {
    await promisify(execFile)('unshare', [...namespaces, program, '--variant=minbase', ...args, ...script], {
      env: { ...process.env, DEBOOTSTRAP_DIR: folder, PATH: `${process.env.PATH}${delimiter}/usr/sbin${delimiter}/sbin` },
      maxBuffer: 64 * 1024 * 1024,
    });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw userError(`debootstrap could not make a Debian ${suite}: ${lastLines(stdout + stderr) || error}.`);
  }
}

/** The installed debootstrap, or that of the Debian package, unpacked into the cache without an installation. */
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
    throw userError(
      'apt has no Debian archive (`apt-get indextargets` lists none), which a root file system is made from: add one to its sources.',
    );
  return found.split(' ')[0] ?? '';
}

async function run(program: string, args: readonly string[], cwd: string): Promise<{ readonly stdout: string }> {
  try {
    return await promisify(execFile)(program, args, { cwd });
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT')
      throw userError(`A root file system of Debian is made with ${program}, which is not installed: run these tests on Debian or Ubuntu.`);
    throw userError(`${program} ${args.join(' ')} failed: ${lastLines(stderr ?? String(error))}.`);
  }
}
