import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { hierarchies } from './fixture/cgroups.ts';
import { startCluster } from './fixture/cluster.ts';
import type { FurtherRuntime } from './fixture/further-runtimes.ts';
import { onNode } from './fixture/use.ts';

/** However a node ends, this machine is as it was. */

const PROGRAM = join(import.meta.dirname, 'fixture/start.ts');

/** What a kubelet would set for the whole machine. */
const SYSCTLS = [
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'net/ipv4/ip_forward',
];
const sysctls = (): Promise<readonly string[]> => Promise.all(SYSCTLS.map((name) => readFile(join('/proc/sys', name), 'utf8')));
const interfaces = (): Promise<readonly string[]> => readdir('/sys/class/net');

onNode('a node leaves nothing behind', () => {
  // Each case ends the node when the given file or folder exists.
  test.each([
    ['it is killed before there is a node', 'kube-apiserver.log', 'SIGKILL'],
    ['it is killed while containerd and the kubelet start', 'node/kubelet.log', 'SIGKILL'],
    ['it is killed while a pod starts', 'node/kubelet/pods', 'SIGKILL'],
    ['it is interrupted while a pod runs', 'pod-runs', 'SIGINT'],
  ] as const)('nothing remains of a node if %s', async (_, moment, signal) => {
    const before = { sysctls: await sysctls(), interfaces: await interfaces() };
    // In its own process group, like a command that a shell starts and Ctrl-C interrupts.
    const child = spawn(process.execPath, [PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
    const ended = once(child, 'exit');
    const folder = String((await once(createInterface(child.stdout), 'line'))[0]);
    try {
      await expect.poll(() => hasBegun(join(folder, moment)), { timeout: 120_000, interval: 20 }).toBe(true);
      expect(await remainsOf(folder)).toContain('processes'); // so that their absence means something
    } finally {
      if (signal === 'SIGINT' && child.pid !== undefined) process.kill(-child.pid, signal);
      else child.kill(signal);
      await ended;
    }

    await expect.poll(() => remainsOf(folder), { timeout: 30_000, interval: 200 }).toEqual([]);
    expect({ sysctls: await sysctls(), interfaces: await interfaces() }).toEqual(before);
  });

  test('nothing remains of a node if one of its programs exits at once', async () => {
    const before = { sysctls: await sysctls(), interfaces: await interfaces() };
    let folder = '';
    const onFolder = (path: string): void => {
      folder = path;
    };
    await expect(startCluster({ runtimes: [BROKEN], onFolder })).rejects.toThrow(/^broken ended, which .*\nno device$/m);
    expect(await remainsOf(folder)).toEqual([]);
    expect({ sysctls: await sysctls(), interfaces: await interfaces() }).toEqual(before);
  });
});

/** A runtime whose daemon does not come up. */
const BROKEN: FurtherRuntime = {
  handler: 'broken',
  type: 'io.containerd.runc.v2',
  runtimeClass: 'broken',
  packages: [],
  programs: [],
  versions: {},
  archives: [],
  daemons: { broken: 'echo no device >&2; exit 1' },
  offers: [],
};

/** Everything on this machine whose name contains the folder. */
async function remainsOf(folder: string): Promise<readonly string[]> {
  const name = basename(folder);
  const cgroups = (await hierarchies()).map((hierarchy) => join(hierarchy, name));
  const found = {
    folder: await isThere(folder),
    cgroups: (await Promise.all(cgroups.map(isThere))).includes(true),
    processes: (await anyProcess('cmdline', name)) || (await anyProcess('cgroup', name)),
    mounts: await anyProcess('mountinfo', name),
    disks: (await backingFiles()).some((file) => file.includes(name)),
  };
  return Object.entries(found).flatMap(([what, is]) => (is ? [what] : []));
}

/** Of loop devices. */
async function backingFiles(): Promise<readonly string[]> {
  const loops = (await readdir('/sys/block')).filter((each) => each.startsWith('loop'));
  return Promise.all(loops.map((each) => readFile(join('/sys/block', each, 'loop/backing_file'), 'utf8').catch(() => '')));
}

async function anyProcess(file: string, name: string): Promise<boolean> {
  const pids = (await readdir('/proc')).filter((each) => /^\d+$/.test(each));
  const texts = await Promise.all(pids.map((pid) => readFile(join('/proc', pid, file), 'utf8').catch(() => '')));
  return texts.some((text) => text.includes(name));
}

/** A file that is there, or a folder with something in it. */
async function hasBegun(path: string): Promise<boolean> {
  if (!(await isThere(path))) return false;
  return (await stat(path)).isDirectory() ? (await readdir(path)).length > 0 : true;
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
