import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { backends } from '../../src/core/profiles/index.ts';
import { COMMON_OPTIONS } from '../../src/core/profiles/profile.ts';
import { userns } from '../../src/core/profiles/userns.ts';
import { contentOf, HEAD, listed, parse, rowsOf, type Table, withProfiles } from './samples.ts';

const IDS = backends.map(({ id }) => id);
const WITH_GUEST_PRIVILEGED = backends.filter(({ options }) => options.includes('guestPrivileged')).map(({ id }) => id);
const USERNS_OPTIONS = listed([...COMMON_OPTIONS, ...userns.options], 'and');

/** Values of `profiles`. */
const WRONG_PROFILES: Table<string> = {
  'a profile that is a string': ['userns: sudo', 'profiles.userns: must be a map of options'],
  'a grant that is unknown': ['userns: {grant: root}', 'profiles.userns.grant: must be one of none, sudo, containers'],
  'a grant that is a boolean': ['userns: {grant: true}', 'profiles.userns.grant: must be one of none, sudo, containers'],
  'an option mistyped': [
    'userns: {grnt: sudo}',
    `profiles.userns.grnt: is unknown (did you mean grant?): the keys known here are ${USERNS_OPTIONS}`,
  ],
  'extends mistyped': [
    'team: {extends: userns, extend: gvisor}',
    `profiles.team.extend: is unknown (did you mean extends?): the keys known here are extends, ${USERNS_OPTIONS}`,
  ],
  'an unknown option': ['userns: {color: red}', `profiles.userns.color: is unknown: the keys known here are ${USERNS_OPTIONS}`],
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
    'profiles.userns.grantTo: must be a list of at least one container name; without `grantTo`, every regular container and native sidecar gets the grant',
  ],
  'containers to grant to, not in a list': [
    'userns: {grantTo: main}',
    'profiles.userns.grantTo: must be a list of at least one container name; without `grantTo`, every regular container and native sidecar gets the grant',
  ],
  'an invalid container name': [
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
  'a choice that is not a name': ['userns: {mayChoose: [Kata]}', 'profiles.userns.mayChoose[0]: must be the name of a profile'],
  'a device without a domain': [
    'userns: {devices: [gpu]}',
    'profiles.userns.devices[0]: must be an extended resource with its domain, such as nvidia.com/gpu',
  ],
  'a device whose name is too long, and ones that are no qualified names': [
    `userns: {devices: [a/${'b'.repeat(64)}, a/b/c, A.b/c, a/-b]}`,
    ...[0, 1, 2, 3].map(
      (index) => `profiles.userns.devices[${index}]: must be an extended resource with its domain, such as nvidia.com/gpu`,
    ),
  ],
  'a path with a colon, and one of two lines': [
    'userns: {storage: ["/a:b", "/a\\nb"]}',
    'profiles.userns.storage[0]: must be an absolute path without `..`, a colon or a slash at its end',
    'profiles.userns.storage[1]: must be an absolute path without `..`, a colon or a slash at its end',
  ],
  'a CSI driver that is no name': [
    "userns: {csiDrivers: [nfs.csi.k8s.io, 'csi:nfs']}",
    'profiles.userns.csiDrivers[1]: must be the name of a CSI driver, such as secrets-store.csi.k8s.io',
  ],
  'CSI drivers, not in a list': ['userns: {csiDrivers: all}', 'profiles.userns.csiDrivers: must be a list of CSI drivers'],
  'a taint with its effect': [
    "userns: {deniedTolerations: ['dedicated=build:NoSchedule']}",
    'profiles.userns.deniedTolerations[0]: must be a key, or key=value, such as kubernetes.azure.com/mode=system',
  ],
  'a taint that is a map': [
    'userns: {deniedTolerations: [{key: dedicated}]}',
    'profiles.userns.deniedTolerations[0]: must be a key, or key=value, such as kubernetes.azure.com/mode=system',
  ],
  'a label with a pattern, and one without a key': [
    "gvisor: {deniedNodeLabels: ['pool=*', '=build', pool]}",
    'profiles.gvisor.deniedNodeLabels[0]: must be a key, or key=value, such as kubernetes.azure.com/mode=system',
    'profiles.gvisor.deniedNodeLabels[1]: must be a key, or key=value, such as kubernetes.azure.com/mode=system',
  ],
  'the scheduling of a class that is a list': [
    'kata-qemu: {runtimeClassScheduling: [{operator: Exists}]}',
    'profiles.kata-qemu.runtimeClassScheduling: must be a map with nodeSelector and tolerations, as in the RuntimeClass',
  ],
  'the scheduling of a class with an unknown key': [
    'kata-qemu: {runtimeClassScheduling: {toleration: []}}',
    'profiles.kata-qemu.runtimeClassScheduling.toleration: is unknown (did you mean tolerations?): the keys known here are nodeSelector and tolerations',
  ],
  'a toleration of a class with unknown values and keys': [
    "kata-qemu: {runtimeClassScheduling: {tolerations: [{operator: Exists}, {operator: exists, effect: Never, keys: a, tolerationSeconds: '1'}]}}",
    'profiles.kata-qemu.runtimeClassScheduling.tolerations[1].operator: must be one of Exists, Equal, Lt, Gt',
    'profiles.kata-qemu.runtimeClassScheduling.tolerations[1].effect: must be one of NoSchedule, PreferNoSchedule, NoExecute',
    'profiles.kata-qemu.runtimeClassScheduling.tolerations[1].tolerationSeconds: must be a number of seconds',
    'profiles.kata-qemu.runtimeClassScheduling.tolerations[1].keys: is unknown (did you mean key?): the keys known here are key, operator, value, effect and tolerationSeconds',
  ],
  'a node selector of a class that is no map of labels': [
    'kata-qemu: {runtimeClassScheduling: {nodeSelector: {kata: true}}}',
    'profiles.kata-qemu.runtimeClassScheduling.nodeSelector.kata: must be the value of a label',
  ],
  'an invalid RuntimeClass name': [
    'userns: {runtimeClassName: Kata_QEMU}',
    'profiles.userns.runtimeClassName: must be the name of a RuntimeClass',
  ],
  'an invalid RuntimeClass name among several': [
    "userns: {runtimeClasses: [a, '']}",
    'profiles.userns.runtimeClasses[1]: must be the name of a RuntimeClass',
  ],
  'ids that are not a multiple of 65536': [
    'userns: {idsPerPod: 100000}',
    'profiles.userns.idsPerPod: must be a positive multiple of 65536',
  ],
  'no ids': ['userns: {idsPerPod: 0}', 'profiles.userns.idsPerPod: must be a positive multiple of 65536'],
  'ids as a string': ["userns: {idsPerPod: '65536'}", 'profiles.userns.idsPerPod: must be a positive multiple of 65536'],
  'an identity that is unknown': ['sysbox: {identity: none}', 'profiles.sysbox.identity: must be one of host-users, crio-annotation'],
  'a boolean spelled yes': ['kata-qemu: {guestPrivileged: yes}', 'profiles.kata-qemu.guestPrivileged: must be true or false'],
  'a medium that is unknown': ['kata-qemu: {storageMedium: Memory}', 'profiles.kata-qemu.storageMedium: must be one of memory, disk'],
  'a medium for a backend whose storage is always on disk': [
    'userns: {storageMedium: disk}',
    'profiles.userns.storageMedium: is an option of kata-qemu, kata-clh, kata-fc and kata-acrn alone: remove it',
  ],
  'a size in bytes that is too small': [
    "kata-qemu: {storageSize: '429496'}",
    'profiles.kata-qemu.storageSize: must be a quantity of bytes, at least a megabyte, such as 4Gi',
  ],
  'a size that is a number': [
    'kata-qemu: {storageSize: 4}',
    'profiles.kata-qemu.storageSize: must be a quantity of bytes, at least a megabyte, such as 4Gi',
  ],
  'a size of zero': [
    'kata-qemu: {storageSize: 0Gi}',
    'profiles.kata-qemu.storageSize: must be a quantity of bytes, at least a megabyte, such as 4Gi',
  ],
  'a size below a megabyte': [
    'kata-qemu: {storageSize: 64Ki}',
    'profiles.kata-qemu.storageSize: must be a quantity of bytes, at least a megabyte, such as 4Gi',
  ],
  'a size in a unit that Kubernetes does not know': [
    'kata-qemu: {storageSize: 4GB}',
    'profiles.kata-qemu.storageSize: must be a quantity of bytes, at least a megabyte, such as 4Gi',
  ],
  'a negative size': [
    'kata-qemu: {storageSize: -4Gi}',
    'profiles.kata-qemu.storageSize: must be a quantity of bytes, at least a megabyte, such as 4Gi',
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
  'a profile name that is a property of objects': [
    '__proto__: {extends: userns}',
    'profiles.__proto__: must have a name of at most 63 lower-case letters, digits and inner dashes',
  ],
  'a profile without a backend': ['team: {}', `profiles.team: is no backend, so it must say what it extends: one of ${IDS.join(', ')}`],
  'a backend mistyped': [
    'user-ns: {}',
    `profiles.user-ns: is no backend, so it must say what it extends (did you mean userns?): one of ${IDS.join(', ')}`,
  ],
  'a parent that is unknown': [
    'team: {extends: kata-qem}',
    `profiles.team.extends: "kata-qem" is unknown (did you mean kata-qemu?): it must be ${listed(IDS, 'or')}`,
  ],
  'a parent that is not a name': ['team: {extends: [userns]}', 'profiles.team.extends: must be the name of a profile'],
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

describe('F13: a problem of a profile says where it is, what it is, and what to do', () => {
  test.each(rowsOf(WRONG_PROFILES))('the file has %s', (_, text, problems) =>
    expect(withProfiles(text)).toEqual({ ok: false, error: problems }),
  );
});

describe('profiles', () => {
  test('a file without profiles, or no file, has userns alone with its defaults', async () => {
    const unnamed = await loadConfig(undefined);
    for (const { profiles, exemptions } of [contentOf(parse(HEAD)), contentOf(unnamed)]) {
      expect([...profiles.keys()]).toEqual(['userns']);
      expect(profiles.get('userns')?.grant).toBe('sudo');
      expect(exemptions).toEqual([]);
    }
  });

  test('an empty map of profiles has no profile', () => {
    expect(contentOf(parse(`${HEAD}profiles: {}`)).profiles.size).toBe(0);
  });

  test('a backend without a value has its defaults, and profiles keep their order', () => {
    expect([...contentOf(withProfiles('kata-qemu:\nuserns:\ngvisor: {}')).profiles.keys()]).toEqual(['kata-qemu', 'userns', 'gvisor']);
  });

  test('a profile inherits the options of its parents, and its own options win', () => {
    const { profiles } = contentOf(
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

  test('what a profile denies comes on top of the known taints and labels, and its CSI drivers replace the known ones', () => {
    const options = '{deniedTolerations: [dedicated=build], deniedNodeLabels: [team-b/pool=], csiDrivers: [NFS.csi]}';
    const { profiles } = contentOf(withProfiles(`userns: ${options}\ngvisor: {}`));
    const of = (id: string) => profiles.get(id)?.requirementsFor('sudo');
    expect([...(of('userns')?.deniedTolerations ?? [])]).toEqual([...(of('gvisor')?.deniedTolerations ?? []), 'dedicated=build']);
    expect([...(of('userns')?.deniedNodeLabels ?? [])]).toEqual([...(of('gvisor')?.deniedNodeLabels ?? []), 'team-b/pool=']);
    expect([...(of('userns')?.csiDrivers ?? [])]).toEqual(['NFS.csi']);
    expect(of('gvisor')?.deniedTolerations).toContain('CriticalAddonsOnly');
    expect(of('gvisor')?.deniedNodeLabels).toContain('node-role.kubernetes.io/control-plane');
    expect(of('gvisor')?.csiDrivers).toContain('csi.spiffe.io');
  });

  test('the scheduling of a RuntimeClass is accepted as its object has it', () => {
    const { profiles } = contentOf(
      withProfiles(
        "kata-qemu: {runtimeClassScheduling: {nodeSelector: {katacontainers.io/kata-runtime: 'true'}, tolerations: [{key: kata, operator: Equal, value: '', effect: NoExecute, tolerationSeconds: 60}, {operator: Exists}]}}",
      ),
    );
    const { classScheduling } = profiles.get('kata-qemu')?.requirementsFor('sudo') ?? {};
    expect([...(classScheduling?.nodeSelector ?? [])]).toEqual([['katacontainers.io/kata-runtime', 'true']]);
    expect(classScheduling?.tolerations.size).toBe(2);
    expect(profiles.get('kata-qemu')?.withoutIsolation.classScheduling.tolerations.size).toBe(0);
  });

  test('a profile may extend a backend that is not offered itself', () => {
    const { profiles } = contentOf(withProfiles('team: {extends: gvisor}'));
    expect([...profiles.keys()]).toEqual(['team']);
    expect(profiles.get('team')?.requirementsFor('sudo').wall.runtimeClassName).toBe('gvisor');
  });

  test.each([
    ['devices', ['smarter-devices/fuse', `squat.ai/${'x'.repeat(63)}`, 'a/B_c.d']],
    ['storage', ['/home/dev user/images', '/a\u00e9']],
    ['deniedTolerations', ['team/a=b', 'a.b/c_d']],
    ['csiDrivers', ['NFS.csi.k8s.io', 'x']],
    ['grantTo', ['a', '0-b']],
    ['runtimeClasses', ['kata', 'kata.v2']],
  ])('a value of %s that the API server accepts is accepted', (option, values) => {
    expect(contentOf(parse(HEAD + stringify({ profiles: { userns: { [option]: values } } }))).profiles.size).toBe(1);
  });

  test('an SELinux type of a module, and a negative number that is tolerated, are accepted', () => {
    const { profiles } = contentOf(
      withProfiles(
        "kata-qemu: {seLinuxType: my_engine.process, runtimeClassScheduling: {tolerations: [{key: sla, operator: Gt, value: '-5', effect: NoSchedule}]}}",
      ),
    );
    expect(profiles.get('kata-qemu')?.requirementsFor('containers').workspace.seLinuxType).toBe('my_engine.process');
  });

  test.each(['4Gi', '4096Mi', '1.5Gi', '0.5Gi', '.5Gi', '2T', '1Ti', '500M', '10G', '4194304Ki', '4000000k', '4e9', '1P'])(
    'the size %s is valid and stays as it is written',
    (size) => {
      const { profiles } = contentOf(withProfiles(`kata-qemu: {storageSize: '${size}'}`));
      expect(profiles.get('kata-qemu')?.requirementsFor('containers').workspace.storageSize).toBe(size);
    },
  );

  test('a pattern of grantTo matches whole container names, and * in it any run of characters', () => {
    const { profiles } = contentOf(withProfiles('userns: {grantTo: [tooling-*, notebook]}'));
    const patterns = profiles.get('userns')?.requirementsFor('sudo').grantTo ?? [];
    const isMeant = (name: string) => patterns.some((pattern) => pattern(name));
    expect(['tooling-', 'tooling-a', 'notebook'].every(isMeant)).toBe(true);
    expect(['tooling', 'a-tooling-b', 'notebooks', 'notebook\n'].some(isMeant)).toBe(false);
  });

  test.each(backends.map(({ id }) => id))('%s accepts every option that it lists', (id) => {
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
    expect(contentOf(parse(HEAD + stringify({ profiles: { [id]: options } }))).profiles.get(id)?.backend).toBe(backend);
  });
});
