import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { printRuleCel } from '../../src/commands/shared/print-rule-cel.ts';
import { printCel } from '../../src/commands/shared/terminal-cel.ts';
import { loadConfig } from '../../src/config/load.ts';
import { NO_GOVERNANCE } from '../../src/core/governance.ts';
import { backends } from '../../src/core/profiles/index.ts';
import { makeProfile } from '../../src/core/profiles/profile.ts';
import { rules } from '../../src/core/rules/index.ts';
import { backstop } from '../../src/in-tree/backstop.ts';
import { ruleCelOf } from '../../src/in-tree/rule-cel.ts';
import { cloister } from '../support/run.ts';

const explain = (...args: string[]) => cloister(['explain', ...args]);

/** Texts, names and signs, without what is between them. */
const wordsOf = (cel: string): string => (cel.match(/'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|\w+|[^\s\w]/g) ?? []).join('\n');

interface Policy {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly variables: readonly { readonly name: string; readonly expression: string }[];
    readonly mutations?: readonly [{ readonly jsonPatch: { readonly expression: string } }];
  };
}

async function printedPolicies(config: string): Promise<{ readonly refusing: Policy; readonly repairing: Policy }> {
  const { stdout } = await cloister(['manifests', '--in-tree', '--config', config]);
  const objects = parseAllDocuments(stdout).map((document): Policy => document.toJS());
  const find = (kind: string) => objects.find((each) => each.kind === kind && each.metadata.name === 'cloister-profile-userns');
  const [refusing, repairing] = [find('ValidatingAdmissionPolicy'), find('MutatingAdmissionPolicy')];
  if (refusing === undefined || repairing === undefined) throw new Error(stdout);
  return { refusing, repairing };
}

async function withConfig<T>(profiles: string, use: (file: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'cloister-explain-cel-'));
  const file = join(folder, 'config.yaml');
  await writeFile(file, `apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: ${profiles}\n`);
  try {
    return await use(file);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('explain --cel prints what refuses a pod, what repairs it, and the variables that both use', async () => {
  expect(await explain('privileged', '--cel')).toEqual({
    code: 0,
    stderr: '',
    stdout: `The rule privileged in CEL, for pods of the profile userns, which grants sudo
(from the defaults of Cloister).

No container is privileged.

Refusal: the ValidatingAdmissionPolicy cloister-profile-userns, which is in the
cluster unless the configuration says \`backstop: false\`, and which \`cloister
manifests --in-tree\` prints too. Each expression below makes a list of texts,
one for each finding. A pod for which a list is not empty is refused, with these
texts. The variable rule_privileged of the policy contains the lists. On an
update, old_rule_privileged contains the same lists for the pod before the
update, and only a text that is new refuses the update, or any text if the
update adds a container, changes an image or removes the last scheduling gate.

Pod: nothing is refused.

Containers:
  variables.containers
    .filter(c, c.?securityContext.?privileged.orValue(false))
    .map(c, 'container "' + c.name + '": privileged is true; set it to false')

Variables that they use:
  spec: the spec of the pod
    object.spec
  containers: the containers of the pod
    variables.spec.?initContainers.orValue([]) +
    variables.spec.?containers.orValue([]) +
    variables.spec.?ephemeralContainers.orValue([])

Repair: the MutatingAdmissionPolicy cloister-profile-userns, which \`cloister
manifests --in-tree\` prints, changes new pods.

Containers: securityContext.privileged
  where
    c.?securityContext.?privileged.orValue(false)
  set it to
    false
`,
  });
});

test('explain --cel prints each expression with the grants for which the policies contain it', async () => {
  const { stdout } = await explain('seccomp', '--cel', '--grant', 'containers');
  const headings = stdout.replaceAll('\nisolated:', ' isolated:').match(/^(?:Pod|Containers).*$/gm);
  expect(headings).toEqual([
    'Pod, of pods with the grant none or sudo, and of stored pods that are not isolated:',
    'Pod, of pods with the grant containers:',
    'Containers, of pods with the grant none or sudo, and of stored pods that are not isolated:',
    'Containers, of pods with the grant containers:',
    'Pod, of pods with the grant none or sudo: spec.securityContext.seccompProfile',
    'Pod, of pods with the grant containers: spec.securityContext.seccompProfile',
    'Containers, of pods with the grant none or sudo: securityContext.seccompProfile',
    'Containers, of pods with the grant containers: securityContext.seccompProfile',
  ]);
  const [, ofContainers] = stdout.split('Pod, of pods with the grant containers:\n');
  expect(ofContainers?.split('\n\n')[0]).toContain("p.?localhostProfile.orValue('') == 'cloister/workspace.json'");
  expect(stdout.split('Pod, of pods with the grant containers:\n')[0]).not.toContain('cloister/workspace.json');
});

test.each([
  [
    'no finding of it is an escape',
    ['rootful-engine'],
    'Refusal: none. The rule has no CEL that refuses a pod, because nothing that it finds is an escape. It only warns or repairs. ' +
      'Repair: none. The rule has no CEL that changes a pod of this profile.',
  ],
  [
    'no finding of it is an escape, but a policy repairs it',
    ['image-storage', '--grant', 'containers'],
    'It only warns or repairs. Repair: the MutatingAdmissionPolicy cloister-profile-userns',
  ],
  [
    'pods of the profile never break it',
    ['sysbox-mode'],
    'Refusal: none. The rule finds no escape in pods of this profile, so the policy of the profile does not contain it.',
  ],
  [
    'only a webhook repairs the pods of the profile',
    ['privileged', '--profile', 'gvisor'],
    'Repair: only the webhook repairs pods of this profile.',
  ],
])('explain --cel says of a rule that %s', async (_, args, said) => {
  const { code, stdout } = await explain('--cel', ...args);
  expect(code).toBe(0);
  expect(stdout.replaceAll(/\s+/g, ' ')).toContain(said);
});

test('explain --cel needs the profile where a configuration has several, and uses the configured one where it has one', async () => {
  const [several, chosen, one] = await Promise.all([
    withConfig('{a: {extends: userns, grant: none}, b: {extends: gvisor}}', (config) => explain('privileged', '--cel', '--config', config)),
    withConfig('{a: {extends: userns, grant: none}, b: {extends: gvisor}}', (config) =>
      explain('privileged', '--cel', '--config', config, '--profile', 'b'),
    ),
    withConfig('{a: {extends: userns, grant: none}}', (config) => explain('privileged', '--cel', '--config', config)),
  ]);
  expect(several.code).toBe(2);
  expect(several.stderr).toMatch(/^error: --cel needs --profile: in .*config\.yaml, the configured profiles are: a, b\n$/);
  expect(chosen.stdout.replaceAll(/\s+/g, ' ')).toContain(
    'the ValidatingAdmissionPolicy cloister-profile-b, which is in the cluster unless the configuration says `backstop: false`. Each',
  );
  expect(one.stdout).toContain('for pods of the profile a, which grants none');
});

test('explain --cel prints exemptions of the configuration where they let values through', async () => {
  const exemption =
    '{namespaces: [ci], serviceAccounts: [builder], allow: {capabilities: [SYS_PTRACE]}, reason: debugging, expires: "2099-01-01"}';
  const { stdout, stderr } = await withConfig(`{userns: {}}\nexemptions: [${exemption}]`, (config) =>
    explain('capabilities', '--cel', '--config', config),
  );
  expect(stderr).toBe('');
  expect(stdout).toContain("variables.exemption_0 && a in ['SYS_PTRACE']");
  expect(stdout).toContain('  exemption_0: whether an exemption of the configuration is in force\n');
  expect(stdout).toContain("request.namespace.matches('^(ci)$')");
});

test.each([
  ['no name', [], '--cel needs the name of a rule: `cloister explain` lists them'],
  [
    'a field',
    ['spec.hostPID'],
    '--cel needs the name of a rule, and spec.hostPID is a field: `cloister explain spec.hostPID` lists the rules that judge it',
  ],
  [
    'a profile',
    ['gvisor'],
    '--cel needs the name of a rule, and gvisor is a profile: name the rule, and the profile with --profile gvisor',
  ],
  ['a check', ['psa-level'], '--cel needs the name of a rule, and psa-level is a check, which no policy contains'],
  ['an unknown rule', ['volume-tyeps'], 'there is no rule "volume-tyeps" (did you mean volume-types?): `cloister explain` lists them'],
  [
    'an unknown profile',
    ['privileged', '--profile', 'usrns'],
    `--profile: there is no built-in profile "usrns" (did you mean userns?): use one of ${backends.map(({ id }) => id).join(', ')}, or name a configuration with --config`,
  ],
])('explain --cel refuses %s', async (_, args, problem) => {
  expect(await explain('--cel', ...args)).toEqual({ code: 2, stdout: '', stderr: `error: ${problem}\n` });
});

test('explain refuses the flags of --cel without it', async () => {
  expect(await explain('privileged', '--profile', 'userns', '--grant', 'sudo')).toEqual({
    code: 2,
    stdout: '',
    stderr: 'error: --profile has no effect without --cel\nerror: --grant has no effect without --cel\n',
  });
});

const EXEMPTION =
  '{namespaces: [ci], serviceAccounts: ["*"], allow: {capabilities: [SYS_PTRACE], volume-types: [nfs]}, reason: test, expires: "2099-01-01"}';

test('what explain --cel prints of every rule is in the policies that `cloister manifests --in-tree` prints', async () => {
  const printed = await withConfig(
    `{userns: {grant: containers, serviceAccountToken: remove}}\nexemptions: [${EXEMPTION}]`,
    async (file) => {
      const config = await loadConfig(file);
      const profile = config.ok ? config.value.profiles.get('userns') : undefined;
      if (!config.ok || profile === undefined) throw new Error('userns');
      const now = new Date();
      const ofRules = rules.map((rule) =>
        printRuleCel(ruleCelOf(rule, profile, config.value, now), { rule, profile, origin: 'a file', width: 80 }),
      );
      const ofOne = await explain('volume-types', '--cel', '--config', file);
      const inRules = ofRules[rules.findIndex(({ id }) => id === 'volume-types')] ?? '';
      expect(ofOne.stdout.slice(ofOne.stdout.indexOf('Refusal:'))).toBe(inRules.slice(inRules.indexOf('Refusal:')));
      return { ...(await printedPolicies(file)), ofRules };
    },
  );
  const refusal = new Map(printed.refusing.spec.variables.map(({ name, expression }) => [name, wordsOf(expression)]));
  const repair = [
    ...printed.repairing.spec.variables.map(({ expression }) => expression),
    printed.repairing.spec.mutations?.[0].jsonPatch.expression ?? '',
  ]
    .map(wordsOf)
    .join('\n\n');
  let [refusing, repairing] = [0, 0];
  for (const [index, stdout] of printed.ofRules.entries()) {
    const rule = rules[index]?.id ?? '';
    const [first = '', second = ''] = stdout.split(/^Repair: /m);
    const [lists = '', variables = ''] = first.split('Variables that they use:\n');
    for (const [, expression = ''] of lists.matchAll(/^(?:Pod|Containers)[\s\S]*?:\n((?: {2}.*\n)+)/gm)) {
      expect(refusal.get(`rule_${rule.replaceAll('-', '_')}`), rule).toContain(wordsOf(expression));
      refusing += 1;
    }
    for (const [, name = '', expression = ''] of variables.matchAll(/^ {2}(\w+)\b.*\n(?: {2}\S.*\n)*?((?: {4}.*\n)+)/gm)) {
      expect(refusal.get(name), name).toBe(wordsOf(expression));
    }
    for (const [, expression = ''] of second.matchAll(/^ {2}where\n((?: {4}.*\n)+)/gm)) {
      expect(repair, rule).toContain(wordsOf(expression));
      repairing += 1;
    }
  }
  expect(refusing).toBeGreaterThan(40);
  expect(repairing).toBeGreaterThan(30);
});

describe.each(backends.map(({ id }) => id))('under %s', (id) => {
  const backend = backends.find((each) => each.id === id);
  if (backend === undefined) throw new Error(id);
  const profile = makeProfile(id, backend, { grant: 'containers' });
  const config = { profiles: new Map([[id, profile]]), governance: NO_GOVERNANCE, exemptions: [], excludedNamespaces: [] };

  test('no rule of the policy is left out, and none is printed that it does not contain', () => {
    const [policy] = backstop(config as never, { url: '' });
    const contained = new Set((policy as unknown as Policy).spec.variables.map(({ name }) => name));
    for (const rule of rules) {
      const { variable, pod, container } = ruleCelOf(rule, profile, config as never, new Date(0)).refusal;
      const isPrinted = [...pod, ...container].some(({ cel }) => cel !== undefined);
      expect(isPrinted, rule.id).toBe(contained.has(variable));
    }
  });
});

/** A text, or a path of fields with short calls. */
const UNBROKEN = /^ *(?:'(?:\\.|[^'\\])*'|[\w.?!]+(?:\([^()]*\)[\w.?]*)*(?:\(\w*)?)[,:? ]*$/;

describe('an expression', () => {
  test.each([
    ['a short one stays in its line', 'a  &&\nb', 'a && b'],
    ['operands have a line each', `${'a'.repeat(20)} || ${'b'.repeat(20)} || c`, `${'a'.repeat(20)} ||\n${'b'.repeat(20)} ||\nc`],
    [
      'the values of a choice are below their condition',
      `${'a'.repeat(20)} ? '${'b'.repeat(20)}' : ${'c'.repeat(8)} ? d : e`,
      `${'a'.repeat(20)} ?\n  '${'b'.repeat(20)}' :\ncccccccc ? d :\ne`,
    ],
    ['a list is filled', `x in ['aaaaaaaa', 'bbbbbbbb', 'cccccccc']`, "x in [\n  'aaaaaaaa', 'bbbbbbbb',\n  'cccccccc'\n]"],
    ['a text keeps its spaces, brackets and operators', `'a  ? (b' + "c'  :d"`, `'a  ? (b' + "c'  :d"`],
    [
      'the variable of a macro stays beside its name',
      `aaaa.exists(b, b == 'cccccccccccccccccccc')`,
      "aaaa.exists(b,\n  b == 'cccccccccccccccccccc'\n)",
    ],
    ['a minus is kept', 'a - 1 - n', 'a - 1 - n'],
    ['an optional field is no choice', `a.?b[?'c'].orValue(x ? y : z)`, `a.?b[?'c'].orValue(x ? y : z)`],
  ])('%s', (_, cel, printed) => {
    expect(printCel(cel, 30)).toBe(printed);
  });

  test.each([80, 100])('of every rule fits into %i columns, except for texts and for paths of fields', async (width) => {
    const profile = makeProfile('userns', backends[0] as (typeof backends)[0], { grant: 'containers' });
    const [policy] = backstop({ profiles: new Map([['userns', profile]]), governance: NO_GOVERNANCE, exemptions: [] } as never, {
      url: '',
    });
    const { variables } = (policy as unknown as Policy).spec;
    expect(variables.length).toBeGreaterThan(50);
    for (const { name, expression } of variables) {
      const lines = printCel(expression, width).split('\n');
      expect(wordsOf(lines.join('\n')), name).toBe(wordsOf(expression));
      const tooLong = lines.filter((line) => line.length > width && !UNBROKEN.test(line));
      expect(tooLong, name).toEqual([]);
    }
  });
});
