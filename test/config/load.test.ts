import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { type Config, configSchema, exemptionSchema, loadConfig, optionSchemas, parseConfig } from '../../src/config/load.ts';
import { findActiveExemptions } from '../../src/core/exemptions.ts';
import { backends } from '../../src/core/profiles/index.ts';
import { COMMON_OPTIONS } from '../../src/core/profiles/profile.ts';
import { userns } from '../../src/core/profiles/userns.ts';
import { rules } from '../../src/core/rules/index.ts';

const NOW = new Date('2026-11-21T12:00:00Z');
const HEAD = 'apiVersion: cloister.dev/v1alpha1\nkind: Config\n';

const parse = (text: string) => parseConfig(text, 'config.yaml', { now: NOW });
const withProfiles = (text: string) => parse(`${HEAD}profiles:\n${text.replace(/^/gm, '  ')}\n`);
const withExemption = (fields: object) => parse(HEAD + stringify({ exemptions: [{ ...EXEMPTION, ...fields }] }));

function good(result: ReturnType<typeof parse>): Config {
  if (!result.ok) throw new Error(result.error.join('\n'));
  return result.value;
}

const EXEMPTION = {
  reason: 'mesh',
  expires: '2027-06-30',
  namespaces: ['*'],
  serviceAccounts: ['*'],
  allow: { capabilities: ['NET_ADMIN'] },
};
const listed = (names: readonly string[], word: 'and' | 'or'): string => `${names.slice(0, -1).join(', ')} ${word} ${names.at(-1)}`;
const IDS = backends.map(({ id }) => id);
const WITH_GUEST_PRIVILEGED = backends.filter(({ options }) => options.includes('guestPrivileged')).map(({ id }) => id);
const EXEMPTIBLE = rules
  .filter(({ exemptibleValues }) => exemptibleValues !== undefined)
  .map(({ id }) => id)
  .join(', ');
const USERNS_OPTIONS = listed([...COMMON_OPTIONS, ...userns.options], 'and');
const A_TIME = 'a date, such as 2027-06-30, or a time with its zone, such as 2027-06-30T18:00:00Z';

type Table<T> = Readonly<Record<string, readonly [written: T, ...problems: string[]]>>;

/** Whole files. */
const WRONG_FILES: Table<string> = {
  'an empty file': ['', 'config.yaml is no configuration: it must have apiVersion: cloister.dev/v1alpha1 and kind: Config'],
  'a list': ['- 1', 'config.yaml is no configuration: it must have apiVersion: cloister.dev/v1alpha1 and kind: Config'],
  'no version and no kind': [
    'profiles: {}',
    'apiVersion: is missing: it must be cloister.dev/v1alpha1',
    'kind: is missing: it must be Config',
  ],
  'another version': ['apiVersion: v2\nkind: Config', 'apiVersion: must be cloister.dev/v1alpha1'],
  'another kind': ['apiVersion: cloister.dev/v1alpha1\nkind: Pod', 'kind: must be Config'],
  'a key twice': [`${HEAD}profiles:\n  userns: {}\n  userns: {}`, 'config.yaml:5:3: this key is written a second time: keep one'],
  'a key twice, at the top': [`${HEAD}kind: Config`, 'config.yaml:3:1: this key is written a second time: keep one'],
  'broken YAML': [
    `${HEAD}profiles: [`,
    'config.yaml:3:12: Flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
  'two documents': [`${HEAD}---\n${HEAD}`, 'config.yaml:3:1: a second document starts here: a file holds one configuration'],
  'an alias that leads nowhere': [
    `${HEAD}profiles: *gone`,
    'config.yaml: Unresolved alias (the anchor must be set before the alias): gone',
  ],
  'an unknown tag': [`${HEAD}profiles: !secret {}`, 'config.yaml:3:11: Unresolved tag: !secret'],
};

/** What stands at the top, after version and kind. */
const WRONG_TOPS: Table<string> = {
  'a key at the top that is unknown': [
    'profile: {}',
    'profile: is unknown (did you mean profiles?): known here are apiVersion, kind, profiles and exemptions',
  ],
  'profiles without anything': [
    'profiles:',
    'profiles: must be a map of profiles by name; leave it out for userns alone, write {} for none',
  ],
  'profiles as a list': [
    'profiles: [userns]',
    'profiles: must be a map of profiles by name; leave it out for userns alone, write {} for none',
  ],
  'exemptions as a map': ['exemptions: {}', 'exemptions: must be a list of exemptions'],
};

/** What stands under `profiles`. */
const WRONG_PROFILES: Table<string> = {
  'a profile that is a text': ['userns: sudo', 'profiles.userns: must be a map of options'],
  'a grant that is unknown': ['userns: {grant: root}', 'profiles.userns.grant: must be one of none, sudo, containers'],
  'a grant that is a boolean': ['userns: {grant: true}', 'profiles.userns.grant: must be one of none, sudo, containers'],
  'an option mistyped': [
    'userns: {grnt: sudo}',
    `profiles.userns.grnt: is unknown (did you mean grant?): known here are ${USERNS_OPTIONS}`,
  ],
  'an unknown option': ['userns: {color: red}', `profiles.userns.color: is unknown: known here are ${USERNS_OPTIONS}`],
  'an option of other backends': [
    'gvisor: {guestPrivileged: true}',
    `profiles.gvisor.guestPrivileged: is an option of ${listed(WITH_GUEST_PRIVILEGED, 'and')} alone: remove it`,
  ],
  'an option of one other backend': [
    'kata-qemu: {nesting: seccomp}',
    'profiles.kata-qemu.nesting: is an option of userns alone: remove it',
  ],
  'an option of another backend, in a profile that extends': [
    'team: {extends: gvisor, idsPerPod: 65536}',
    'profiles.team.idsPerPod: is an option of userns and sysbox alone: remove it',
  ],
  'a way of nesting that is unknown': ['userns: {nesting: docker}', 'profiles.userns.nesting: must be one of seccomp, sysadmin'],
  'an absolute seccomp profile': [
    'userns: {seccompProfile: /etc/passwd}',
    "profiles.userns.seccompProfile: must be a path below the kubelet's seccomp folder, such as cloister/workspace.json",
  ],
  'a seccomp profile that climbs': [
    'userns: {seccompProfile: cloister/../../x.json}',
    "profiles.userns.seccompProfile: must be a path below the kubelet's seccomp folder, such as cloister/workspace.json",
  ],
  'an AppArmor profile in the old spelling': [
    'userns: {appArmorProfile: localhost/x}',
    "profiles.userns.appArmorProfile: must be Unconfined or the name of a profile on the nodes; leave it out for the runtime's default",
  ],
  'the default AppArmor profile by name': [
    'userns: {appArmorProfile: RuntimeDefault}',
    "profiles.userns.appArmorProfile: must be Unconfined or the name of a profile on the nodes; leave it out for the runtime's default",
  ],
  'an SELinux type with a level': [
    "userns: {seLinuxType: 'spc_t:s0'}",
    'profiles.userns.seLinuxType: must be the name of an SELinux type, such as container_engine_t',
  ],
  'no container to grant to': [
    'userns: {grantTo: []}',
    'profiles.userns.grantTo: must list at least one container name; leave it out for every regular container',
  ],
  'containers to grant to, not in a list': [
    'userns: {grantTo: main}',
    'profiles.userns.grantTo: must list at least one container name; leave it out for every regular container',
  ],
  'a container name that cannot be': [
    'userns: {grantTo: [main, Tools]}',
    'profiles.userns.grantTo[1]: must be a name in lower case; * in it stands for any run of characters',
  ],
  'relative storage': [
    'userns: {storage: [var/lib]}',
    'profiles.userns.storage[0]: must be an absolute path without `..`, a colon or a slash at its end',
  ],
  'storage that climbs': [
    'userns: {storage: [/var/../etc]}',
    'profiles.userns.storage[0]: must be an absolute path without `..`, a colon or a slash at its end',
  ],
  'storage with a slash at its end': [
    'userns: {storage: [/var/lib/]}',
    'profiles.userns.storage[0]: must be an absolute path without `..`, a colon or a slash at its end',
  ],
  'storage on the root': [
    'userns: {storage: [/]}',
    'profiles.userns.storage[0]: must be an absolute path without `..`, a colon or a slash at its end',
  ],
  'storage twice': ['userns: {storage: [/a, /b, /a]}', 'profiles.userns.storage[2]: repeats /a: remove it'],
  'a choice that is not configured': [
    'userns: {mayChoose: [kata-qemu, gvisr]}\ngvisor: {}',
    'profiles.userns.mayChoose[0]: "kata-qemu" is not configured: it must be userns or gvisor',
    'profiles.userns.mayChoose[1]: "gvisr" is not configured (did you mean gvisor?): it must be userns or gvisor',
  ],
  'a choice that is no name': ['userns: {mayChoose: [Kata]}', 'profiles.userns.mayChoose[0]: must be the name of a profile'],
  'a device without a domain': [
    'userns: {devices: [gpu]}',
    'profiles.userns.devices[0]: must be an extended resource with its domain, such as nvidia.com/gpu',
  ],
  'a device with a domain of one word': [
    'userns: {devices: [nvidia/gpu]}',
    'profiles.userns.devices[0]: must be an extended resource with its domain, such as nvidia.com/gpu',
  ],
  'a RuntimeClass name that cannot be': [
    'userns: {runtimeClassName: Kata_QEMU}',
    'profiles.userns.runtimeClassName: must be the name of a RuntimeClass',
  ],
  'a RuntimeClass among several that cannot be': [
    "userns: {runtimeClasses: [a, '']}",
    'profiles.userns.runtimeClasses[1]: must be the name of a RuntimeClass',
  ],
  'ids that are no multiple': ['userns: {idsPerPod: 100000}', 'profiles.userns.idsPerPod: must be a positive multiple of 65536'],
  'ids that are none': ['userns: {idsPerPod: 0}', 'profiles.userns.idsPerPod: must be a positive multiple of 65536'],
  'ids as a text': ["userns: {idsPerPod: '65536'}", 'profiles.userns.idsPerPod: must be a positive multiple of 65536'],
  'an identity that is unknown': ['sysbox: {identity: none}', 'profiles.sysbox.identity: must be one of host-users, crio-annotation'],
  'a word that is not true or false': ['kata-qemu: {guestPrivileged: yes}', 'profiles.kata-qemu.guestPrivileged: must be true or false'],
  'a medium that is unknown': ['kata-qemu: {storageMedium: Memory}', 'profiles.kata-qemu.storageMedium: must be one of memory, disk'],
  'a medium where storage is on disk in any case': [
    'userns: {storageMedium: disk}',
    'profiles.userns.storageMedium: is an option of kata-qemu, kata-clh, kata-fc and kata-acrn alone: remove it',
  ],
  'a size in bytes alone': [
    "kata-qemu: {storageSize: '4294967296'}",
    'profiles.kata-qemu.storageSize: must be a size in M, G, T, Mi, Gi or Ti, such as 4Gi',
  ],
  'a size that is a number': [
    'kata-qemu: {storageSize: 4}',
    'profiles.kata-qemu.storageSize: must be a size in M, G, T, Mi, Gi or Ti, such as 4Gi',
  ],
  'a size of nothing': [
    'kata-qemu: {storageSize: 0Gi}',
    'profiles.kata-qemu.storageSize: must be a size in M, G, T, Mi, Gi or Ti, such as 4Gi',
  ],
  'a size below all use': [
    'kata-qemu: {storageSize: 64Ki}',
    'profiles.kata-qemu.storageSize: must be a size in M, G, T, Mi, Gi or Ti, such as 4Gi',
  ],
  'a size in a unit that Kubernetes does not know': [
    'kata-qemu: {storageSize: 4GB}',
    'profiles.kata-qemu.storageSize: must be a size in M, G, T, Mi, Gi or Ti, such as 4Gi',
  ],
  'a size below nothing': [
    'kata-qemu: {storageSize: -4Gi}',
    'profiles.kata-qemu.storageSize: must be a size in M, G, T, Mi, Gi or Ti, such as 4Gi',
  ],
  'a size of another backend': [
    'sysbox: {storageSize: 4Gi}',
    'profiles.sysbox.storageSize: is an option of kata-qemu, kata-clh, kata-fc and kata-acrn alone: remove it',
  ],
  'a token that is neither kept nor removed': [
    'userns: {serviceAccountToken: drop}',
    'profiles.userns.serviceAccountToken: must be one of keep, remove',
  ],
  'a profile name with capitals': [
    'Team: {extends: userns}',
    'profiles.Team: must have a name of at most 63 lower-case letters, digits and inner dashes',
  ],
  'a profile name that is too long': [
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: {extends: userns}',
    'profiles.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: must have a name of at most 63 lower-case letters, digits and inner dashes',
  ],
  'a profile name with a dot': [
    'team.a: {extends: userns}',
    'profiles["team.a"]: must have a name of at most 63 lower-case letters, digits and inner dashes',
  ],
  'a profile name that other code may stumble over': [
    '__proto__: {extends: userns}',
    'profiles.__proto__: must have a name of at most 63 lower-case letters, digits and inner dashes',
  ],
  'a profile that says nothing about its backend': [
    'team: {}',
    `profiles.team: is no backend, so it must say what it extends: one of ${IDS.join(', ')}`,
  ],
  'a backend mistyped': [
    'user-ns: {}',
    `profiles.user-ns: is no backend, so it must say what it extends (did you mean userns?): one of ${IDS.join(', ')}`,
  ],
  'a parent that is unknown': [
    'team: {extends: kata-qem}',
    `profiles.team.extends: "kata-qem" is unknown (did you mean kata-qemu?): it must be ${listed(IDS, 'or')}`,
  ],
  'a parent that is no name': ['team: {extends: [userns]}', 'profiles.team.extends: must be the name of a profile'],
  'a profile that extends itself': [
    'team: {extends: team}',
    'profiles.team.extends: leads back to itself (team -> team): one of them must extend a backend',
  ],
  'profiles that extend each other': [
    'a: {extends: b}\nb: {extends: a}\nc: {extends: a}',
    'profiles.a.extends: leads back to itself (a -> b -> a): one of them must extend a backend',
    'profiles.b.extends: leads back to itself (b -> a -> b): one of them must extend a backend',
  ],
  "a backend's own profile that extends": [
    'gvisor: {extends: userns}',
    "profiles.gvisor.extends: gvisor is a backend's own profile: remove this line, or give the profile another name",
  ],
};

/** What is changed in an exemption that is right. */
const WRONG_EXEMPTIONS: Table<object> = {
  'an exemption without a reason': [{ reason: undefined }, 'exemptions[0].reason: is missing: it must say why'],
  'an exemption with an empty reason': [{ reason: ' ' }, 'exemptions[0].reason: must say why'],
  'an exemption without an end': [{ expires: undefined }, `exemptions[0].expires: is missing: it must be ${A_TIME}`],
  'a day that does not exist': [{ expires: '2027-02-30' }, `exemptions[0].expires: must be ${A_TIME}`],
  'a time without a zone': [{ expires: '2027-06-30T18:00:00' }, `exemptions[0].expires: must be ${A_TIME}`],
  'a year alone': [{ expires: 2027 }, `exemptions[0].expires: must be ${A_TIME}`],
  'an exemption for no namespace': [{ namespaces: [] }, "exemptions[0].namespaces: must list at least one namespace; '*' stands for all"],
  'an exemption for one namespace, not in a list': [
    { namespaces: 'team' },
    "exemptions[0].namespaces: must list at least one namespace; '*' stands for all",
  ],
  'an exemption for a name that cannot be': [
    { serviceAccounts: ['Robot'] },
    'exemptions[0].serviceAccounts[0]: must be a name in lower case; * in it stands for any run of characters',
  ],
  'an exemption for no service account': [
    { serviceAccounts: undefined },
    "exemptions[0].serviceAccounts: is missing: it must list at least one service account; '*' stands for all",
  ],
  'an exemption from nothing': [
    { allow: {} },
    `exemptions[0].allow: must name what is let through, by rule; these can be exempted: ${EXEMPTIBLE}`,
  ],
  'an exemption from a list': [
    { allow: ['capabilities'] },
    'exemptions[0].allow: must be a map of rule ids, each with the list of values that it lets through',
  ],
  'an exemption from a rule that has none': [
    { allow: { privileged: ['main'] } },
    `exemptions[0].allow.privileged: has no exemption; these can be exempted: ${EXEMPTIBLE}`,
  ],
  'an exemption from a rule mistyped': [
    { allow: { capabilites: ['NET_ADMIN'] } },
    `exemptions[0].allow.capabilites: is no rule (did you mean capabilities?); these can be exempted: ${EXEMPTIBLE}`,
  ],
  'an exemption from an unknown rule': [
    { allow: { everything: ['x'] } },
    `exemptions[0].allow.everything: is no rule; these can be exempted: ${EXEMPTIBLE}`,
  ],
  'an exemption of no value': [{ allow: { capabilities: [] } }, 'exemptions[0].allow.capabilities: must list at least one value'],
  'an exemption of an empty value': [
    { allow: { capabilities: [''] } },
    'exemptions[0].allow.capabilities[0]: must be a text with something in it',
  ],
  'a capability in another spelling': [
    { allow: { capabilities: ['cap_net_admin'] } },
    'exemptions[0].allow.capabilities[0]: must be spelled NET_ADMIN',
  ],
  'a pattern where a value is meant': [
    { allow: { 'runtime-annotations': ['io.katacontainers.*'] } },
    'exemptions[0].allow.runtime-annotations[0]: must name one value: * stands for itself here',
  ],
  'hostPath without its path': [
    { allow: { 'volume-types': ['nfs', 'hostPath'] } },
    'exemptions[0].allow.volume-types[1]: must name the path on the node, as in hostPath:/dev/fuse',
  ],
  'hostPath with a relative path': [
    { allow: { 'volume-types': ['hostPath:dev/fuse'] } },
    'exemptions[0].allow.volume-types[0]: must name the path on the node, as in hostPath:/dev/fuse',
  ],
  'an unknown key of an exemption': [
    { until: '2027-06-30' },
    'exemptions[0].until: is unknown: known here are reason, expires, namespaces, serviceAccounts and allow',
  ],
};

const told = (problem: string): string => (problem.startsWith('config.yaml') ? problem : `config.yaml: ${problem}`);
const rows = <T>(table: Table<T>) =>
  Object.entries(table).map(([name, [written, ...problems]]) => [name, written, problems.map(told)] as const);

describe('F13: what is wrong is said: where, what, and what to do', () => {
  test.each(rows(WRONG_FILES))('%s', (_, text, problems) => expect(parse(text)).toEqual({ ok: false, error: problems }));
  test.each(rows(WRONG_TOPS))('%s', (_, text, problems) => expect(parse(HEAD + text)).toEqual({ ok: false, error: problems }));
  test.each(rows(WRONG_PROFILES))('%s', (_, text, problems) => expect(withProfiles(text)).toEqual({ ok: false, error: problems }));
  test.each(rows(WRONG_EXEMPTIONS))('%s', (_, fields, problems) => expect(withExemption(fields)).toEqual({ ok: false, error: problems }));

  test('all problems come at once', () => {
    const text = `apiVersion: v1\nkind: Config\nprofiles:\n  userns: {grant: root, grnt: x}\n  team: {}\nexemptions: [{}]\ncolor: red`;
    const result = parse(text);
    expect(result.ok ? [] : result.error.map((each) => each.split(': ', 2).join(' '))).toEqual([
      'config.yaml apiVersion',
      'config.yaml color',
      'config.yaml profiles.userns.grant',
      'config.yaml profiles.userns.grnt',
      'config.yaml profiles.team',
      'config.yaml exemptions[0].reason',
      'config.yaml exemptions[0].expires',
      'config.yaml exemptions[0].namespaces',
      'config.yaml exemptions[0].serviceAccounts',
      'config.yaml exemptions[0].allow',
    ]);
  });
});

describe('profiles', () => {
  test('none given: userns alone, with its defaults', async () => {
    const unnamed = await loadConfig(undefined);
    for (const { profiles, exemptions } of [good(parse(HEAD)), good(unnamed)]) {
      expect([...profiles.keys()]).toEqual(['userns']);
      expect(profiles.get('userns')?.grant).toBe('sudo');
      expect(exemptions).toEqual([]);
    }
  });

  test('an empty map: none at all', () => {
    expect(good(parse(`${HEAD}profiles: {}`)).profiles.size).toBe(0);
  });

  test('a backend with nothing after it has its defaults, and the order is the written one', () => {
    expect([...good(withProfiles('kata-qemu:\nuserns:\ngvisor: {}')).profiles.keys()]).toEqual(['kata-qemu', 'userns', 'gvisor']);
  });

  test('a profile has the options of its parents, and its own before theirs', () => {
    const { profiles } = good(
      withProfiles(
        'small: {extends: team, grant: none}\nteam: {extends: kata-qemu, runtimeClassName: kata-team, storage: [/a]}\nkata-qemu: {grant: containers, devices: [a.b/c], storage: [/b]}',
      ),
    );
    const [small, team] = [profiles.get('small'), profiles.get('team')];
    expect([small?.backend.id, small?.grant, team?.grant]).toEqual(['kata-qemu', 'none', 'containers']);
    expect(small?.requirementsFor('containers').wall.runtimeClassName).toBe('kata-team');
    expect(small?.requirementsFor('containers').workspace.storage).toEqual(['/a']);
    expect([...(small?.requirementsFor('none').allowedDevices ?? [])]).toEqual(['a.b/c']);
    expect(profiles.get('kata-qemu')?.requirementsFor('none').wall.runtimeClassName).toBe('kata-qemu');
  });

  test('a profile may extend a backend that is not offered itself', () => {
    const { profiles } = good(withProfiles('team: {extends: gvisor}'));
    expect([...profiles.keys()]).toEqual(['team']);
    expect(profiles.get('team')?.requirementsFor('sudo').wall.runtimeClassName).toBe('gvisor');
  });

  test.each(['4Gi', '4096Mi', '1.5Gi', '2T', '1Ti', '500M', '10G'])('a size may be written %s, and is kept so', (size) => {
    const { profiles } = good(withProfiles(`kata-qemu: {storageSize: ${size}}`));
    expect(profiles.get('kata-qemu')?.requirementsFor('containers').workspace.storageSize).toBe(size);
  });

  test('names of containers are whole names, in which * stands for any run', () => {
    const { profiles } = good(withProfiles('userns: {grantTo: [tooling-*, notebook]}'));
    const patterns = profiles.get('userns')?.requirementsFor('sudo').grantTo ?? [];
    const isMeant = (name: string) => patterns.some((pattern) => pattern(name));
    expect(['tooling-', 'tooling-a', 'notebook'].every(isMeant)).toBe(true);
    expect(['tooling', 'a-tooling-b', 'notebooks', 'notebook\n'].some(isMeant)).toBe(false);
  });

  test.each(backends.map(({ id }) => id))('%s takes every option that it says it has', (id) => {
    const backend = backends.find((each) => each.id === id);
    const values: Readonly<Record<string, unknown>> = {
      nesting: 'sysadmin',
      seccompProfile: 'a/b.json',
      idsPerPod: 131072,
      identity: 'crio-annotation',
      guestPrivileged: true,
      storageMedium: 'disk',
      storageSize: '1.5Gi',
    };
    const options = Object.fromEntries((backend?.options ?? []).map((option) => [option, values[option]]));
    expect(good(parse(HEAD + stringify({ profiles: { [id]: options } }))).profiles.get(id)?.backend).toBe(backend);
  });
});

describe('exemptions', () => {
  const lets = (fields: object, now: string, namespace = 'team-a') => {
    const { exemptions } = good(withExemption(fields));
    return findActiveExemptions(exemptions, namespace, 'robot', new Date(now)).exempts('capabilities', 'NET_ADMIN');
  };

  test('a plain date counts to its end, in UTC', () => {
    expect(lets({}, '2027-06-30T23:59:59.999Z')).toBe(true);
    expect(lets({}, '2027-07-01T00:00:00Z')).toBe(false);
  });

  test('a time counts to the instant it names', () => {
    expect(lets({ expires: '2027-06-30T18:00:00+02:00' }, '2027-06-30T15:59:59Z')).toBe(true);
    expect(lets({ expires: '2027-06-30T18:00:00+02:00' }, '2027-06-30T16:00:00Z')).toBe(false);
  });

  test('names are patterns', () => {
    expect(lets({ namespaces: ['team-*'] }, '2027-01-01T00:00:00Z')).toBe(true);
    expect(lets({ namespaces: ['team-*'] }, '2027-01-01T00:00:00Z', 'my-team-a')).toBe(false);
  });

  test('one that has expired is legal, lets nothing through, and is reported', () => {
    const { exemptions, warnings } = good(withExemption({ expires: '2026-11-20' }));
    expect(findActiveExemptions(exemptions, 'a', 'b', NOW).exempts('capabilities', 'NET_ADMIN')).toBe(false);
    expect(warnings).toEqual(['exemptions[0]: expired at 2026-11-21T00:00:00.000Z and lets nothing through (mesh): renew or remove it']);
    expect(good(withExemption({ expires: '2026-11-21' })).warnings).toEqual([]);
  });
});

describe('a file', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cloister-config-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const load = async (name: string) => {
    const result = await loadConfig(join(folder, name));
    return result.ok ? [] : result.error.map((each) => each.replace(folder, ''));
  };

  test('F14: that is not there', async () =>
    expect(await load('none.yaml')).toEqual(['/none.yaml cannot be read: there is no such file or folder; check the name']));
  test('that is a folder', async () => expect(await load('.')).toEqual([' cannot be read: it is a folder; name a file in it']));
  test('that is not UTF-8', async () => {
    await writeFile(join(folder, 'latin.yaml'), Buffer.from([0x61, 0xe4]));
    expect(await load('latin.yaml')).toEqual(['/latin.yaml is not UTF-8 text: save it as UTF-8']);
  });
  test('is named in what is wrong with its YAML', async () => {
    await writeFile(join(folder, 'twice.yaml'), 'kind: a\nkind: b\n');
    expect(await load('twice.yaml')).toEqual(['/twice.yaml:2:1: this key is written a second time: keep one']);
  });
});

const PAGE = join(import.meta.dirname, '../../docs/configuration.md');
const EXAMPLE = join(import.meta.dirname, '../../examples/config.yaml');

test('examples/config.yaml is right, and shows every key', async () => {
  expect(good(await loadConfig(EXAMPLE, { now: NOW })).warnings).toEqual([]);
  const text = await readFile(EXAMPLE, 'utf8');
  for (const key of ['extends', ...keysOf()]) expect(text, key).toMatch(new RegExp(`^[\\s#-]*${key}:`, 'm'));
});

test('docs/configuration.md has a section for each key, and for no other', async () => {
  const headings = [...(await readFile(PAGE, 'utf8')).matchAll(/^### `(\w+)`$/gm)].map(([, key]) => key);
  expect(headings.sort()).toEqual(['extends', ...keysOf()].sort());
});

test('docs/configuration.md names every rule that can be exempted, and no other', async () => {
  const rows = (await readFile(PAGE, 'utf8')).matchAll(/^\| (`.*?`) \|/gm);
  const ids = [...rows].flatMap(([, cell = '']) => cell.split(', ').map((id) => id.replaceAll('`', '')));
  expect(ids.sort()).toEqual(EXEMPTIBLE.split(', ').sort());
});

test('docs/configuration.md: every example in it is right', async () => {
  const examples = [...(await readFile(PAGE, 'utf8')).matchAll(/^```yaml\n(.*?)^```/gms)].map(([, text]) => text ?? '');
  expect(examples.length).toBeGreaterThan(15);
  for (const example of examples) {
    const file = example.startsWith('apiVersion') ? example : HEAD + example;
    expect(good(parse(file)).warnings, example).toEqual([]);
  }
});

function keysOf(): string[] {
  return [configSchema.shape, exemptionSchema.shape, optionSchemas].flatMap(Object.keys);
}
