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
 * The folder of a root file system, made once, into the user's cache, from the Debian archive that this machine's apt uses, or else Debian's own. It never changes afterwards:
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
    const { uri, flags } = await archive();
    await debootstrap([...flags, `--include=${packages.join(',')}`, suite, root, uri], suite);
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
  const unpacked = await unpackedPackage('debootstrap');
  return { program: join(unpacked, 'usr/sbin/debootstrap'), folder: join(unpacked, 'usr/share/debootstrap') };
}

/** The files of a package of this machine's apt, unpacked into the cache without an installation. */
async function unpackedPackage(name: string): Promise<string> {
  const cache = await cached(name, ['package'], async (into) => {
    const unpacked = join(into, 'package');
    await mkdir(unpacked);
    await run('apt-get', ['download', '--quiet', name], into).catch(async () => {
      await run('apt-get', ['update', '--quiet'], into);
      await run('apt-get', ['download', '--quiet', name], into);
    });
    const [file = ''] = (await readdir(into)).filter((each) => each.endsWith('.deb'));
    await run('dpkg-deb', ['--extract', join(into, file), unpacked], into);
  });
  return join(cache, 'package');
}

/** Where packages of Debian come from: on Ubuntu, apt has no archive of Debian, and knows no key of it. */
async function archive(): Promise<{ readonly uri: string; readonly flags: readonly string[] }> {
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(ORIGIN) $(REPO_URI) $(SUITE)', 'Created-By: Packages'], '/');
  const uri = debianArchiveIn(stdout);
  if (uri !== undefined) return { uri, flags: [] };
  const keyring = join(await unpackedPackage('debian-archive-keyring'), 'usr/share/keyrings/debian-archive-keyring.gpg');
  // Without an address debootstrap uses Debian's own archive.
  return { uri: '', flags: [`--keyring=${keyring}`] };
}

/** @param targets lines of `apt-get indextargets`: origin, URI and suite */
export function debianArchiveIn(targets: string): string | undefined {
  const lines = targets.split('\n').map((line) => line.split(' '));
  return lines.find(([origin, , suite = '']) => origin === 'Debian' && !suite.includes('security'))?.[1];
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
