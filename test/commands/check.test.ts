import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cloister, MAIN } from '../support/run.ts';

const CLEAN = `apiVersion: v1
kind: Pod
metadata: {name: clean}
spec:
  hostUsers: false
  securityContext: {seccompProfile: {type: RuntimeDefault}}
  containers: [{name: a, image: b}]
`;

let folder = '';
const config = (): string => join(folder, 'config.yaml');
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-check-'));
  await writeFile(
    config(),
    `apiVersion: cloister.dev/v1alpha1
kind: Config
profiles:
  userns: {}
  kata-qemu: {}
exemptions:
- {reason: mesh, expires: 2099-01-01, namespaces: [team-a], serviceAccounts: ['*'], allow: {capabilities: [NET_ADMIN]}}
`,
  );
});
afterAll(() => rm(folder, { recursive: true }));

describe('exit status', () => {
  test('check exits with 0 if no pod would be denied; a promise is a hint', async () => {
    const { code, stdout, stderr } = await cloister(['check', '-f', '-'], CLEAN);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('promise  privilege-escalation');
    expect(stdout).toContain(
      '\n1 pod: 1 repairable (by `cloister fix`, or at admission); judged by profile userns, grant sudo (from the defaults of Cloister)\n',
    );
  });
  test.each([
    ['there is no volume at the path of the profile', '{grant: containers}', '(container "a"): nothing is mounted at /var/lib/containers'],
    [
      'there is no volume at all',
      '{grant: containers, storage: []}',
      '(container "a"): the container has no mount that could hold the images',
    ],
  ])('check exits with 0 and hints that nested containers have no storage for images where %s', async (_, options, hint) => {
    const file = join(folder, 'containers.yaml');
    await writeFile(file, `apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {userns: ${options}}\n`);
    const { code, stdout } = await cloister(['check', '-f', '-', '--config', file], CLEAN);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`promise  image-storage  .*${RegExp.escape(hint)}.*; mount an emptyDir`));
  });
  test('check exits with 0 for a pod that a cluster repairs and admits, and with 1 for one that it refuses', async () => {
    const [repairable, refused] = [CLEAN.replace('hostUsers: false', 'hostPID: true'), CLEAN.replace('hostUsers: false', 'nodeName: n1')];
    const [first, both] = await Promise.all([
      cloister(['check', '-'], repairable),
      cloister(['check', '-'], `${repairable}---\n${refused}`),
    ]);
    expect([first.code, both.code]).toEqual([0, 1]);
    expect(first.stdout).toContain('-:5:3: escape   host-namespaces  spec.hostPID: hostPID is true; remove it');
    expect(both.stdout).toContain('\n2 pods: 1 refused (change by hand), 1 repairable');
  });
  test('--fail-on decides the exit status, and --quiet prints what decides', async () => {
    const outcomes = await Promise.all(
      ['never', 'refused', 'repairable', 'promise', 'unjudged'].map((failOn) =>
        cloister(['check', '-', '--fail-on', failOn, '--quiet'], CLEAN),
      ),
    );
    expect(outcomes.map(({ code, stdout }) => [code, stdout.includes('Pod clean: repairable')])).toEqual([
      [0, false],
      [0, false],
      [1, true],
      [1, true],
      [0, false],
    ]);
    expect(outcomes.map(({ stdout }) => stdout.includes('1 pod:'))).not.toContain(true);
  });
  test.each([
    ['bad YAML', ['-f', '-'], 'a: [', '-:1:5: '],
    ['a missing file', ['-f', 'none.yaml'], '', 'none.yaml: there is no such file or folder; check the name'],
    ['no file', [], '', 'error: no manifests are named: name files, folders, or - for standard input\n'],
    ['an unknown flag without a file', ['--nope'], '', "error: unknown option '--nope'\n"],
    [
      'an empty input',
      ['-'],
      '# nothing\n',
      'error: the input has no Kubernetes object; check the command that writes the input, or set --allow-empty\n',
    ],
    ['only a file that is no manifest', ['-'], 'a: 1\n', 'error: the input has no Kubernetes object: -: this is no manifest'],
    [
      'an invalid namespace',
      ['-', '-n', 'Team_A'],
      CLEAN,
      "option '-n, --namespace <name>' argument 'Team_A' is invalid. It must be the name of a namespace",
    ],
    ['an unknown verdict', ['-', '--fail-on', 'denied'], CLEAN, "option '--fail-on <verdict>' argument 'denied' is invalid"],
    ['an unknown grant', ['-', '--grant', 'root'], CLEAN, "option '--grant <grant>' argument 'root' is invalid"],
    [
      'two configurations',
      ['-', '--config', 'a.yaml', '--from-cluster'],
      CLEAN,
      'error: a configuration is named by --config (or CLOISTER_CONFIG) and by --from-cluster',
    ],
    [
      'an unknown profile',
      ['-f', '-', '--profile', 'kata'],
      CLEAN,
      'error: --profile: there is no built-in profile "kata" (did you mean kata-qemu?): use one of userns, sysbox, kata-qemu, kata-clh, kata-fc, kata-acrn, gvisor, or name a configuration with --config',
    ],
    ['an unknown format', ['-f', '-', '-o', 'xml'], CLEAN, "error: option '-o, --output <format>' argument 'xml' is invalid"],
    [
      'a missing configuration',
      ['-f', '-', '--config', 'none.yaml'],
      CLEAN,
      'none.yaml cannot be read: there is no such file or folder; check the name',
    ],
  ])('check exits with 2 for %s', async (_, args, input, message) => {
    const { code, stdout, stderr } = await cloister(['check', ...args], input);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('    at ');
  });
});

describe('the profile', () => {
  test('the profile is that of the label of the pod', async () => {
    const labelled = CLEAN.replace('{name: clean}', '{name: clean, labels: {cloister.dev/profile: kata-qemu}}');
    const { code, stdout } = await cloister(['check', '-f', '-', '--config', config()], labelled);
    expect(code).toBe(0);
    expect(stdout).toContain('repairable under profile kata-qemu');
    expect(stdout).toContain(`judged by profile kata-qemu, grant sudo (from the pod's label and ${config()})`);
  });
  test('the profile must be named where several are configured and the pod has no label', async () => {
    const { code, stderr } = await cloister(['check', '-f', '-', '--config', config()], CLEAN);
    expect(code).toBe(2);
    expect(stderr).toBe(
      'error: -:1: nothing names the profile to judge by: set --profile, label the pod cloister.dev/profile, or name namespace default in `governs` of the configuration; the configured profiles are: userns, kata-qemu\n',
    );
  });
  test('a label with a profile that is not configured is a finding where only one profile is configured', async () => {
    const labelled = CLEAN.replace('{name: clean}', '{name: clean, labels: {cloister.dev/profile: kata}}');
    const { code, stdout } = await cloister(['check', '-f', '-'], labelled);
    expect(code).toBe(1);
    expect(stdout).toContain('profile "kata" is not configured; remove the label, or set it to userns');
  });
});

describe('where the configuration comes from', () => {
  test('--profile names any built-in profile where there is no configuration, and --grant its grant', async () => {
    const { code, stdout } = await cloister(['check', '-', '--profile', 'gvisor', '--grant', 'none'], CLEAN);
    expect(code).toBe(0);
    expect(stdout).toContain('spec.runtimeClassName: runtimeClassName is not set; set it to gvisor');
    expect(stdout).toContain('judged by profile gvisor, grant none (from --profile and --grant)');
  });
  test('a profile that the configuration does not have is named with the ones that it has', async () => {
    const { code, stderr } = await cloister(['check', '-', '--profile', 'gvisr', '--config', config()], CLEAN);
    expect(code).toBe(2);
    expect(stderr).toBe(
      `error: --profile: profile "gvisr" is not configured in ${config()}; the configured profiles are: userns, kata-qemu\n`,
    );
  });
  test('.cloister.yaml is found upwards, as far as the root of the repository', async () => {
    const found = join(folder, 'found');
    await mkdir(join(found, 'a/repository/.git'), { recursive: true });
    await mkdir(join(found, 'a/b'));
    await writeFile(join(found, '.cloister.yaml'), 'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {gvisor: {grant: none}}\n');
    const [above, repository, named] = await Promise.all([
      cloister(['check', '-'], CLEAN, {}, join(found, 'a/b')),
      cloister(['check', '-'], CLEAN, {}, join(found, 'a/repository')),
      cloister(['check', '-', '--config', config(), '--profile', 'userns'], CLEAN, {}, join(found, 'a/b')),
    ]);
    expect(above.stdout).toContain('judged by profile gvisor, grant none (from ../../.cloister.yaml)');
    expect(repository.stdout).toContain('judged by profile userns, grant sudo (from the defaults of Cloister)');
    expect(named.stdout).toContain(`judged by profile userns, grant sudo (from --profile and ${config()})`);
  });
  test('a cluster that cannot be reached is reported', async () => {
    const { code, stderr } = await cloister(['check', '-', '--from-cluster'], CLEAN, { KUBECONFIG: '', HOME: '/nowhere' });
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining('error: no cluster is named: name a kubeconfig with --kubeconfig or KUBECONFIG'),
    ]);
  });
});

describe('files', () => {
  const names = ['pod.yaml', 'values.yaml', 'broken.yaml', 'deploy/template.yaml', 'deploy/pod.yaml'];
  const texts = [CLEAN, 'a: 1\n', 'a: [\n', 'kind: {{ x }}\n', CLEAN.replace('clean', 'other')];
  const project = (): string => join(folder, 'project');
  beforeAll(async () => {
    await mkdir(join(project(), 'deploy'), { recursive: true });
    await Promise.all(names.map((name, index) => writeFile(join(project(), name), texts[index] ?? '')));
  });
  const check = (...args: string[]) => cloister(['check', ...args], '', {}, project());

  test('files and folders are arguments, and each file is judged once', async () => {
    const { code, stdout, stderr } = await check('pod.yaml', './pod.yaml', 'deploy', '-f', 'deploy/pod.yaml');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('deploy/template.yaml:1:7: skipped: this is a template that is not rendered; render it first');
    expect(stdout).toMatch(/\n2 pods: 2 repairable .*; 1 file skipped\n$/);
  });
  test('a file that cannot be used is an error, and the others are judged', async () => {
    const { code, stdout, stderr } = await check('.');
    expect(code).toBe(2);
    expect(stdout).toMatch(/\n2 pods: .*; 2 files skipped\n$/);
    expect(stderr).toMatch(/^error: broken\.yaml:2:1: [^\n]*\n$/);
  });
  test.each([
    ['a named pipe', 'mkfifo pipe; cat pod.yaml > pipe & "$@" pipe'],
    ['standard input under the name of its device', 'cat pod.yaml | "$@" /dev/stdin'],
    ['the pipe of a command', '"$@" <(cat pod.yaml)'],
  ])('%s is read once', (_, script) => {
    const command = [process.execPath, MAIN, 'check', '--fail-on', 'repairable'];
    const { status, stdout, stderr } = spawnSync('bash', ['-c', script, 'bash', ...command], {
      ...{ cwd: project(), encoding: 'utf8', timeout: 20_000 },
    });
    expect([status, stderr]).toEqual([1, '']);
    expect(stdout).toContain('\n1 pod: 1 repairable');
  });
  test('a Namespace object in one pipe counts for the pods in another', () => {
    const script = 'sed "s/{name: clean}/{name: clean, namespace: ws}/" pod.yaml | "$@" /dev/stdin <(echo "$NAMESPACE")';
    const { status, stdout } = spawnSync('bash', ['-c', script, 'bash', process.execPath, MAIN, 'check', '--config', config()], {
      ...{ cwd: project(), encoding: 'utf8', timeout: 20_000 },
      env: { ...process.env, NAMESPACE: '{apiVersion: v1, kind: Namespace, metadata: {name: ws, labels: {cloister.dev/warn: kata-qemu}}}' },
    });
    expect([status, stdout]).toEqual([0, expect.stringContaining('under profile kata-qemu, grant sudo, in mode warn')]);
  });
  test('--strict makes a skipped file an error', async () => {
    const { code, stdout, stderr } = await check('pod.yaml', 'values.yaml', '--strict');
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^error: values\.yaml: this is no manifest: .* \(--strict\)\n$/)]);
    expect(stdout).toContain('1 pod: ');
  });
  test('--allow-empty accepts input without objects', async () => {
    expect(await check('values.yaml', '--allow-empty')).toEqual({
      code: 0,
      stdout:
        'values.yaml: skipped: this is no manifest: it has neither apiVersion nor kind; leave it out, or ignore it with --ignore\n\nno pod judged; 1 file skipped\n',
      stderr: '',
    });
  });
  test('--ignore and .cloisterignore leave files out', async () => {
    await writeFile(join(project(), '.cloisterignore'), '# charts\ndeploy/\n');
    const { code, stdout } = await check('.', '--ignore', 'values.yaml,broken.*');
    await rm(join(project(), '.cloisterignore'));
    expect(code).toBe(0);
    expect(stdout).toMatch(/\n1 pod: .*; 4 files ignored\n$/);
  });
});

test('a DaemonSet is refused for the name of a node, which its controller writes into its pods, with the line of its template', async () => {
  const daemonSet = `apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  template:
    spec:
      hostUsers: false
      securityContext: {seccompProfile: {type: RuntimeDefault}}
      containers: [{name: a, image: b, securityContext: {allowPrivilegeEscalation: true}}]
`;
  const { code, stdout } = await cloister(['check', '-f', '-', '-o', 'json'], daemonSet);
  expect(code).toBe(1);
  expect(JSON.parse(stdout).pods[0].findings).toMatchObject([{ rule: 'node-selection', line: 6, fixable: false }]);
  const fixed = await cloister(['fix', '-f', '-'], daemonSet);
  expect([fixed.code, fixed.stdout]).toEqual([1, daemonSet]);
  expect(fixed.stderr).toContain('use a Deployment, or ask the operator for an exemption (node-selection: [metadata.name])');
});

test('exemptions apply by namespace, and are in the report', async () => {
  const meshed = CLEAN.replace('image: b', 'image: b, securityContext: {capabilities: {add: [NET_ADMIN]}}');
  const args = ['check', '-f', '-', '--config', config(), '--profile', 'userns', '-o', 'json'];
  const [exempt, other] = await Promise.all([cloister([...args, '--namespace', 'team-a'], meshed), cloister(args, meshed)]);
  expect([exempt.code, other.code]).toEqual([0, 0]);
  expect(JSON.parse(other.stdout).pods[0].findings.map(({ rule }: { rule: string }) => rule)).toContain('capabilities');
  expect(JSON.parse(exempt.stdout).pods[0].findings.map(({ rule }: { rule: string }) => rule)).not.toContain('capabilities');
  expect(JSON.parse(exempt.stdout).pods[0].exempted).toEqual([{ rule: 'capabilities', value: 'NET_ADMIN', reason: 'mesh' }]);
});

test('the JSON report has the line of each finding', async () => {
  const { stdout } = await cloister(['check', '-f', '-', '-o', 'json'], CLEAN.replace('hostUsers: false', 'hostPID: true'));
  const [{ findings }] = JSON.parse(stdout).pods;
  expect(findings.find(({ rule }: { rule: string }) => rule === 'host-namespaces')).toMatchObject({ path: 'spec.hostPID', line: 5 });
});

test('output into a pipe has no colours', async () => {
  const { stdout } = await cloister(['check', '-f', '-'], CLEAN, { NO_COLOR: undefined, FORCE_COLOR: undefined });
  expect(stdout).not.toContain('\u001b');
});

test('the claims of a StatefulSet count as storage', async () => {
  const file = join(folder, 'storage.yaml');
  await writeFile(file, 'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {userns: {grant: containers, storage: []}}\n');
  const set = (claims: string): string =>
    `apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\nspec:\n  ${claims}\n  template: {spec: {containers: [{name: a, image: b, volumeMounts: [{name: home, mountPath: /home}]}]}}\n`;
  const [withClaim, without] = await Promise.all(
    ['volumeClaimTemplates: [{metadata: {name: home}}]', 'replicas: 1'].map((claims) =>
      cloister(['check', '-', '--config', file], set(claims)),
    ),
  );
  expect(without?.stdout).toContain('image-storage');
  expect(withClaim?.stdout).not.toContain('image-storage');
});

describe('the profile of a namespace', () => {
  const governing = (): string => join(folder, 'governs.yaml');
  beforeAll(() =>
    writeFile(
      governing(),
      `apiVersion: cloister.dev/v1alpha1
kind: Config
profiles: {userns: {mayChoose: [gvisor]}, gvisor: {}, kata-qemu: {}}
governs:
- {namespaces: [gl-rd-ns-*], enforce: userns, audit: kata-qemu}
- {namespaces: [lab], audit: gvisor, warn: userns}
default: {enforce: kata-qemu, except: [open-*, monitoring]}
`,
    ),
  );
  const podIn = (namespace: string, label?: string): string =>
    `apiVersion: v1
kind: Pod
metadata: {name: ws, namespace: ${namespace}${label === undefined ? '' : `, labels: {cloister.dev/profile: ${label}}`}}
spec: {hostPID: true, containers: [{name: a, image: b}]}
---
`;
  const namespace = (name: string, labels: string): string =>
    `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}, labels: ${labels}}\n---\n`;
  const checked = async (input: string, ...args: readonly string[]) => {
    const { code, stdout, stderr } = await cloister(
      ['check', '-f', '-', '--config', governing(), '--fail-on', 'repairable', '-o', 'json', ...args],
      input,
    );
    expect(stderr).toBe('');
    const pods: readonly { profile: string; mode: string; chosenBy: readonly string[]; verdict: string }[] = JSON.parse(stdout).pods;
    return {
      code,
      chosen: pods.map(({ profile, mode, chosenBy }) => [profile, mode, ...chosenBy.map((by) => by.replace(governing(), 'CONFIG'))]),
      verdicts: pods.map(({ verdict }) => verdict),
    };
  };
  const configured = (part: string): string => `${part} of CONFIG`;
  const labelled = (mode: string, name: string): readonly string[] => [`label cloister.dev/${mode} of namespace ${name}`, 'CONFIG'];
  const byPod = ["the pod's label", 'CONFIG'];

  test.each([
    ['an element of `governs` that enforces', podIn('gl-rd-ns-1'), ['userns', 'enforce', configured('governs[0] (gl-rd-ns-*)')], 1],
    [
      'an element that only warns and audits: warn counts, and no pod is denied',
      podIn('lab'),
      ['userns', 'warn', configured('governs[1] (lab)')],
      0,
    ],
    ['the default', podIn('team-a'), ['kata-qemu', 'enforce', configured('default')], 1],
    ['the label of a pod where no profile is enforced', podIn('lab', 'gvisor'), ['gvisor', 'enforce', ...byPod], 1],
    ['the label of a pod in an exception of the default', podIn('open-house', 'gvisor'), ['gvisor', 'enforce', ...byPod], 1],
    [
      'the label of a pod that the profile in force lets it choose',
      podIn('gl-rd-ns-1', 'gvisor'),
      ['gvisor', 'enforce', configured('governs[0] (gl-rd-ns-*)')],
      1,
    ],
    [
      'the label of the Namespace, which wins',
      namespace('team-a', '{cloister.dev/enforce: userns}') + podIn('team-a'),
      ['userns', 'enforce', ...labelled('enforce', 'team-a')],
      1,
    ],
    [
      'the label of a Namespace after the pod',
      podIn('team-a') + namespace('team-a', '{cloister.dev/enforce: userns}'),
      ['userns', 'enforce', ...labelled('enforce', 'team-a')],
      1,
    ],
    [
      'the label of the Namespace for a mode, mode by mode',
      namespace('gl-rd-ns-1', '{cloister.dev/audit: gvisor}') + podIn('gl-rd-ns-1'),
      ['userns', 'enforce', configured('governs[0] (gl-rd-ns-*)')],
      1,
    ],
    [
      'the label of the Namespace that only audits',
      namespace('open-a', '{cloister.dev/audit: gvisor}') + podIn('open-a'),
      ['gvisor', 'audit', ...labelled('audit', 'open-a')],
      0,
    ],
  ])('a pod is judged by %s', async (_, input, choice, code) => {
    expect(await checked(input)).toEqual({ code, chosen: [choice], verdicts: ['repairable'] });
  });
  test('a pod in an excluded namespace is not judged, whatever labels it and its namespace have', async () => {
    const file = join(folder, 'excludes.yaml');
    await writeFile(file, `apiVersion: cloister.dev/v1alpha1\nkind: Config\nexcludedNamespaces: [storage-system]\n`);
    const input = namespace('storage-system', '{cloister.dev/enforce: userns}') + podIn('storage-system', 'userns') + podIn('storage');
    const { code, stdout } = await cloister(['check', '-', '--config', file, '--fail-on', 'repairable', '-o', 'json'], input);
    expect([code, JSON.parse(stdout)]).toMatchObject([1, { summary: { pods: 1, ungoverned: 1 }, pods: [{ namespace: 'storage' }] }]);
  });
  test('the label of a Namespace in a List counts, and a label that is no text does not', async () => {
    const list = (value: string): string => `apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: team-a, labels: {cloister.dev/enforce: ${value}}}}
- {apiVersion: v1, kind: Pod, metadata: {name: ws, namespace: team-a}, spec: {containers: [{name: a, image: b}]}}
`;
    expect((await checked(list('userns'))).chosen).toEqual([['userns', 'enforce', ...labelled('enforce', 'team-a')]]);
    expect((await checked(list('7'))).chosen).toEqual([['kata-qemu', 'enforce', configured('default')]]);
  });
  test('--namespace names the namespace of pods without one, and --profile wins over everything', async () => {
    const pod = podIn('x').replace(', namespace: x', '');
    expect((await checked(pod, '-n', 'gl-rd-ns-7')).chosen).toEqual([['userns', 'enforce', configured('governs[0] (gl-rd-ns-*)')]]);
    expect((await checked(pod, '-n', 'gl-rd-ns-7', '--profile', 'gvisor')).chosen).toEqual([['gvisor', 'enforce', '--profile', 'CONFIG']]);
  });
  test('a label of a pod that names another profile than the one in force is a finding', async () => {
    const { code, stdout } = await cloister(['check', '-f', '-', '--config', governing()], podIn('gl-rd-ns-1', 'kata-qemu'));
    expect(code).toBe(1);
    expect(stdout).toContain('profile "kata-qemu" may not be chosen instead of userns; remove the label, or set it to userns or gvisor');
  });
  test('the summary says what chose each profile, with the mode if it does not enforce', async () => {
    const { stdout } = await cloister(['check', '-f', '-', '--config', governing()], podIn('lab') + podIn('lab') + podIn('team-a'));
    expect(stdout).toContain(
      `\n3 pods: 1 repairable (by \`cloister fix\`, or at admission), 2 admitted without enforcement; judged by profile userns in mode warn, grant sudo (from governs[1] (lab) of ${governing()}): 2; by profile kata-qemu, grant sudo (from default of ${governing()}): 1\n`,
    );
    expect(stdout).toContain('-:1:1: Pod ws: admitted under profile userns, grant sudo, in mode warn; enforcing gives: repairable\n');
  });
  test.each([
    ['an exception of the default', podIn('monitoring'), 'label the pod cloister.dev/profile, or name namespace monitoring in `governs`'],
    [
      'a Namespace whose label names no profile',
      namespace('a', '{cloister.dev/enforce: usrns}') + podIn('a'),
      'label cloister.dev/enforce of namespace a: profile "usrns" is not configured; the configured profiles are: userns, gvisor, kata-qemu',
    ],
  ])('check exits with 2 for a pod in %s', async (_, input, problem) => {
    const { code, stderr } = await cloister(['check', '-f', '-', '--config', governing()], input);
    expect(code).toBe(2);
    expect(stderr).toContain(problem);
  });
  test('a pod is not judged if its namespace is known to have no label, and the configuration governs only others', async () => {
    const pods = [
      namespace('monitoring', '{team: a}') + podIn('monitoring'),
      namespace('kube-system', '{cloister.dev/enforce: userns}') + podIn('kube-system'),
    ].join('');
    const args = ['check', '-f', '-', '--config', governing(), '--fail-on', 'repairable'];
    const { code, stdout } = await cloister(args, pods + podIn('team-a'));
    expect(code).toBe(1);
    expect(stdout).toContain('; 2 pods not judged, because nothing governs their namespaces; 2 objects without a pod\n');
    expect(await cloister(args, pods)).toEqual({
      code: 0,
      stdout: 'no pod judged; 2 pods not judged, because nothing governs their namespaces; 2 objects without a pod\n',
      stderr: '',
    });
    // With its own label the pod opts in.
    expect((await checked(namespace('monitoring', '{}') + podIn('monitoring', 'gvisor'))).chosen).toEqual([
      ['gvisor', 'enforce', ...byPod],
    ]);
  });
  test('the only configured profile judges a pod that nothing governs, and the text says so where the configuration governs others', async () => {
    const file = join(folder, 'one.yaml');
    await writeFile(
      file,
      'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {userns: {}}\ngoverns: [{namespaces: [a], enforce: userns}]\n',
    );
    const { code, stdout } = await cloister(['check', '-f', '-', '--config', file], podIn('b'));
    expect(code).toBe(0);
    expect(stdout).toContain(`judged by profile userns, grant sudo (from the only profile of ${file})\n`);
  });
});

describe('pods that were read from a cluster', () => {
  const live = (name: string, rest: string): string => `- apiVersion: v1
  kind: Pod
  metadata: {name: ${name}, namespace: team-a, uid: ${name}-1, resourceVersion: '1'${rest}}
  spec:
    hostUsers: false
    nodeName: worker-1
    securityContext: {seccompProfile: {type: RuntimeDefault}}
    containers: [{name: a, image: b}]
  status: {phase: Running}
`;
  const wrote = (fields: string): string =>
    `, managedFields: [{manager: kubectl, operation: Update, fieldsType: FieldsV1, fieldsV1: {'f:spec': {'f:containers': {}${fields}}}}]`;
  const list = (...pods: readonly string[]): string => `apiVersion: v1\nkind: List\nitems:\n${pods.join('')}`;

  test('a node that the scheduler chose is no finding, and one that the author chose is', async () => {
    const { code, stdout, stderr } = await cloister(
      ['check', '-f', '-'],
      list(live('scheduled', wrote('')), live('placed', wrote(", 'f:nodeName': {}"))),
    );
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^1 pod has a uid and a status/)]);
    expect(stdout).toContain('1 pod not judged completely');
    expect(stdout.match(/escape .*/g)).toEqual([expect.stringContaining('node-name  spec.nodeName: nodeName is worker-1')]);
    expect(stdout).toContain('Pod placed');
  });

  test('without managedFields the node is not judged, and one note says so for all pods', async () => {
    const { code, stdout, stderr } = await cloister(['check', '-f', '-'], list(live('a', ''), live('b', '')));
    expect([code, stdout.match(/escape/g)]).toEqual([0, null]);
    expect(stderr).toMatch(/^2 pods have a uid and a status.*--fail-on unjudged.*--show-managed-fields.*\n$/);
    expect((await cloister(['check', '-', '--quiet'], list(live('a', '')))).stderr).toBe('');
  });

  test('a file that states what a cluster would write is not clean in any report', async () => {
    const forged = list(live('a', wrote('')));
    expect((await cloister(['check', '-', '--fail-on', 'unjudged'], forged)).code).toBe(1);
    const { pods } = JSON.parse((await cloister(['check', '-', '-o', 'json'], forged)).stdout);
    expect(pods).toMatchObject([{ name: 'a', unattributed: ['spec.nodeName'] }]);
  });

  test('fix keeps the node in such a pod', async () => {
    const { code, stdout, stderr } = await cloister(['fix', '-f', '-'], list(live('a', '').replace('hostUsers: false', 'hostPID: true')));
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('nodeName: worker-1');
    expect(stdout).toContain('hostUsers: false');
  });
});
