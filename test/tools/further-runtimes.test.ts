import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { writeImage } from '../../tools/programs/image.ts';
import { DOCKER_IMAGE } from '../../tools/programs/workspace-image.ts';
import { type Runtime, runtimeTable } from '../node/fixture/files.ts';
import { furtherRuntimes } from '../node/fixture/further-runtimes.ts';
import { configOf, knownFailure, type Offer, offersWith, stepsOf, timeoutsOf } from '../node/fixture/offers.ts';
import { STEPS, type Step } from '../node/fixture/steps.ts';

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

/** The smallest valid file, with these keys. */
const fileOf = (keys: object): string =>
  stringify({
    handler: 'odd',
    type: 'io.containerd.odd.v2',
    runtimeClass: 'odd',
    offers: [{ id: 'odd', backend: 'userns', grant: 'sudo' }],
    ...keys,
  });

test('without a folder there are no further runtimes', async () => {
  expect(await furtherRuntimes('')).toEqual([]);
});

test('each file adds a runtime, which replaces the stored offer', async () => {
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

test('the example file is a runtime with a complete list of offers', async () => {
  const runtimes = join(import.meta.dirname, '../node/runtimes');
  const [crun, ...others] = await furtherRuntimes(runtimes);
  expect(others).toEqual([]);
  expect(crun).toMatchObject({ handler: 'crun', packages: ['crun'], programs: [join(runtimes, 'bin')], archives: [] });
  expect(crun?.options?.BinaryName).toBe(join(runtimes, 'bin/crun-net-admin'));
  const { offers = [] } = crun ?? {};
  expect(offers.map(({ id }) => id)).toEqual(['crun', 'crun-containers', 'crun-unbuilt']);
  // The file shows every key that needs no particular machine.
  const keys = ['backend', 'grant', 'options', 'image', 'steps', 'fails', 'attempts', 'timeouts'];
  expect(Object.keys(Object.assign({}, ...offers))).toEqual(expect.arrayContaining(keys));
});

test('paths are relative to the file, wherever it is read from', async () => {
  await writeFile(
    join(folder, 'odd.yaml'),
    fileOf({ programs: ['bin', '../up', '/opt/bin'], daemons: { log: `exec \${folder}/bin/log` } }),
  );
  const [read] = await furtherRuntimes(relative(process.cwd(), folder));
  expect(read?.programs).toEqual([join(folder, 'bin'), join(folder, '../up'), '/opt/bin']);
  expect(read?.daemons).toEqual({ log: `exec ${folder}/bin/log` });
});

test('containerd reads the settings next to the options', async () => {
  const settings = { privileged_without_host_devices: true, pod_annotations: ['a.*', 'b/c'] };
  await writeFile(join(folder, 'odd.yaml'), fileOf({ settings, options: { Path: '/a "b"', Debug: false } }));
  const [read] = await furtherRuntimes(folder);
  expect(runtimeTable('runtimes', read as Runtime)).toBe(`[runtimes.'odd']
  runtime_type = 'io.containerd.odd.v2'
  privileged_without_host_devices = true
  pod_annotations = ["a.*","b/c"]
[runtimes.'odd'.options]
  Path = "/a \\"b\\""
  Debug = false
`);
});

describe('an offer', () => {
  const read = async (keys: object, grant = 'containers'): Promise<Offer> => {
    await writeFile(join(folder, 'odd.yaml'), fileOf({ offers: [{ id: 'odd', backend: 'userns', grant, ...keys }] }));
    const { run } = offersWith(await furtherRuntimes(folder));
    return run.at(-1) as Offer;
  };
  const namesOf = (steps: readonly Step[]): readonly string[] => steps.map(({ name }) => name);

  test('an offer without further keys includes all steps of its grant except Docker’s, and expects none to fail', async () => {
    const offer = await read({});
    expect(stepsOf(offer)).toEqual(STEPS.filter(({ engine }) => engine !== 'docker'));
    expect(STEPS.map(({ name }) => knownFailure(offer, name))).toEqual(STEPS.map(() => undefined));
    expect(offer.podSecurity).toBe('baseline');
    expect(namesOf(stepsOf(await read({}, 'sudo')))).toEqual(['sudo id', 'sudo apt-get update, install']);
  });

  test('an offer includes Docker’s steps if its image has Docker, or if it selects them', async () => {
    expect(stepsOf(await read({ image: DOCKER_IMAGE }))).toEqual(STEPS);
    expect(namesOf(stepsOf(await read({ steps: ['docker run'] })))).toEqual(['docker run']);
  });

  test('an offer selects steps by name and by pattern', async () => {
    const offer = await read({ steps: ['podman run', '/^sudo (id|podman run)$/'] });
    expect(namesOf(stepsOf(offer))).toEqual(['sudo id', 'podman run', 'sudo podman run']);
  });

  test('an offer lists steps that are known to fail by name and by pattern', async () => {
    const offer = await read({ fails: { 'crun by hand': 'mount .proc', '/^podman run/': 'no room' } });
    const known = STEPS.filter(({ name }) => knownFailure(offer, name) !== undefined);
    expect(namesOf(known)).toEqual(namesOf(STEPS.filter(({ name }) => name === 'crun by hand' || name.startsWith('podman run'))));
    expect(knownFailure(offer, 'podman run')).toEqual(/no room/);
    expect(knownFailure(offer, 'sudo podman run')).toBeUndefined();
  });

  test('an offer has the timeouts that it sets, and otherwise the defaults', async () => {
    const usual = timeoutsOf(await read({}));
    expect(timeoutsOf(await read({ timeouts: { podSeconds: 900 } }))).toEqual({ ...usual, podSeconds: 900 });
    expect(timeoutsOf(await read({ timeouts: { stepSeconds: 1200 } }))).toEqual({ ...usual, stepSeconds: 1200 });
  });

  test('an offer with the id of a stored one inherits the keys that it does not set', async () => {
    const { stored } = offersWith([]);
    const known = stored.find(({ id }) => id === 'sysbox-containers');
    expect(known?.fails).not.toBeUndefined();
    const offer = await read({ id: 'sysbox-containers', backend: 'sysbox', attempts: { 'set the clock': 'as a joke' } });
    expect(offer).toMatchObject({ fails: known?.fails, attempts: { 'set the clock': 'as a joke' } });
    expect((await read({ id: 'kata-qemu-containers', backend: 'kata-qemu' })).podSecurity).toBe('privileged');
  });

  test('an offer can name an image that exists on the node', async () => {
    await read({ image: 'localhost/busybox:test' });
    const [runtime] = await furtherRuntimes(folder);
    expect(runtime).toMatchObject({ archives: [], offers: [{ image: 'localhost/busybox:test' }] });
  });

  test('an offer can bring an image in an archive, and uses the name in the archive', async () => {
    await mkdir(join(folder, 'images/root'), { recursive: true });
    await writeImage(join(folder, 'images/mine.tar'), { name: 'localhost/mine:1', root: join(folder, 'images/root') });
    await read({ image: 'images/mine.tar' });
    const [runtime] = await furtherRuntimes(folder);
    expect(runtime).toMatchObject({ archives: [join(folder, 'images/mine.tar')], offers: [{ image: 'localhost/mine:1' }] });
  });

  test.each([
    ['a missing archive', { image: 'missing.tar' }, 'missing.tar is no archive of an image: '],
    ['an image without a tag', { image: 'localhost/mine' }, 'offers[0].image'],
    ['an image with the tag latest', { image: 'localhost:5000/mine:latest' }, 'offers[0].image'],
    ['an unknown step', { steps: ['podman fly'] }, 'no step is called podman fly'],
    ['a pattern that matches no step', { steps: ['/^fly/'] }, 'no step is called /^fly/'],
    ['an invalid pattern', { steps: ['/(/'] }, '/(/ is not a regular expression'],
    ['no steps', { steps: [] }, 'offers[0].steps'],
    ['steps that its grant does not include', { grant: 'sudo', steps: ['podman run'] }, 'choose no step of sudo'],
    ['an unknown step that fails', { fails: { 'podman fly': 'x' } }, 'offers[0].fails["podman fly"]'],
    ['an invalid pattern of an error', { fails: { 'podman run': '(' } }, '( is not a regular expression'],
    ['an attempt without a reason', { attempts: { 'set the clock': '' } }, 'offers[0].attempts["set the clock"]'],
    ['a timeout of zero', { timeouts: { podSeconds: 0 } }, 'offers[0].timeouts.podSeconds'],
    ['an unknown limit', { timeouts: { seconds: 1 } }, '"seconds"'],
  ])('an offer with %s is rejected', async (_, keys, complaint) => {
    await expect(read(keys)).rejects.toThrow(complaint);
  });
});

test('the error for an archive without an image contains its path', async () => {
  await writeFile(join(folder, 'text.tar'), 'text');
  await writeFile(join(folder, 'odd.yaml'), fileOf({ offers: [{ id: 'odd', backend: 'userns', grant: 'sudo', image: 'text.tar' }] }));
  await expect(furtherRuntimes(folder)).rejects.toThrow(`${join(folder, 'text.tar')} is no archive of an image: tar: `);
});

test.each(['runtime_type', 'options'])('a key of its own cannot also be set in the settings: %s', async (key) => {
  await writeFile(join(folder, 'odd.yaml'), fileOf({ settings: { [key]: 'x' } }));
  await expect(furtherRuntimes(folder)).rejects.toThrow('at settings');
});

test('the error for a folder without files contains its path', async () => {
  await expect(furtherRuntimes(folder)).rejects.toThrow(`CLOISTER_RUNTIMES is ${folder}, where there is no file whose name ends in .yaml`);
});

test('the error for a missing folder contains its path', async () => {
  const missing = join(folder, 'missing');
  await expect(furtherRuntimes(missing)).rejects.toThrow(`CLOISTER_RUNTIMES is ${missing}, which is no folder that can be read: ENOENT`);
});

test('the error for a file that is not YAML contains its path', async () => {
  await writeFile(join(folder, 'odd.yaml'), 'handler: [');
  await expect(furtherRuntimes(folder)).rejects.toThrow(`${join(folder, 'odd.yaml')} is no YAML: `);
});

test('the error for an invalid file lists all of its problems', async () => {
  const file = join(folder, 'odd.yaml');
  await writeFile(file, 'handler: odd\ntype: x\nprogrammes: [/opt]\noffers:\n  - {id: odd, backend: podman, grant: sudo}\n');
  const message = await furtherRuntimes(folder).catch((error: Error) => error.message);
  expect(message).toContain(`${file} describes no runtime`);
  for (const part of ['runtimeClass', '"programmes"', 'offers[0].backend']) expect(message).toContain(part);
});
