import { describe, expect, test } from 'vitest';
import { type Exemption, findActiveExemptions } from '../../src/core/exemptions.ts';
import { makeNamePattern, matchesAny } from '../../src/core/name-pattern.ts';

const EXPIRES = new Date('2027-06-30T00:00:00Z');
const exemption: Exemption = {
  reason: 'the mesh sets up iptables',
  expires: EXPIRES,
  namespaces: [makeNamePattern('team-*')],
  serviceAccounts: [makeNamePattern('mesh'), makeNamePattern('istio-*')],
  allow: new Map([['capabilities', new Set(['NET_ADMIN', 'NET_RAW'])]]),
};
const before = new Date(EXPIRES.getTime() - 1);

const isExempt = (exemptions: readonly Exemption[], namespace: string, account: string, now: Date): boolean =>
  findActiveExemptions(exemptions, namespace, account, now).exempts('capabilities', 'NET_ADMIN');

describe('active exemptions', () => {
  test('T06, F15: an exemption ends at the instant that it names', () => {
    expect(isExempt([exemption], 'team-a', 'mesh', before)).toBe(true);
    expect(isExempt([exemption], 'team-a', 'mesh', EXPIRES)).toBe(false);
    expect(isExempt([exemption], 'team-a', 'mesh', new Date(EXPIRES.getTime() + 1))).toBe(false);
  });

  test('T06: an exemption applies only if namespace and service account both match', () => {
    expect(isExempt([exemption], 'team-a', 'istio-init', before)).toBe(true);
    expect(isExempt([exemption], 'team-a', 'default', before)).toBe(false);
    expect(isExempt([exemption], 'other', 'mesh', before)).toBe(false);
    expect(isExempt([{ ...exemption, namespaces: [] }], 'team-a', 'mesh', before)).toBe(false);
  });

  test('T06: an exemption covers the listed values of its rule, byte for byte', () => {
    const { exempts } = findActiveExemptions([exemption], 'team-a', 'mesh', before);
    expect(exempts('capabilities', 'NET_RAW')).toBe(true);
    for (const value of ['SYS_ADMIN', 'net_raw', 'NET_RAW ', '', '*']) expect(exempts('capabilities', value), value).toBe(false);
    expect(exempts('seccomp', 'NET_RAW')).toBe(false);
    expect(exempts('constructor', 'NET_RAW')).toBe(false);
  });

  test('T06: an exemption that names containers reaches these containers, and no setting of the pod', () => {
    const fenced = { ...exemption, containers: [makeNamePattern('istio-*')] };
    const { exempts } = findActiveExemptions([fenced], 'team-a', 'mesh', before);
    expect(exempts('capabilities', 'NET_ADMIN', 'istio-init')).toBe(true);
    expect(exempts('capabilities', 'NET_ADMIN', 'workspace')).toBe(false);
    expect(exempts('capabilities', 'NET_ADMIN')).toBe(false);
    expect(findActiveExemptions([exemption], 'team-a', 'mesh', before).exempts('capabilities', 'NET_ADMIN', 'workspace')).toBe(true);
  });

  test('several exemptions apply independently of each other', () => {
    const other = {
      ...exemption,
      reason: 'another',
      namespaces: [makeNamePattern('lab')],
      allow: new Map([['seccomp', new Set(['Unconfined'])]]),
    };
    const leave = findActiveExemptions([other, exemption], 'team-a', 'mesh', before);
    expect(leave.exempts('seccomp', 'Unconfined')).toBe(false);
    expect(leave.exempts('capabilities', 'NET_ADMIN')).toBe(true);
  });

  test('a used exemption is reported with its value and reason, and an unused one is not', () => {
    const leave = findActiveExemptions([exemption], 'team-a', 'mesh', before);
    leave.exempts('capabilities', 'SYS_ADMIN');
    expect(leave.used).toEqual([]);
    leave.exempts('capabilities', 'NET_ADMIN');
    expect(leave.used).toEqual([{ rule: 'capabilities', value: 'NET_ADMIN', reason: 'the mesh sets up iptables' }]);
  });

  test('an exempted value is reported once, however often it is found', () => {
    const leave = findActiveExemptions([exemption], 'team-a', 'mesh', before);
    for (const value of ['NET_ADMIN', 'NET_RAW', 'NET_ADMIN', 'NET_RAW', 'NET_ADMIN']) leave.exempts('capabilities', value);
    expect(leave.used.map(({ value }) => value)).toEqual(['NET_ADMIN', 'NET_RAW']);
  });

  test('an exempted value is reported for each rule that finds it', () => {
    const shared = new Set(['Unconfined']);
    const both = { ...exemption, allow: new Map(['seccomp', 'apparmor'].map((rule) => [rule, shared])) };
    const leave = findActiveExemptions([both], 'team-a', 'mesh', before);
    for (const rule of ['seccomp', 'apparmor']) leave.exempts(rule, 'Unconfined');
    expect(leave.used.map(({ rule }) => rule)).toEqual(['seccomp', 'apparmor']);
  });

  test('the exemptions used for one pod are not reported for the next', () => {
    findActiveExemptions([exemption], 'team-a', 'mesh', before).exempts('capabilities', 'NET_ADMIN');
    expect(findActiveExemptions([exemption], 'team-a', 'mesh', before).used).toEqual([]);
    expect(findActiveExemptions([], 'team-a', 'mesh', before).used).toEqual([]);
  });
});

describe('T06: a pattern of names', () => {
  test.each([
    ['mesh', ['mesh'], ['mesh-2', 'my-mesh', 'Mesh', '', 'mes']],
    ['team-*', ['team-', 'team-a', 'team-a-b', 'team-\n'], ['team', 'my-team-a', 'Team-a']],
    ['*', ['', 'anything', 'two\nlines'], []],
    ['*-dev', ['-dev', 'a-dev'], ['a-dev-1', 'a-dev\n']],
    ['a*b*c', ['abc', 'a-b-c', 'abbc'], ['ab', 'abcd', 'xabc', 'a-c', 'ac']],
    ['a*bc*bc*d', ['abcbcd', 'a-bc-bc-d'], ['abcd', 'abcbd']],
    ['a.c', ['a.c'], ['abc', 'a-c']],
    ['(a|b)+[c]{2}^$?\\', ['(a|b)+[c]{2}^$?\\'], ['acc', 'a']],
    ['', [''], ['a']],
  ])('%j matches the whole name', (glob, names, others) => {
    expect(names.filter((name) => !matchesAny([makeNamePattern(glob)], name))).toEqual([]);
    expect(others.filter((name) => matchesAny([makeNamePattern(glob)], name))).toEqual([]);
  });

  test('a line break does not end the match of a pattern of names', () => {
    for (const name of ['mesh\n', '\nmesh', 'x\nmesh', 'mesh\nx', 'mesh\r', 'mesh\u2028'])
      expect(matchesAny([makeNamePattern('mesh')], name), JSON.stringify(name)).toBe(false);
  });

  test('a pattern of names gives the same answer every time', () => {
    const pattern = makeNamePattern('team-*');
    expect([1, 2, 3].map(() => matchesAny([pattern], 'team-a'))).toEqual([true, true, true]);
  });
});

describe('a pattern of many stars', () => {
  test('T22: a pattern of many stars takes linear time for a name that almost matches', () => {
    const pattern = makeNamePattern(`${'*a'.repeat(60)}*b`);
    expect(pattern('a'.repeat(253))).toBe(false);
    expect(pattern(`${'a'.repeat(60)}xb`)).toBe(true);
  });
  test('no two parts of a pattern match the same character', () => {
    expect(makeNamePattern('ab*ba')('aba')).toBe(false);
    expect(makeNamePattern('a*b*b')('ab')).toBe(false);
    expect(makeNamePattern('a*b*b')('abb')).toBe(true);
    expect(makeNamePattern('**')('')).toBe(true);
  });
});
