import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { containersOf } from '../../src/core/containers.ts';
import { inspect } from '../../src/core/inspect.ts';
import { isEqualJson } from '../../src/core/json.ts';
import { type JudgeInput, judge } from '../../src/core/judge.ts';
import { makeNamePattern } from '../../src/core/name-pattern.ts';
import { type SharedField, specOf } from '../../src/core/pod.ts';
import { remedyOf } from '../../src/core/remedy.ts';
import { ruleById, rules } from '../../src/core/rules/index.ts';
import type { Finding, RuleFinding } from '../../src/core/rules/rule.ts';
import { hostilePod, refusedPod, talkativePod } from '../support/pods.ts';
import { checkFinding, inputOf, LONGEST_MESSAGE, printFindings, type Sketch } from '../support/test-rule.ts';

const root = join(import.meta.dirname, '../..');
const OFFERED = { profile: 'sysbox', grant: 'none', options: { serviceAccountToken: 'remove' } } as const;

describe.each(rules.map((rule) => [rule.id, rule] as const))('%s', (id, rule) => {
  test('the rule has a file, a table of tests and a page of its name', () => {
    for (const path of [`src/core/rules/${id}.ts`, `test/rules/${id}.test.ts`, `docs/rules/${id}.md`]) {
      expect(existsSync(join(root, path)), `${path} is missing: ./dev new rule writes one, see CONTRIBUTING.md`).toBe(true);
    }
  });

  test('the rule has a summary of one sentence, and lists the fields that it judges', () => {
    expect(rule.summary).toMatch(/^[A-Z/].*[^.]\.$/);
    expect(rule.fields).not.toEqual([]);
    expect(new Set(rule.fields).size).toBe(rule.fields.length);
    for (const field of rule.fields) expect(field).toMatch(/^(metadata\.(annotations|labels)|spec\.)/);
    expect(rule.fields.filter((field) => /initContainers|ephemeralContainers/.test(field))).toEqual([]);
  });

  test('the rule checks the pod or its containers', () => {
    expect(rule.checkPod ?? rule.checkContainer).toBeTypeOf('function');
  });
});

test('every rule is listed once, and every table of tests has its rule', () => {
  const listed = rules.map(({ id }) => id).toSorted();
  const inFolder = namesIn('src/core/rules', '.ts').filter((name) => name !== 'index' && name !== 'rule');
  expect(inFolder, 'list each rule of src/core/rules in its index.ts').toEqual(listed);
  expect(namesIn('test/rules', '.test.ts'), 'each rule has a table in test/rules, and each table a rule').toEqual(listed);
  expect([...ruleById.keys()].toSorted()).toEqual(listed);
});

test('every rule has a finding in some pod of this suite, so that its claims cover all rules', () => {
  const found = new Set(
    Object.values(samples('x'))
      .flatMap(findingsIn)
      .map(({ rule }) => rule),
  );
  // test/rules/pod-size.test.ts has a pod with a thousand findings.
  const missing = rules.map(({ id }) => id).filter((id) => !found.has(id));
  expect(missing, 'break the rule in test/support/pods.ts: in hostilePod if it has a fix, else in refusedPod').toEqual(['pod-size']);
});

test.each(Object.entries(samples('x')))('findings about the %s pod have a path, a message and a remedy', (_, pod) => {
  const findings = findingsIn(pod);
  expect(findings).not.toEqual([]);
  for (const finding of findings) checkFinding(finding, ruleOf(finding));
});

test.each(Object.entries(samples('x'.repeat(5_000))))('T50: findings about a %s pod with very long values are short', (_, pod) => {
  for (const finding of findingsIn(pod)) checkFinding(finding, ruleOf(finding));
});

test('T22: no rule makes a message or a remedy from more than the beginning of a value', () => {
  for (const pod of Object.values(samples('x'.repeat(100_000)))) {
    for (const { found, rule } of rawFindingsIn(pod)) {
      const texts = [found.message, remedyOf({ ...found, rule })];
      expect(texts.filter((text) => text.length > 2 * LONGEST_MESSAGE).map((text) => `${rule}: ${text.slice(0, 80)}`)).toEqual([]);
    }
  }
});

test.each(Object.entries(samples('a\u001b[31m\r\nb\u0000')))('T43, T68: a %s pod puts no control character into a message', (_, pod) => {
  expect(printFindings(findingsIn(pod).filter(({ message }) => /\p{Cc}/u.test(message)))).toEqual([]);
});

test('messages about empty list elements mention no undefined value', () => {
  const empty = {
    volumes: [
      {},
      { hostPath: {} },
      { nfs: {} },
      { csi: {} },
      { emptyDir: { medium: 'HugePages' } },
      { projected: { sources: [{ serviceAccountToken: {} }] } },
    ],
    tolerations: [{}],
    resourceClaims: [{}],
    securityContext: { sysctls: [{}], seccompProfile: { type: 'Localhost' }, appArmorProfile: { type: 'Localhost' }, seLinuxOptions: {} },
    containers: [
      {
        env: [{}],
        envFrom: [{}],
        ports: [{}],
        volumeMounts: [{}],
        volumeDevices: [{}],
        securityContext: { seccompProfile: {}, appArmorProfile: {}, capabilities: {}, windowsOptions: {} },
      },
    ],
  };
  const findings = findingsIn(empty);
  for (const finding of findings) checkFinding(finding, ruleOf(finding));
  expect([...new Set(findings.map(({ message }) => message))].filter((message) => /""|without a /.test(message)).toSorted()).toEqual([
    'a toleration without a key tolerates every taint',
    'appArmorProfile is Localhost without a name',
    'appArmorProfile is without a type',
    'raw block volume "" is attached',
    'resource claim "" asks for a device',
    'seccompProfile is Localhost without a name',
    'seccompProfile is without a type',
    'sysctl without a name is not a safe one',
    'volume "" has medium HugePages, which cannot be id-mapped',
    'volume "" holds a service account token',
    'volume "" is mounted by the CSI driver without a name',
    'volume "" is of kind nfs',
    'volume "" is on nfs, which cannot map the ids of a user namespace, so the pod will not start',
    'volume "" is the node\'s file system',
  ]);
});

/** A value that no profile allows, and one that every profile allows, where there is one, for each setting that containers inherit. */
const INHERITED: Readonly<Record<SharedField, { readonly bad: unknown; readonly good?: unknown }>> = {
  appArmorProfile: { bad: { type: 'Unconfined' }, good: { type: 'RuntimeDefault' } },
  runAsGroup: { bad: 1_000_000, good: 1000 },
  runAsUser: { bad: 1_000_000, good: 1000 },
  seLinuxOptions: { bad: { type: 'spc_t' }, good: { type: 'container_t' } },
  seccompProfile: { bad: { type: 'Unconfined' }, good: { type: 'RuntimeDefault' } },
  windowsOptions: { bad: { hostProcess: true } },
};

const inheritable = rules.flatMap(({ id, fields }) =>
  fields.flatMap((field) => {
    const name = /^spec\.securityContext\.(\w+)$/.exec(field)?.[1];
    return name !== undefined && fields.includes(`spec.containers[*].securityContext.${name}`) ? [[id, name as SharedField] as const] : [];
  }),
);

describe('T12, T13: a container that is added to a running pod', () => {
  test('every setting that a container can inherit has a rule', () => {
    expect(inheritable.map(([, field]) => field).toSorted()).toEqual(Object.keys(INHERITED).toSorted());
  });

  test.each(inheritable)('the rule %s finds an added container that inherits a bad %s', (id, field) => {
    const { bad, good } = INHERITED[field];
    const old = { hostUsers: false, securityContext: { [field]: bad }, containers: [{ name: 'main' }] };
    const pathsWith = (securityContext: Sketch): string[] => {
      const { subject, policy, namespace } = inputOf({ ...old, ephemeralContainers: [{ name: 'debug', securityContext }] });
      const circumstances = { namespace, claims: undefined, isUpdate: true, labelProblems: [], exempts: () => false };
      // A verdict leaves the finding out where the pod has the same one.
      return inspect(subject.pod, subject.at, policy.profile.requirementsFor(policy.grant), circumstances)
        .filter(({ rule, container }) => rule === id && container === 'debug')
        .map(({ path }) => path.slice(0, 5).join('.'));
    };
    expect(pathsWith({})).toEqual([`spec.ephemeralContainers.0.securityContext.${field}`]);
    if (good !== undefined) expect(pathsWith({ [field]: good })).toEqual([]);
  });
});

test('T06: an exemption of every value lets through only what a rule makes exemptible', () => {
  const everything = { has: () => true } as unknown as ReadonlySet<string>;
  const exemption = { ...exemptionOfAll(), allow: new Map(rules.map(({ id }) => [id, everything])) };
  for (const pod of Object.values(samples('x'))) {
    const input = inputOf(pod, OFFERED);
    const stays = (findings: readonly Finding[]): string[] =>
      printFindings(findings.filter((finding) => ruleOf(finding).exemptibleValues === undefined));
    expect(stays(judge({ ...input, exemptions: [exemption] }).findings)).toEqual(stays(judge(input).findings));
  }
});

test('the exemption that a finding names lets its value through', () => {
  let named = 0;
  for (const pod of Object.values(samples('x'))) {
    for (const circumstances of CIRCUMSTANCES) {
      const input = inputOf(pod, circumstances);
      for (const { rule, path, exemption } of judge(input).findings) {
        if (exemption === undefined) continue;
        named += 1;
        const exemptions = [{ ...exemptionOfAll(), allow: new Map([[rule, new Set([exemption])]]) }];
        const left = judge({ ...input, exemptions }).findings.filter((each) => each.rule === rule && isEqualJson(each.path, path));
        expect(
          left.filter((each) => each.exemption === exemption),
          `${rule}: ${exemption}`,
        ).toEqual([]);
      }
    }
  }
  expect(named).toBeGreaterThan(30);
});

test('every rule with exemptions names one in some finding, or the option that is meant for the value', () => {
  const findings = Object.values(samples('x')).flatMap(findingsIn);
  const silent = rules.filter(({ id, exemptibleValues }) => {
    const own = findings.filter(({ rule }) => rule === id);
    return (
      exemptibleValues !== undefined &&
      !own.some((each) => each.exemption !== undefined || /in the \w+ of the profile/.test(remedyOf(each)))
    );
  });
  expect(silent.map(({ id }) => id)).toEqual([]);
});

test.each(rules.map(({ id }) => id))('T06: exemptions from all other rules do not apply to %s', (id) => {
  const everything = { has: () => true } as unknown as ReadonlySet<string>;
  const others = rules.filter((rule) => rule.id !== id).map((rule) => [rule.id, everything] as const);
  for (const pod of Object.values(samples('x'))) {
    const input = inputOf(pod, OFFERED);
    const own = (exemptions: JudgeInput['exemptions']): string[] =>
      printFindings(judge({ ...input, exemptions }).findings.filter(({ rule }) => rule === id));
    expect(own([{ ...exemptionOfAll(), allow: new Map(others) }])).toEqual(own([]));
  }
});

test('T06: privileged and the host namespaces cannot be exempted', () => {
  for (const id of ['privileged', 'host-namespaces', 'user-namespace', 'runtime-class'])
    expect(ruleById.get(id)?.exemptibleValues).toBeUndefined();
});

function samples(text: string): Record<string, Sketch> {
  return {
    hostile: hostilePod,
    refused: refusedPod(text),
    talkative: talkativePod(text),
    restricted: { containers: [{ name: text, securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } }] },
  };
}

/** Several profiles, because no profile has all requirements. */
const CIRCUMSTANCES = [
  OFFERED,
  { profile: 'userns', grant: 'containers', options: { appArmorProfile: 'nest', seLinuxType: 'container_engine_t' } },
  { profile: 'kata-qemu', grant: 'containers' },
  { profile: 'gvisor', grant: 'sudo', options: { grantTo: [makeNamePattern('workspace')] } },
] as const;

function findingsIn(pod: Sketch): Finding[] {
  return CIRCUMSTANCES.flatMap((each) => [...judge(inputOf(pod, each)).findings]);
}

/** What each rule reports by itself, before anything is cut: the messages that the pod's containers cost. */
function rawFindingsIn(sketch: Sketch): { readonly rule: string; readonly found: RuleFinding }[] {
  return CIRCUMSTANCES.flatMap((each) => {
    const { subject, policy } = inputOf(sketch, each);
    const requirements = policy.profile.requirementsFor(policy.grant);
    const containers = containersOf(specOf(subject.pod), requirements);
    const context = {
      namespace: 'team-a',
      claims: undefined,
      requirements,
      containers,
      isUpdate: false,
      labelProblems: policy.labelProblems,
      exempts: () => false,
    };
    return rules.flatMap((rule) => {
      const found: RuleFinding[] = [];
      rule.checkPod?.(subject.pod, (each) => found.push(each), context);
      for (const container of containers) rule.checkContainer?.(container, (each) => found.push(each), context, subject.pod);
      return found.map((each) => ({ rule: rule.id, found: each }));
    });
  });
}

function ruleOf({ rule }: Finding) {
  const found = ruleById.get(rule);
  if (found === undefined) throw new Error(`no rule is called ${rule}`);
  return found;
}

function exemptionOfAll() {
  return { reason: 'all', expires: new Date(8.64e15), namespaces: [makeNamePattern('*')], serviceAccounts: [makeNamePattern('*')] };
}

function namesIn(folder: string, ending: string): string[] {
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith(ending))
    .map((name) => name.slice(0, -ending.length))
    .toSorted();
}
