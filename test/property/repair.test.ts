import fc from 'fast-check';
import jsonPatch, { type Operation } from 'fast-json-patch';
import { expect, test } from 'vitest';
import { apply } from '../../src/apply.ts';
import { judge, type Question } from '../../src/core/judge.ts';
import { pointerOf } from '../../src/core/patch.ts';
import { policyFor } from '../../src/core/policy.ts';
import { type Repair, repair } from '../../src/core/repair.ts';
import type { Finding } from '../../src/core/rules/rule.ts';
import { subjectOf } from '../../src/core/subject.ts';
import { copyOf, type Doc, hostilePod, NAMESPACE, NOW, offerOf, type Setting, setting } from '../support/hostile-pods.ts';
import { beyondBaseline, grantOf, isNamed, list, map } from '../support/oracle.ts';
import { check } from '../support/properties.ts';
import { applyPatch } from '../support/rfc6902.ts';

const cases = fc.tuple(hostilePod, setting);

test('T61: judging only reads, and says the same twice', () => {
  check(0.05, cases, ([pod, given]) => {
    const question = questionOf(deepFreeze(copyOf(pod)), given);
    expect(judge(question)).toEqual(judge(question));
    expect(question.subject.document).toEqual(pod);
  });
});

test('T32: a patch fits its pod, and two appliers that share nothing make the same of it', () => {
  check(0.08, cases, ([pod, given]) => {
    const { patch } = repaired(copyOf(pod), given);
    const theirs = jsonPatch.applyPatch(copyOf(pod), copyOf(patch) as Operation[], true).newDocument;
    expect(applyPatch(pod, patch)).toEqual(theirs);
  });
});

test('T33: a second repair changes nothing, and has nothing left to fix', () => {
  check(0.08, cases, ([pod, given]) => {
    const document = copyOf(pod);
    const first = repaired(document, given);
    if (first.unresolved.length > 0) return;
    const { findings } = judge(questionOf(document, given));
    expect(findings.filter(({ fix, kind }) => fix !== undefined || kind === 'escape')).toEqual([]);
    expect(repaired(document, given).patch).toEqual([]);
  });
});

test('T45: a patch touches nothing but what its findings name', () => {
  check(0.06, cases, ([pod, given]) => {
    const { patch, repaired: findings } = repaired(copyOf(pod), given);
    const named = findings.map(({ path }) => pointerOf(path));
    named.push('/metadata/annotations/cloister.dev~1profile-applied');
    const changed = changesBetween(pod, applyPatch(pod, patch));
    expect(changed.filter((path) => !named.some((each) => within(path, each)))).toEqual([]);
  });
});

test('T30: a patch adds no privilege that the grant does not list', () => {
  check(0.08, cases, ([pod, given]) => {
    const { patch } = repaired(copyOf(pod), given);
    expect(gainsOf(pod, applyPatch(pod, patch) as Doc, given)).toEqual([]);
  });
});

function questionOf(document: Doc, given: Setting): Question {
  const offer = offerOf(given);
  const subject = subjectOf(document, '', 'Pod');
  const own = offer.profiles.get('own');
  if (!subject.ok || own === undefined) throw new Error(`no pod: ${JSON.stringify(subject)}`);
  const policy = policyFor(own, subject.value.pod, offer, true);
  return { subject: subject.value, policy, namespace: NAMESPACE, exemptions: offer.exemptions, now: NOW };
}

function repaired(document: Doc, given: Setting): Repair & { readonly findings: readonly Finding[] } {
  const question = questionOf(document, given);
  const verdict = judge(question);
  return { findings: verdict.findings, ...repair(question, verdict, apply, true) };
}

/** JSON pointers of what differs. A list whose length changed counts as one change. */
function changesBetween(before: unknown, after: unknown, at = ''): string[] {
  if (isPlain(before) && isPlain(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) => changesBetween(before[key], after[key], `${at}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`));
  }
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
    return before.flatMap((each, index) => changesBetween(each, after[index], `${at}/${index}`));
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [at];
}

const isPlain = (value: unknown): value is Doc => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether a change lies at what a finding names, in it, or is a missing parent of it. */
const within = (path: string, named: string): boolean => `${path}/`.startsWith(`${named}/`) || `${named}/`.startsWith(`${path}/`);

/** What a pod may do now and could not before, beyond what the grant lists. */
function gainsOf(before: Doc, after: Doc, given: Setting): string[] {
  const gains: string[] = [];
  const grant = grantOf(before, given) ?? given.grant;
  const [old, now] = [map(before.spec), map(after.spec)];
  for (const field of [
    'hostNetwork',
    'hostPID',
    'hostIPC',
    'nodeName',
    'nodeSelector',
    'affinity',
    'tolerations',
    'resourceClaims',
    'os',
  ]) {
    if (field === 'tolerations' && list(now[field]).every((each) => list(old[field]).some((one) => same(one, each)))) continue;
    if (now[field] !== undefined && !same(old[field], now[field])) gains.push(field);
  }
  if (now.hostUsers === true && old.hostUsers !== true) gains.push('hostUsers');
  if (now.automountServiceAccountToken === true && old.automountServiceAccountToken !== true) gains.push('automountServiceAccountToken');
  gains.push(...gainsOfVolumes(list(old.volumes).map(map), list(now.volumes).map(map), given, grant));

  for (const kind of ['initContainers', 'containers', 'ephemeralContainers']) {
    for (const [index, container] of list(now[kind]).map(map).entries()) {
      const gets = kind === 'containers' && isNamed(container, given) ? grant : 'none';
      gains.push(...gainsOfContainer(map(list(old[kind])[index]), container, given, gets).map((each) => `${each} of ${kind}/${index}`));
    }
  }
  return gains;
}

function gainsOfVolumes(old: Doc[], now: Doc[], { backend, serviceAccountToken }: Setting, grant: string): string[] {
  const added = now.filter((each) => !old.some((one) => same(one, each)));
  const removed = old.filter((each) => !now.some((one) => same(one, each)));
  const emptyDir = backend.startsWith('kata-') ? { medium: 'Memory' } : {};
  return [
    ...added.filter(
      ({ name, ...source }) => grant !== 'containers' || !String(name).startsWith('cloister-storage-') || !same(source, { emptyDir }),
    ),
    ...removed.filter(
      ({ name, projected }) =>
        serviceAccountToken !== 'remove' ||
        !String(name).startsWith('kube-api-access-') ||
        !list(map(projected).sources).some((each) => map(each).serviceAccountToken != null),
    ),
  ].map((each) => `volume ${JSON.stringify(each)}`);
}

function gainsOfContainer(before: Doc, after: Doc, given: Setting, grant: string): string[] {
  const gains: string[] = [];
  const [old, now] = [map(before.securityContext), map(after.securityContext)];
  const isKata = given.backend.startsWith('kata-');
  const hasContainers = grant === 'containers';

  if (now.privileged === true && old.privileged !== true && !(hasContainers && isKata && given.guestPrivileged)) gains.push('privileged');
  if (now.allowPrivilegeEscalation === true && old.allowPrivilegeEscalation !== true && grant === 'none') gains.push('escalation');
  if (old.allowPrivilegeEscalation === false && now.allowPrivilegeEscalation !== false && given.grantTo === undefined)
    gains.push('escalation');
  if (now.procMount === 'Unmasked' && old.procMount !== 'Unmasked' && !(hasContainers && given.backend === 'userns'))
    gains.push('procMount');

  const [had, has] = [list(map(old.capabilities).add), list(map(now.capabilities).add)];
  const spelled = (name: unknown): string => String(name).toUpperCase().replace(/^CAP_/, '');
  const listed = hasContainers || (grant === 'sudo' && given.backend === 'sysbox') ? [...BASELINE, ...beyondBaseline(given)] : [];
  for (const each of has) {
    if (!had.some((one) => spelled(one) === each || one === each) && !listed.includes(String(each))) gains.push(`capability ${each}`);
  }
  const [dropped, drops] = [list(map(old.capabilities).drop), list(map(now.capabilities).drop)];
  if (!dropped.every((each) => drops.includes(each)) && given.grantTo === undefined) gains.push('a capability that is dropped no more');

  const seccomp = map(now.seccompProfile);
  if (
    !same(old.seccompProfile, now.seccompProfile) &&
    seccomp.type !== 'RuntimeDefault' &&
    !(hasContainers && given.backend === 'userns')
  ) {
    gains.push('seccompProfile');
  }
  const appArmor = map(now.appArmorProfile ?? { type: 'RuntimeDefault' });
  if (!same(old.appArmorProfile, now.appArmorProfile) && appArmor.type !== 'RuntimeDefault' && !hasContainers)
    gains.push('appArmorProfile');
  if (!same(old.seLinuxOptions, now.seLinuxOptions) && !hasContainers) gains.push('seLinuxOptions');
  for (const field of ['runAsUser', 'runAsGroup', 'runAsNonRoot', 'windowsOptions']) if (!same(old[field], now[field])) gains.push(field);
  for (const field of ['image', 'command', 'args', 'volumeDevices', 'resources', 'envFrom']) {
    if (!same(before[field], after[field])) gains.push(field);
  }
  const added = list(after.volumeMounts).filter(
    (each) => !list(before.volumeMounts).some((one) => map(one).mountPath === map(each).mountPath),
  );
  if (!added.every((each) => hasContainers && String(map(each).name).startsWith('cloister-storage-'))) gains.push('volumeMounts');
  const variables = list(after.env).filter((each) => !list(before.env).some((one) => same(one, each)));
  for (const { name, value } of variables.map(map)) {
    if (given.backend !== 'sysbox' || name !== 'SYSBOX_SYSCONT_MODE' || value !== (hasContainers && value === 'TRUE' ? 'TRUE' : 'FALSE'))
      gains.push('env');
  }
  return gains;
}

const BASELINE = 'AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT'.split(
  ' ',
);

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const each of Object.values(value)) deepFreeze(each);
  }
  return value;
}
