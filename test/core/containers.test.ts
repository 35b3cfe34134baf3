import { describe, expect, test } from 'vitest';
import { containersOf, normalizeCapability } from '../../src/core/containers.ts';
import { MAX_CONTAINERS } from '../../src/core/limits.ts';
import { backendById } from '../../src/core/profiles/index.ts';
import { makeProfile } from '../../src/core/profiles/profile.ts';
import type { Grant } from '../../src/core/requirements.ts';

type Spec = Parameters<typeof containersOf>[0];

function grantedIn(backend: string, grant: Grant, container: object, list = 'containers'): boolean {
  const found = backendById.get(backend);
  if (found === undefined) throw new Error(`no backend ${backend}`);
  const spec = { [list]: [{ name: 'main', ...container }] } as Spec;
  return containersOf(spec, makeProfile('tested', found, { grant }).requirementsFor(grant))[0]?.hasGrant === true;
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
    ['a sidecar among the init containers, which runs as long', 'initContainers', { restartPolicy: 'Always' }],
  ])('%s', (_, list, container) => expect(grantedIn('userns', 'none', container, list)).toBe(true));

  test.each([
    ['an init container', 'initContainers', {}],
    ['one that is tried again', 'initContainers', { restartPolicy: 'OnFailure' }],
    ['an ephemeral container', 'ephemeralContainers', {}],
    ['one that claims to be a sidecar', 'ephemeralContainers', { restartPolicy: 'Always' }],
  ])('not from %s, which is held to what any container may', (_, list, container) =>
    expect(grantedIn('userns', 'none', container, list)).toBe(false),
  );
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
