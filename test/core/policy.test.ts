import { describe, expect, test } from 'vitest';
import { printConfigured, printUnknownProfile, selectPolicy } from '../../src/core/policy.ts';
import { backendById } from '../../src/core/profiles/index.ts';
import type { Backend } from '../../src/core/profiles/profile.ts';
import { makeProfile, type Profile, type ProfileOptions } from '../../src/core/profiles/profile.ts';
import { podOf } from '../support/test-rule.ts';

const userns = profile('userns', { grant: 'containers', mayChoose: ['kata-team-a', 'gone'] });
const kata = profile('kata-team-a', { grant: 'sudo' }, 'kata-qemu');
const gvisor = profile('gvisor', { grant: 'containers' });
const profiles = new Map([userns, kata, gvisor].map((each) => [each.id, each]));

const PROFILE = 'cloister.dev/profile';
const GRANT = 'cloister.dev/grant';

/** `profile/grant` that apply with these labels, and the problems of the labels. */
function inForce(
  labels: Record<string, string>,
  obeysProfileLabel = true,
): { readonly holds: string; readonly problems: readonly string[] } {
  const policy = selectPolicy(userns, podOf({ metadata: { labels } }).pod, { profiles, obeysProfileLabel });
  return {
    holds: `${policy.profile.id}/${policy.grant}`,
    problems: policy.labelProblems.map(({ message, remedy }) => `${message}: ${remedy}`),
  };
}

describe('the profile', () => {
  test('the profile is that of the path if the pod has no label, or the same one', () => {
    expect(inForce({})).toEqual({ holds: 'userns/containers', problems: [] });
    expect(inForce({ [PROFILE]: 'userns' })).toEqual({ holds: 'userns/containers', problems: [] });
  });

  test('the profile is that of the label, with its grant, if the profile of the path lets the pod choose it', () => {
    expect(inForce({ [PROFILE]: 'kata-team-a' })).toEqual({ holds: 'kata-team-a/sudo', problems: [] });
  });

  test('the profile is that of the path, with a problem that lists the choices, if the pod may not choose the other', () => {
    expect(inForce({ [PROFILE]: 'gvisor' })).toEqual({
      holds: 'userns/containers',
      problems: ['profile "gvisor" may not be chosen instead of userns: remove the label, or set it to userns or kata-team-a or gone'],
    });
  });

  test.each(['kata-qemu', 'gone', '', 'constructor', 'Userns'])(
    'T06: the label %j names no configured profile, and changes no requirement',
    (asked) => {
      const { holds, problems } = inForce({ [PROFILE]: asked });
      expect(holds).toBe('userns/containers');
      expect(problems).toHaveLength(1);
      expect(problems[0]).toContain('is not configured');
    },
  );

  test('the profile is that of the path in mode warn and audit, whatever the label says', () => {
    expect(inForce({ [PROFILE]: 'kata-team-a' }, false)).toEqual({ holds: 'userns/containers', problems: [] });
    expect(inForce({ [PROFILE]: 'nonsense' }, false)).toEqual({ holds: 'userns/containers', problems: [] });
  });
});

describe('the grant', () => {
  test.each(['none', 'sudo', 'containers'])('the grant may be lowered to %s', (asked) => {
    expect(inForce({ [GRANT]: asked })).toEqual({ holds: `userns/${asked}`, problems: [] });
  });

  test('the grant is limited by the chosen profile, not by that of the path', () => {
    const { holds, problems } = inForce({ [PROFILE]: 'kata-team-a', [GRANT]: 'containers' });
    expect(holds).toBe('kata-team-a/sudo');
    expect(problems).toEqual(['grant "containers" is more than kata-team-a gives: remove the label, or set it to none or sudo']);
  });

  test.each(['', 'root', 'SUDO', 'constructor'])('T06: the grant %j is unknown, and changes no requirement', (asked) => {
    expect(inForce({ [GRANT]: asked })).toEqual({
      holds: 'userns/containers',
      problems: [`grant "${asked}" is unknown: remove the label, or set it to none or sudo or containers`],
    });
  });

  test('the grant may be lowered in mode warn and audit, too', () => {
    expect(inForce({ [GRANT]: 'none' }, false)).toEqual({ holds: 'userns/none', problems: [] });
  });
});

test('the message about an unknown profile lists the configured ones', () => {
  expect(printUnknownProfile('x')).toBe('profile "x" is not configured');
  expect(printConfigured(profiles)).toBe('the configured profiles are: userns, kata-team-a, gvisor');
  expect(printConfigured(new Map())).toBe('the configured profiles are: none');
});

test('an inherited key is no label', () => {
  expect(inForce(JSON.parse('{"__proto__": "x"}')).problems).toEqual([]);
});

function profile(id: string, options: ProfileOptions, backend = id): Profile {
  return makeProfile(id, backendById.get(backend) as Backend, options);
}
