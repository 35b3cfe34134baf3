import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Finished } from '../support/client.ts';
import { CHART, ensured, run } from '../support/helm.ts';
import { within } from '../support/network.ts';
import { MAIN } from '../support/run.ts';
import { BUSYBOX } from './fixture/bench.ts';
import { type ChartCluster, startChartCluster } from './fixture/chart.ts';
import { onNode } from './fixture/use.ts';

/**
 * `cloister doctor --run` in a cluster whose node runs pods: what it proves, what it cannot prove and why, and that it leaves nothing behind. The chart is
 * installed with every profile that is asked about.
 */

/** The profiles, each with the handler of its RuntimeClass where it has one. The node has the handlers `runc` and `runsc` alone. */
const PROFILES = {
  userns: { grant: 'containers' },
  late: { extends: 'userns', grant: 'containers', seccompProfile: 'cloister/late.json' },
  gvisor: { grant: 'sudo' },
  sysbox: { grant: 'sudo' },
  'kata-qemu': { grant: 'sudo' },
  'kata-clh': { grant: 'sudo' },
};
const HANDLERS = { gvisor: 'runsc', 'sysbox-runc': 'sysbox-runc', 'kata-qemu': 'runc', 'kata-clh': 'kata-clh' };
/** The namespace that enforces a profile. */
const namespaceOf = (profile: string): string => `team-${profile}`;
const OWN_PODS = '--selector=app.kubernetes.io/managed-by=cloister-doctor';

interface Answer {
  readonly id: string;
  readonly answer: string;
  readonly profile?: string;
  readonly message: string;
}

onNode('`cloister doctor` on a node that runs pods', () => {
  let cluster: ChartCluster;
  let kubeconfig: string;

  beforeAll(async () => {
    cluster = await startChartCluster({ profiles: PROFILES });
    const { apiServer } = cluster;
    kubeconfig = apiServer.admin.kubeconfig;
    for (const [name, handler] of Object.entries(HANDLERS)) await apiServer.createRuntimeClass(name, { handler });
    await cluster.helm('install', 'cloister', CHART, '--wait', '--timeout=4m', '--values=-');
    await ensured(apiServer);
    for (const profile of Object.keys(PROFILES)) {
      const labels = { 'cloister.dev/enforce': profile, 'pod-security.kubernetes.io/enforce': 'baseline' };
      await apiServer.createNamespace(namespaceOf(profile), labels);
    }
    // An API server sees its webhook entries a moment after they are stored: the hook's own timeout ends it.
    while (answersIn(await doctor('--output=json')).some(({ id, answer }) => id.startsWith('probe-') && answer === 'error'))
      await sleep(500);
  }, 900_000);
  afterAll(() => cluster?.stop());

  /** In the network of the cluster, where the serving pods can be asked. */
  const command = (...args: readonly string[]) => within(cluster.apiServer.connection.network, process.execPath, [MAIN, ...args]);
  const cloister = (...args: readonly string[]): Promise<Finished> => run(...command(...args));
  const doctor = (...args: readonly string[]): Promise<Finished> => cloister('doctor', `--kubeconfig=${kubeconfig}`, ...args);

  /** Those about a profile, by the ids of their checks. */
  const about = (profile: string, answers: readonly Answer[]): ReadonlyMap<string, string> =>
    new Map(answers.flatMap((each) => (each.profile === profile ? [[each.id, `${each.answer}: ${each.message}`]] : [])));
  const proofsOf = (profile: string, answers: readonly Answer[]): object =>
    Object.fromEntries(
      about(profile, answers)
        .entries()
        .filter(([id]) => id.startsWith('run-')),
    );

  const podsIn = async (...selected: readonly string[]): Promise<string> =>
    cluster.kubectl('get', 'pods', '--all-namespaces', '--output=name', ...selected);
  /** Those of a CronJob may come at any time. */
  const podsOfNoJob = () => podsIn('--selector=!batch.kubernetes.io/job-name');
  /** A pod that is deleted is there until its kubelet has ended it. */
  const expectNoneLeft = () => expect.poll(() => podsIn(OWN_PODS), { timeout: 60_000 }).toBe('');

  describe('a run over all profiles', () => {
    let finished: Finished;
    let answers: readonly Answer[];
    let before: string;

    beforeAll(async () => {
      before = await podsOfNoJob();
      finished = await doctor('--run', '--output=json');
      answers = answersIn(finished);
    }, 300_000);

    test('userns and gVisor are proven', () => {
      expect(proofsOf('userns', answers)).toEqual({
        'run-start': expect.stringMatching(/^ok: /),
        'run-userns': expect.stringMatching(/^ok: /),
        'run-seccomp': expect.stringMatching(/^ok: /),
        'run-grant': expect.stringMatching(/^ok: /),
      });
      expect(proofsOf('gvisor', answers)).toEqual({
        'run-start': expect.stringMatching(/^ok: /),
        'run-gvisor': expect.stringMatching(/^ok: /),
        'run-grant': expect.stringMatching(/^ok: /),
      });
    });

    test('Kata Containers and Sysbox are not proven where the node lacks their handlers, and the answers say so', () => {
      const start = /^error: a pod in team-\S+ does not start: the node has no handler of the RuntimeClass \(localhost\)$/;
      const unproven = /^unknown: not proven: the pod did not start: the node has no handler of the RuntimeClass \(localhost\)$/;
      expect(proofsOf('kata-clh', answers)).toEqual({
        'run-start': expect.stringMatching(start),
        'run-kata': expect.stringMatching(unproven),
        'run-grant': expect.stringMatching(unproven),
      });
      expect(proofsOf('sysbox', answers)).toEqual({
        'run-start': expect.stringMatching(start),
        'run-userns': expect.stringMatching(unproven),
        'run-sysbox': expect.stringMatching(unproven),
        'run-grant': expect.stringMatching(unproven),
      });
      for (const profile of ['kata-clh', 'sysbox'])
        expect(about(profile, answers).get('runtime-handler')).toMatch(/^error: 1 of 1 nodes .* \(localhost\)$/);
    });

    test('a RuntimeClass of Kata that leads to runc is found, by its handler and by the kernel of its pod', () => {
      expect(about('kata-qemu', answers).get('class-handler')).toMatch(/^error: RuntimeClass kata-qemu leads to handler runc/);
      expect(proofsOf('kata-qemu', answers)).toEqual({
        'run-start': expect.stringMatching(/^ok: /),
        'run-kata': 'error: the pod runs on the kernel of its node, and in no virtual machine (localhost)',
        'run-grant': expect.stringMatching(/^ok: /),
      });
    });

    test('a seccomp profile that the node lacks is found', () => {
      expect(proofsOf('late', answers)).toMatchObject({
        'run-start': expect.stringMatching(/^error: .* does not start: the node does not have the seccomp profile \(localhost\)$/),
        'run-seccomp': 'error: the seccomp profile cloister/late.json is missing: pods of the profile do not start (localhost)',
        'run-userns': expect.stringMatching(/^unknown: not proven/),
      });
    });

    test('it ends with 1, writes no error, and leaves nothing behind', async () => {
      expect([finished.code, finished.stderr]).toEqual([1, '']);
      await expectNoneLeft();
      expect(await podsOfNoJob()).toBe(before);
    });
  });

  test.each([
    ['userns', 0],
    ['gvisor', 0],
    ['kata-qemu', 1],
    ['sysbox', 1],
    ['late', 1],
  ])('a run for the profile %s alone ends with %i', async (profile, code) => {
    const finished = await doctor('--run', `--profile=${profile}`);
    expect([finished.code, finished.stderr], finished.stdout).toEqual([code, '']);
    await expectNoneLeft();
  });

  test('the rights that --print-rbac prints are enough for a proof', async () => {
    const { stdout: role } = await cloister('doctor', '--run', '--print-rbac');
    const { code, stderr } = await cluster.apiServer.kubectl(['apply', '--filename=-'], { input: role });
    expect(code, stderr).toBe(0);
    await cluster.kubectl('create', 'clusterrolebinding', 'prover', '--clusterrole=cloister-doctor', '--user=prover');
    const prover = await cluster.apiServer.kubeconfig('prover');
    const asked = (): Promise<Finished> => cloister('doctor', `--kubeconfig=${prover}`, '--run', '--profile=userns', '--output=json');
    // The authorizer knows a binding a moment later: the test's own timeout ends it.
    let finished = await asked();
    while (finished.code === 2) {
      await sleep(500);
      finished = await asked();
    }
    expect(proofsOf('userns', answersIn(finished))).toEqual({
      'run-start': expect.stringMatching(/^ok: /),
      'run-userns': expect.stringMatching(/^ok: /),
      'run-seccomp': expect.stringMatching(/^ok: /),
      'run-grant': expect.stringMatching(/^ok: /),
    });
    await expectNoneLeft();
  });

  test('after SIGTERM the pods are deleted, and the kubelet ends them', async () => {
    const child = spawn(...command('doctor', `--kubeconfig=${kubeconfig}`, '--run', '--profile=gvisor'), {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [stdout, stderr, ended] = [text(child.stdout), text(child.stderr), once(child, 'close')];
    const isThere = async (): Promise<boolean> => {
      const { body } = await cluster.apiServer.admin.request<{ readonly items: readonly object[] }>(
        'GET',
        `/api/v1/namespaces/${namespaceOf('gvisor')}/pods`,
      );
      return body.items.length > 0;
    };
    while (!(await isThere())) await sleep(20); // before it has printed anything: gVisor needs seconds to start it
    child.kill('SIGTERM');
    expect(await ended).toEqual([null, 'SIGTERM']);
    expect([await stdout, await stderr]).toEqual(['', expect.stringContaining('The pods of --run are being deleted.')]);
    await expectNoneLeft();
  });

  test('--deep says why it cannot ask the kubelet, and the answer is unknown', async () => {
    const { code, stdout } = await doctor('--deep', '--profile=userns', '--output=json');
    expect(code).toBe(0);
    // The address of the node is on a loopback interface, to which an API server passes nothing on.
    const found = about('userns', answersIn({ code, stdout, stderr: '' }));
    for (const id of ['ids-per-pod', 'userns-errors', 'cgroups'])
      expect(found.get(id)).toMatch(/^unknown: .* address not allowed \(localhost\)/);
  });

  test('scan finds the running pod of the RuntimeClass of Kata that leads to runc', async () => {
    const namespace = namespaceOf('kata-qemu');
    const container = { name: 'workspace', image: BUSYBOX, command: ['sleep', 'infinity'] };
    const pod = { metadata: { name: 'workspace' }, spec: { terminationGracePeriodSeconds: 1, containers: [container] } };
    const { status, body } = await cluster.apiServer.admin.request('POST', `/api/v1/namespaces/${namespace}/pods`, pod);
    expect(status, JSON.stringify(body)).toBe(201);
    await cluster.kubectl('wait', `--namespace=${namespace}`, '--for=condition=Ready', 'pod/workspace', '--timeout=300s');
    const { code, stdout } = await cloister('scan', `--kubeconfig=${kubeconfig}`, `--namespace=${namespace}`, '--output=json');
    expect(code).toBe(1);
    const { pods } = JSON.parse(stdout) as { readonly pods: readonly object[] };
    expect(pods).toEqual([
      expect.objectContaining({
        name: 'workspace',
        profile: 'kata-qemu',
        verdict: 'clean',
        wall: {
          is: 'missing',
          findings: expect.arrayContaining([expect.objectContaining({ check: 'handler-ordinary', severity: 'error' })]),
        },
      }),
    ]);
    await cluster.kubectl('delete', 'pod', 'workspace', `--namespace=${namespace}`, '--now');
  });
});

function answersIn({ stdout, stderr }: Finished): readonly Answer[] {
  if (stdout === '') throw new Error(stderr);
  return (JSON.parse(stdout) as { readonly checks: readonly Answer[] }).checks;
}
