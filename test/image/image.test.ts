import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAuthority, issueCertificate } from '../../src/tls/certificate.ts';
import { BUILT_IMAGE, type Buildah, buildImage, missingForImage } from '../support/built-image.ts';
import { run } from '../support/helm.ts';
import { imageSettings } from '../support/image.ts';
import { describeUnless } from '../support/needs.ts';
import { exampleReview, send } from '../support/webhook-server.ts';

/** The image as a cluster would run it: as its numeric user, with a read-only root. */

const root = join(import.meta.dirname, '../..');

interface Inspected {
  readonly OCIv1: {
    readonly config: {
      readonly User?: string;
      readonly Entrypoint?: readonly string[];
      readonly Cmd?: readonly string[];
      readonly Env?: readonly string[];
      readonly Labels?: Readonly<Record<string, string>>;
    };
  };
}

describeUnless(missingForImage, 'the image', () => {
  let folder: string;
  let buildah: Buildah;
  let mounted: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cloister-image-'));
    buildah = await buildImage(folder);
    mounted = await buildah('mount', await buildah('from', '--pull-never', BUILT_IMAGE));
  }, 900_000);
  afterAll(async () => {
    if (folder === undefined) return;
    await buildah?.('rm', '--all');
    await rm(folder, { recursive: true, force: true });
  });

  test('the image has a numeric user and the entry point that the chart expects', async () => {
    const { OCIv1 } = JSON.parse(await buildah('inspect', '--type=image', BUILT_IMAGE)) as Inspected;
    const { entrypoint, path } = imageSettings();
    expect(OCIv1.config).toMatchObject({ User: '65532:65532', Entrypoint: entrypoint });
    expect(OCIv1.config.Env).toContain(`PATH=${path}`);
    const label = (name: string) => OCIv1.config.Labels?.[`org.opencontainers.image.${name}`];
    const { repository } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
      readonly repository: { readonly url: string };
    };
    expect(repository.url).toBe(`git+${label('source')}.git`);
    expect([label('licenses'), label('version'), label('revision')]).toEqual(['Apache-2.0', '1.2.3', 'abc']);
  });

  test('the image adds only the build, the pages of rules and profiles, and no package', async () => {
    const { stdout } = await run('find', [join(mounted, 'cloister'), '-maxdepth', '2', '-printf', '%P\n']);
    const names = stdout.trim().split('\n').sort();
    expect(names).toEqual(
      expect.arrayContaining(['dist/main.js', 'docs/rules', 'docs/profiles', 'docs/checks', 'package.json', 'LICENSE']),
    );
    expect(names.filter((name) => /node_modules|src|test/.test(name))).toEqual([]);
    const { stdout: size } = await run('du', ['-sk', join(mounted, 'cloister')]);
    const mebibytes = Number(size.split('\t')[0]) / 1_024;
    process.stdout.write(`the image adds ${mebibytes.toFixed(1)} MiB to its base\n`);
    const [, said] = /(\d+) MiB of Cloister/.exec(await readFile(join(root, 'docs/install.md'), 'utf8')) ?? [];
    expect(Math.abs(mebibytes - Number(said))).toBeLessThan(1);
  });

  test('the image prints its version', async () => {
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { readonly version: string };
    const { stdout } = await run('setpriv', containerised(['--version']));
    expect(stdout.trim()).toBe(version);
  });

  test('the image answers a review as its user, without capabilities and with a read-only root, and exits with 0 on SIGTERM', async () => {
    const now = new Date();
    const authority = await createAuthority('test', { now, days: 1 });
    const { certificate, key } = await issueCertificate(authority, ['localhost'], { now, days: 1 });
    await writeFile(join(mounted, 'tls/tls.crt'), certificate, { mode: 0o444 });
    await writeFile(join(mounted, 'tls/tls.key'), key, { mode: 0o444 });
    const serve = [
      'serve',
      '--tls-dir=/tls',
      '--listen=127.0.0.1:0',
      '--operations-listen=127.0.0.1:0',
      '--metrics-listen=127.0.0.1:0',
      '--drain-delay=0s',
    ];
    const began = performance.now();
    const child = spawn('setpriv', containerised(serve), { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    process.stdout.write(`it serves ${(performance.now() - began).toFixed(0)} ms after it was started\n`);
    const port = Number(JSON.parse(line).listen.split(':').at(-1));
    const answer = await send({ port, path: '/mutate/userns', body: exampleReview, ca: authority.certificate, servername: 'localhost' });
    expect(JSON.parse(answer.body).response).toMatchObject({ allowed: true, patchType: 'JSONPatch' });
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  });

  /** Arguments of setpriv: the image's user, no way to gain a right, and its root, read-only. */
  function containerised(args: readonly string[]): readonly string[] {
    const { entrypoint, path } = imageSettings();
    const script = `mount --bind '${mounted}' '${mounted}' && mount --rbind /proc '${mounted}/proc' && mount --rbind /dev '${mounted}/dev' && mount -o remount,bind,ro '${mounted}' && exec setpriv --no-new-privs env -i PATH=${path} NODE_ENV=production /usr/sbin/chroot --userspec=65532:65532 --groups= '${mounted}' "$@"`;
    return ['--pdeathsig=KILL', 'unshare', '--mount', 'sh', '-c', script, 'sh', ...entrypoint, ...args];
  }
});
