import { describe, expect, test } from 'vitest';
import { containersOf, normalizeCapability } from '../../src/core/containers.ts';
import { MAX_CONTAINERS } from '../../src/core/limits.ts';
import { makeNamePattern } from '../../src/core/name-pattern.ts';
import { backendById } from '../../src/core/profiles/index.ts';
import { makeProfile, type ProfileOptions } from '../../src/core/profiles/profile.ts';
import type { Grant } from '../../src/core/requirements.ts';

type Spec = Parameters<typeof containersOf>[0];

function grantedIn(backend: string, grant: Grant, container: object, list = 'containers', options: ProfileOptions = {}): boolean {
  const found = backendById.get(backend);
  if (found === undefined) throw new Error(`no backend ${backend}`);
  const spec = { [list]: [{ name: 'main', ...container }] } as Spec;
  return containersOf(spec, makeProfile('tested', found, { ...options, grant }).requirementsFor(grant))[0]?.hasGrant === true;
}

const dropping = (add: readonly string[] = [], env: readonly object[] = []): object => ({
  env,
  securityContext: { capabilities: { drop: ['ALL'], add } },
});
const MODE = 'SYSBOX_SYSCONT_MODE';

describe('the grant none applies to', () => {
  test.each([
    ['a container', 'containers', {}],
    ['one that restricts itself', 'containers', { securityContext: { allowPrivilegeEscalation: false } }],
    ['a native sidecar', 'initContainers', { restartPolicy: 'Always' }],
    ['an init container', 'initContainers', {}],
    ['an ephemeral container', 'ephemeralContainers', {}],
  ])('%s', (_, list, container) => expect(grantedIn('userns', 'none', container, list)).toBe(true));
});

describe.each<Grant>(['sudo', 'containers'])('the grant %s', (grant) => {
  const toMain = { grantTo: [makeNamePattern('main')] };

  test.each([
    ['a container', 'containers', {}],
    ['a container with a restart policy of its own', 'containers', { restartPolicy: 'Never' }],
    ['a native sidecar', 'initContainers', { restartPolicy: 'Always' }],
  ])('applies to %s, also if grantTo names it', (_, list, container) => {
    expect(grantedIn('userns', grant, container, list)).toBe(true);
    expect(grantedIn('userns', grant, container, list, toMain)).toBe(true);
    expect(grantedIn('userns', grant, container, list, { grantTo: [makeNamePattern('other')] })).toBe(false);
  });

  test.each([
    ['an init container', 'initContainers', {}],
    ['an init container that is restarted on failure', 'initContainers', { restartPolicy: 'OnFailure' }],
    ['an ephemeral container', 'ephemeralContainers', {}],
    ['an ephemeral container with the restart policy of a native sidecar', 'ephemeralContainers', { restartPolicy: 'Always' }],
  ])('does not apply to %s, even if grantTo names it', (_, list, container) => {
    expect(grantedIn('userns', grant, container, list)).toBe(false);
    expect(grantedIn('userns', grant, container, list, toMain)).toBe(false);
  });

  test('a native sidecar that restricts itself keeps its restriction, unless grantTo names it', () => {
    const restricted = { restartPolicy: 'Always', securityContext: { allowPrivilegeEscalation: false } };
    expect(grantedIn('userns', grant, restricted, 'initContainers')).toBe(false);
    expect(grantedIn('userns', grant, restricted, 'initContainers', toMain)).toBe(true);
  });
});

describe('a container that drops by its name what sudo cannot do without', () => {
  const dropped = (capability: string, more: object = {}) => ({
    securityContext: { capabilities: { drop: [capability], add: ['CHOWN'] } },
    ...more,
  });
  test.each([
    ['restricts itself', 'userns', dropped('SETUID'), false],
    ['restricts itself, however it spells that', 'userns', dropped('cap_setgid'), false],
    ['restricts itself under Sysbox', 'sysbox', dropped('SETUID'), false],
    [
      'is the workspace under Sysbox if it asks for all by the variable',
      'sysbox',
      dropped('SETUID', { env: [{ name: MODE, value: 'TRUE' }] }),
      true,
    ],
    ['is another one than a container that drops what packages need', 'userns', dropped('FOWNER'), true],
  ])('it %s', (_, profile, container, isGranted) => expect(grantedIn(profile, 'containers', container)).toBe(isGranted));
});

describe('a container that drops ALL', () => {
  test('a container that drops ALL restricts itself if it adds nothing', () => expect(grantedIn('userns', 'sudo', dropping())).toBe(false));
  test('a container that drops ALL restricts itself if it adds less than sudo needs', () =>
    expect(grantedIn('userns', 'sudo', dropping(['SETUID', 'SETGID']))).toBe(false));
  test('a container that drops ALL receives the grant if it adds what sudo needs', () =>
    expect(grantedIn('userns', 'sudo', dropping(['SETUID', 'SETGID', 'CHOWN', 'FOWNER', 'CAP_DAC_OVERRIDE']))).toBe(true));

  describe('under sysbox, where capabilities do not count with the grant containers,', () => {
    test.each([
      ['restricts itself, whatever it adds', dropping(['SETUID', 'SETGID', 'CHOWN', 'FOWNER', 'DAC_OVERRIDE']), false],
      ['is the workspace, if it asks for all of them by the variable', dropping([], [{ name: MODE, value: 'TRUE' }]), true],
      ['restricts itself, if the variable says otherwise', dropping([], [{ name: MODE, value: 'FALSE' }]), false],
      ['restricts itself, if another variable says so', dropping([], [{ name: 'MODE', value: 'TRUE' }]), false],
      [
        'is found among other variables',
        dropping(
          [],
          [
            { name: 'A', value: 'b' },
            { name: MODE, value: 'TRUE' },
          ],
        ),
        true,
      ],
    ])('%s', (_claim, container, granted) => expect(grantedIn('sysbox', 'containers', container)).toBe(granted));

    test('capabilities count under sysbox with the grant sudo', () => {
      expect(grantedIn('sysbox', 'sudo', dropping([], [{ name: MODE, value: 'TRUE' }]))).toBe(false);
    });
  });
});

test('a capability is normalized to upper case without its prefix', () => {
  expect(['cap_chown', 'CAP_CHOWN', 'Chown'].map(normalizeCapability)).toEqual(['CHOWN', 'CHOWN', 'CHOWN']);
  expect(normalizeCapability('NO_CAP_CHOWN')).toBe('NO_CAP_CHOWN');
});

test('a container without a name has an empty one', () => {
  const found = backendById.get('userns');
  if (found === undefined) throw new Error('no backend userns');
  const all = containersOf({ containers: [{}] }, makeProfile('tested', found, { grant: 'sudo' }).requirementsFor('sudo'));
  expect(all.map(({ name }) => name)).toEqual(['']);
});

test('T22: the list of containers ends with the first one above the limit, whichever list it is in', () => {
  const found = backendById.get('userns');
  if (found === undefined) throw new Error('no backend userns');
  const list = Array.from({ length: 700 }, () => ({}));
  const all = containersOf(
    { initContainers: list, containers: list },
    makeProfile('tested', found, { grant: 'sudo' }).requirementsFor('sudo'),
  );
  expect([all.length, all.at(-1)?.list, all.at(-1)?.index]).toEqual([MAX_CONTAINERS + 1, 'containers', 300]);
});
