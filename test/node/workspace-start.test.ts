import { beforeAll, expect, test } from 'vitest';
import { WORKSPACE_IMAGE } from '../../tools/workspace-image.ts';
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
    ['what engines need without pivot_root(2), and nothing else,', 'userns-sysadmin', SYSADMIN],
  ])('changes %s under %s', async (_, offer, state) => {
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

  test('makes rootless engines work where file capabilities are lost and /proc is masked, as in a Kata guest', async () => {
    // All ids, SYS_ADMIN and no seccomp filter, masks over /proc: what containerd makes of a pod with the grant `containers` in a guest.
    const options = ['--rm', '--allow-new-privs', '--cap-add=CAP_SYS_ADMIN', '--user=1000:1000', '--cwd=/home/dev'];
    const mounts = [
      '--mount=type=tmpfs,src=tmpfs,dst=/var/lib/containers,options=mode=1777',
      `--mount=type=bind,src=${ground.bench},dst=${BENCH},options=rbind:ro`,
    ];
    const run = (script: string) =>
      runOn(ground.node, ['ctr', '--namespace=k8s.io', 'run', ...options, ...mounts, WORKSPACE_IMAGE, 'kata-like', 'bash', '-euc', script]);
    const guest = `sudo setcap -r /usr/bin/newuidmap; sudo setcap -r /usr/bin/newgidmap; test -n "$(${MOUNTS_OVER_PROC})"; cd ${BENCH}`;
    const engines = 'podman load --input busybox.tar && podman build --tag small small && test "$(podman run --rm small)" = built-by-0';

    const without = await run(`${guest}; ${engines}`);
    expect(without.code).not.toBe(0);
    expect(without.stdout + without.stderr).toContain('newuidmap');
    const onlyIds = await run(`${guest}; sudo chmod u+s /usr/bin/new{u,g}idmap; ${engines}`);
    expect(onlyIds.code).not.toBe(0);
    expect(onlyIds.stdout + onlyIds.stderr).toMatch(/mount `?proc`? to `?proc`?: Operation not permitted/);

    const state = `workspace-start sh -c "stat --format=%A /usr/bin/newuidmap /usr/bin/newgidmap; ${MOUNTS_OVER_PROC.replaceAll('$', '\\$').replaceAll('"', '\\"')}"`;
    const { code, stdout, stderr } = await run(`${guest}; ${state}; echo started; ${engines}`);
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^-rwsr-xr-x\n-rwsr-xr-x\nstarted\n/);
  });
});
