import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { WORKSPACE_IMAGE } from '../../tools/programs/workspace-image.ts';
import { enter, inside, leave } from './fixture/keep.ts';
import { runOn } from './fixture/node.ts';
import { plainWorkspace } from './fixture/pods.ts';
import { BENCH } from './fixture/steps.ts';
import { onNode, useNode } from './fixture/use.ts';

/** The entry point of the workspace image, which adapts the workspace to the place where it runs. */

/** Everything that the script may change, as it is now. */
const STATE = `/usr/sbin/getcap /usr/bin/newuidmap /usr/bin/newgidmap
stat --format='%n %A' /usr/bin/newuidmap /usr/bin/newgidmap
find /etc/containers/containers.conf.d 2> /dev/null || true`;

const AS_BUILT = `/usr/bin/newuidmap cap_setuid=ep
/usr/bin/newgidmap cap_setgid=ep
/usr/bin/newuidmap -rwxr-xr-x
/usr/bin/newgidmap -rwxr-xr-x
`;

const SYSADMIN = `${AS_BUILT}/etc/containers/containers.conf.d
/etc/containers/containers.conf.d/no-pivot-root.conf
`;

const MOUNTS_OVER_PROC = `awk '$5 ~ "^/proc/"' /proc/self/mountinfo`;

onNode('workspace-start', () => {
  let ground: Awaited<ReturnType<typeof useNode>>;
  beforeAll(async () => {
    ground = await useNode();
  });

  test.each([
    ['nothing', 'userns-containers', AS_BUILT],
    ['nothing', 'gvisor-containers', AS_BUILT],
    ['only the settings that engines need without pivot_root(2),', 'userns-sysadmin', SYSADMIN],
  ])('the start script changes %s under %s', async (_, offer, state) => {
    const namespace = `start-${offer}`;
    await ground.apiServer.createNamespace(namespace);
    const tenant = await ground.apiServer.createTenant(namespace, namespace);
    const workspace = await enter(ground, tenant, namespace, plainWorkspace(WORKSPACE_IMAGE, offer));
    expect(await inside(workspace, STATE)).toBe(state);
    const mounts = await inside(workspace, MOUNTS_OVER_PROC);
    await inside(workspace, 'workspace-start');
    expect(await inside(workspace, STATE)).toBe(state);
    expect(await inside(workspace, MOUNTS_OVER_PROC)).toBe(mounts);
    expect(await inside(workspace, 'workspace-start echo "a  b"')).toBe('a  b\n');
    await leave(workspace);
  });

  test('rootless engines work after the start script where file capabilities are lost and /proc is masked, as in a Kata guest', async () => {
    const bench = join(ground.node.folder, 'kata-like');
    for (const name of ['busybox.tar', 'small']) await cp(join(ground.bench, name), join(bench, name), { recursive: true });
    // All ids, SYS_ADMIN, no seccomp filter, masks over /proc: what a guest makes of a pod with the grant `containers`.
    const container = ['--rm', '--allow-new-privs', '--cap-add=CAP_SYS_ADMIN', '--user=1000:1000'];
    const mounts = [
      'type=cgroup,src=cgroup,dst=/sys/fs/cgroup,options=ro:nosuid:noexec:nodev',
      'type=tmpfs,src=tmpfs,dst=/var/lib/containers,options=mode=1777',
      `type=bind,src=${bench},dst=${BENCH},options=rbind:ro`,
    ].map((mount) => `--mount=${mount}`);
    const run = async (script: string, guest = '') => {
      const lost = `sudo setcap -r /usr/bin/newuidmap; sudo setcap -r /usr/bin/newgidmap; test -n "$(${MOUNTS_OVER_PROC})"; cd ${BENCH}`;
      const command = ['env', ...(guest === '' ? [] : [`WORKSPACE_GUEST=${guest}`]), 'bash', '-euc', `${lost}; ${script}`];
      const { code, stdout, stderr } = await runOn(ground.node, [
        ...['ctr', '--namespace=k8s.io', 'run', ...container, ...mounts],
        ...[WORKSPACE_IMAGE, 'kata-like', ...command],
      ]);
      return { code, output: stdout + stderr };
    };
    const engines = 'podman load --input busybox.tar && podman build --tag small small && test "$(podman run --rm small)" = built-by-0';

    const asItIs = await run(engines);
    expect(asItIs.code).not.toBe(0);
    expect(asItIs.output).toContain('cannot set up namespace using "/usr/bin/newuidmap"');
    const withIds = await run(`sudo chmod u+s /usr/bin/new{u,g}idmap; ${engines}`);
    expect(withIds.code).not.toBe(0);
    expect(withIds.output).toContain('crun: mount `proc` to `proc`: Operation not permitted');

    // On a kernel that is not known to be a guest's, the same container is left as it is.
    const elsewhere = await run(`workspace-start stat --format=%A /usr/bin/newuidmap; test -n "$(${MOUNTS_OVER_PROC})"`);
    expect(elsewhere).toMatchObject({ code: 0, output: expect.stringMatching(/^-rwxr-xr-x$/m) });

    const started = await run(
      `workspace-start stat --format=%A /usr/bin/newuidmap /usr/bin/newgidmap; test -z "$(${MOUNTS_OVER_PROC})"; ${engines}`,
      'kata',
    );
    expect({ code: started.code, output: started.code === 0 ? '' : started.output }).toEqual({ code: 0, output: '' });
    expect(started.output).toMatch(/^-rwsr-xr-x\n-rwsr-xr-x$/m);
  });
});
