import { beforeAll, expect, test } from 'vitest';
import { WORKSPACE_IMAGE } from '../../tools/programs/workspace-image.ts';
import { SETTINGS } from './fixture/attempts.ts';
import { cgroupsCalled } from './fixture/cgroups.ts';
import { enter, exec, leave, rootOf, takeSteps, withoutCloister } from './fixture/keep.ts';
import { runOn } from './fixture/node.ts';
import { stepsOf } from './fixture/offers.ts';
import { dockerInDocker, withNodeFiles } from './fixture/pods.ts';
import { wayOut } from './fixture/report.ts';
import { onNode, useNode } from './fixture/use.ts';

/** The same pods without Cloister: this shows that the isolation, and not the machine, stops them. */

/** Leaves a file in the node's own mounts, by way of a process of the node that only a shared pid namespace shows. */
const BREAK_OUT = 'sudo -n nsenter --target "$(pgrep -x containerd)" --mount touch /run/broken-out';

onNode('a docker-in-docker pod as its author wrote it', () => {
  let ground: Awaited<ReturnType<typeof useNode>>;
  beforeAll(async () => {
    ground = await useNode();
  });

  const settings = async (): Promise<string> => {
    const files = SETTINGS.map((name) => `/proc/sys/${name.replaceAll('.', '/')}`);
    return (await runOn(ground.node, ['grep', '', ...files])).stdout;
  };
  const hasBrokenOut = async (): Promise<boolean> => (await runOn(ground.node, ['rm', '/run/broken-out'])).code === 0;
  const enterIn = async (namespace: string, pod = dockerInDocker(WORKSPACE_IMAGE), labels: Record<string, string> = {}) => {
    await ground.apiServer.createNamespace(namespace, labels);
    return enter(ground, await ground.apiServer.createTenant(namespace, namespace), namespace, pod);
  };

  test('docker-in-docker breaks out of its container without Cloister', async () => {
    const workspace = await enterIn('without');
    expect(await exec(workspace, BREAK_OUT)).toMatchObject({ code: 0 });
    expect(await hasBrokenOut()).toBe(true);
    expect((await rootOf(ground, workspace)).onNode).toEqual([0]);
    await leave(workspace);
  });

  test('docker-in-docker does not break out with Cloister, and still builds and runs containers', async () => {
    const workspace = await enterIn('with', dockerInDocker(WORKSPACE_IMAGE), { 'cloister.dev/enforce': 'userns-containers' });
    expect((await exec(workspace, BREAK_OUT)).code).not.toBe(0);
    expect(await hasBrokenOut()).toBe(false);
    const outcomes = await takeSteps(workspace, stepsOf({ grant: 'containers' }));
    expect(outcomes.filter(({ ok }) => !ok).map(({ step, said }) => [step.name, said])).toEqual([]);
    await leave(workspace);
  });

  test.each([
    ['in docker-in-docker', dockerInDocker],
    ['in a pod with the node’s files', withNodeFiles],
  ])('attempts without Cloister succeed %s, unless this kernel lacks the feature, and the node is restored', async (_, pod) => {
    const before = await settings();
    const { attempts, root } = await withoutCloister(ground, ground.apiServer, pod(WORKSPACE_IMAGE));
    // Attempts fail only if the kernel was built without the feature, or if the API server decides.
    expect(attempts.filter((attempt) => !(wayOut(attempt, root) || MEANINGLESS.test(attempt.detail)))).toEqual([]);
    expect(attempts.filter(({ own }) => own === false).map(({ name }) => name)).toEqual([
      ...SETTINGS.map((name) => `raise ${name}`),
      'make a control group',
    ]);
    expect(await settings()).toBe(before);
    expect(await cgroupsCalled(`cloister-probe-${process.pid}-*`)).toEqual([]);
  });

  test('Cloister refuses the pod with the node’s files, and the denial says what to do', async () => {
    await ground.apiServer.createNamespace('refused', { 'cloister.dev/enforce': 'userns-containers' });
    const tenant = await ground.apiServer.createTenant('refused', 'refused');
    const { status, body } = await tenant.request<{ message: string }>(
      'POST',
      '/api/v1/namespaces/refused/pods',
      withNodeFiles(WORKSPACE_IMAGE),
    );
    expect(status).toBe(403);
    expect(body.message).toContain('volume "node" is the node\'s /; use an emptyDir');
  });
});

const MEANINGLESS = /function not implemented|no such file|no such device|at its maximum|the API server: 403/;
