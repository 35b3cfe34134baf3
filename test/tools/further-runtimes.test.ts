import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { furtherRuntimes } from '../node/fixture/further-runtimes.ts';
import { configOf, offersWith } from '../node/fixture/offers.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-runtimes-'));
});
afterEach(() => rm(folder, { recursive: true }));

const QEMU = `handler: kata-qemu
type: io.containerd.kata.v2
options: {ConfigPath: /opt/kata/configuration.toml}
runtimeClass: kata-qemu
programs: [/opt/kata/bin]
daemons: {vsock: exec vhost-device-vsock}
offers:
  - {id: kata-qemu-containers, backend: kata-qemu, grant: containers, podSecurity: privileged, fails: {podman run: 'mount .proc'}}
`;

test('without a folder there are none', async () => {
  expect(await furtherRuntimes('')).toEqual([]);
});

test('each file is one, and takes the place of what was only stored', async () => {
  await writeFile(join(folder, 'kata.yaml'), QEMU);
  const runtimes = await furtherRuntimes(folder);
  expect(runtimes).toMatchObject([{ handler: 'kata-qemu', packages: [], daemons: { vsock: 'exec vhost-device-vsock' } }]);
  const offers = offersWith(runtimes);
  const ids = (list: typeof offers.run): readonly string[] => list.map(({ id }) => id);
  expect(ids(offers.run)).toContain('kata-qemu-containers');
  expect(ids(offers.stored)).toContain('kata-qemu');
  expect(ids(offers.stored)).not.toContain('kata-qemu-containers');
  expect(configOf(offers).match(/^ {2}kata-qemu-containers:/gm)).toHaveLength(1);
});

test('the file that comes with the tests is one', async () => {
  expect(await furtherRuntimes(join(import.meta.dirname, '../node/runtimes'))).toMatchObject([{ handler: 'crun', packages: ['crun'] }]);
});

test('a folder without any says so', async () => {
  await expect(furtherRuntimes(folder)).rejects.toThrow(`CLOISTER_RUNTIMES is ${folder}, where there is no file whose name ends in .yaml`);
});

test('what cannot be read is named, all of it at once', async () => {
  const file = join(folder, 'odd.yaml');
  await writeFile(file, 'handler: odd\ntype: x\nprogrammes: [/opt]\noffers:\n  - {id: odd, backend: podman, grant: sudo}\n');
  const complaint = await furtherRuntimes(folder).catch((error: Error) => error.message);
  expect(complaint).toContain(`${file} describes no runtime`);
  for (const part of ['runtimeClass', '"programmes"', 'offers[0].backend']) expect(complaint).toContain(part);
});
