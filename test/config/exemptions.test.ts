import { describe, expect, test } from 'vitest';
import { findActiveExemptions } from '../../src/core/exemptions.ts';
import { contentOf, EXEMPTIBLE, NOW, rowsOf, type Table, withExemption } from './samples.ts';

const A_TIME = 'a date, such as 2027-06-30, or a time with its zone, such as 2027-06-30T18:00:00Z';

/** Changes of a valid exemption. */
const WRONG_EXEMPTIONS: Table<object> = {
  'an exemption without a reason': [{ reason: undefined }, 'exemptions[0].reason: is missing: it must say why'],
  'an exemption with an empty reason': [{ reason: ' ' }, 'exemptions[0].reason: must say why'],
  'an exemption without an end': [{ expires: undefined }, `exemptions[0].expires: is missing: it must be ${A_TIME}`],
  'a day that does not exist': [{ expires: '2027-02-30' }, `exemptions[0].expires: must be ${A_TIME}`],
  'a time without a zone': [{ expires: '2027-06-30T18:00:00' }, `exemptions[0].expires: must be ${A_TIME}`],
  'a year alone': [{ expires: 2027 }, `exemptions[0].expires: must be ${A_TIME}`],
  'an exemption for no namespace': [
    { namespaces: [] },
    "exemptions[0].namespaces: must be a list of at least one namespace; '*' stands for all",
  ],
  'an exemption for one namespace, not in a list': [
    { namespaces: 'team' },
    "exemptions[0].namespaces: must be a list of at least one namespace; '*' stands for all",
  ],
  'an exemption for an invalid name': [
    { serviceAccounts: ['Robot'] },
    'exemptions[0].serviceAccounts[0]: must be a name in lower case; * in it stands for any run of characters',
  ],
  'an exemption for no service account': [
    { serviceAccounts: undefined },
    "exemptions[0].serviceAccounts: is missing: it must be a list of at least one service account; '*' stands for all",
  ],
  'an exemption from nothing': [
    { allow: {} },
    `exemptions[0].allow: must list the values that it allows for each rule; these can be exempted: ${EXEMPTIBLE}`,
  ],
  'an exemption from a list': [
    { allow: ['capabilities'] },
    'exemptions[0].allow: must be a map of rule ids, each with the list of values that it lets through',
  ],
  'an exemption from a rule that has none': [
    { allow: { privileged: ['main'] } },
    `exemptions[0].allow.privileged: cannot be exempted; these can be exempted: ${EXEMPTIBLE}`,
  ],
  'an exemption from a rule mistyped': [
    { allow: { capabilites: ['NET_ADMIN'] } },
    `exemptions[0].allow.capabilites: is not a rule (did you mean capabilities?); these can be exempted: ${EXEMPTIBLE}`,
  ],
  'an exemption from an unknown rule': [
    { allow: { everything: ['x'] } },
    `exemptions[0].allow.everything: is not a rule; these can be exempted: ${EXEMPTIBLE}`,
  ],
  'an exemption of no value': [{ allow: { capabilities: [] } }, 'exemptions[0].allow.capabilities: must be a list of at least one value'],
  'an exemption of an empty value': [
    { allow: { capabilities: [''] } },
    'exemptions[0].allow.capabilities[0]: must be a text that is not empty',
  ],
  'a capability in another spelling': [
    { allow: { capabilities: ['cap_net_admin'] } },
    'exemptions[0].allow.capabilities[0]: must be spelled NET_ADMIN',
  ],
  'a pattern instead of a value': [
    { containers: undefined, allow: { 'runtime-annotations': ['io.katacontainers.*'] } },
    'exemptions[0].allow.runtime-annotations[0]: must name one value: * is not a pattern here',
  ],
  'hostPath without its path': [
    { containers: undefined, allow: { 'volume-types': ['nfs', 'hostPath'] } },
    'exemptions[0].allow.volume-types[1]: must name the path on the node, as in hostPath:/dev/fuse',
  ],
  'hostPath with a relative path': [
    { containers: undefined, allow: { 'volume-types': ['hostPath:dev/fuse'] } },
    'exemptions[0].allow.volume-types[0]: must name the path on the node, as in hostPath:/dev/fuse',
  ],
  'an exemption for no container': [
    { containers: [] },
    'exemptions[0].containers: must be a list of at least one container name; leave it out for every container',
  ],
  'containers beside a rule about the pod': [
    { containers: ['mesh'], allow: { capabilities: ['NET_ADMIN'], 'volume-types': ['nfs'] } },
    'exemptions[0].allow.volume-types: is about the pod, not its containers: move it to an exemption without `containers`',
  ],
  'an unknown key of an exemption': [
    { until: '2027-06-30' },
    'exemptions[0].until: is unknown: the keys known here are reason, expires, namespaces, serviceAccounts, containers and allow',
  ],
};

describe('F13: a problem of an exemption says where it is, what it is, and what to do', () => {
  test.each(rowsOf(WRONG_EXEMPTIONS))('the file has %s', (_, fields, problems) =>
    expect(withExemption(fields)).toEqual({ ok: false, error: problems }),
  );
});

describe('exemptions', () => {
  const lets = (fields: object, now: string, namespace = 'team-a') => {
    const { exemptions } = contentOf(withExemption(fields));
    return findActiveExemptions(exemptions, namespace, 'robot', new Date(now)).exempts('capabilities', 'NET_ADMIN', 'mesh-init');
  };

  test('an exemption with a date lasts to the end of that day, in UTC', () => {
    expect(lets({}, '2027-06-30T23:59:59.999Z')).toBe(true);
    expect(lets({}, '2027-07-01T00:00:00Z')).toBe(false);
  });

  test('an exemption with a time lasts to that instant', () => {
    expect(lets({ expires: '2027-06-30T18:00:00+02:00' }, '2027-06-30T15:59:59Z')).toBe(true);
    expect(lets({ expires: '2027-06-30T18:00:00+02:00' }, '2027-06-30T16:00:00Z')).toBe(false);
  });

  test('the names of an exemption are patterns', () => {
    expect(lets({ namespaces: ['team-*'] }, '2027-01-01T00:00:00Z')).toBe(true);
    expect(lets({ namespaces: ['team-*'] }, '2027-01-01T00:00:00Z', 'my-team-a')).toBe(false);
  });

  test('T06: an exemption that reaches every container is valid, and is reported', () => {
    const reached = (fields: object) => contentOf(withExemption(fields)).warnings;
    expect(reached({ containers: undefined, allow: { capabilities: ['NET_ADMIN'], 'volume-types': ['nfs'], seccomp: ['x'] } })).toEqual([
      'exemptions[0]: allows values of capabilities and seccomp in every container of its pods: list in `containers` the containers that need them',
    ]);
    expect(reached({ containers: undefined, allow: { 'volume-types': ['nfs'], 'resource-claims': ['gpu'] } })).toEqual([]);
    expect(reached({ containers: ['mesh'] })).toEqual([]);
  });

  test('an expired exemption is valid, has no effect, and is reported', () => {
    const { exemptions, warnings } = contentOf(withExemption({ expires: '2026-11-20' }));
    expect(findActiveExemptions(exemptions, 'a', 'b', NOW).exempts('capabilities', 'NET_ADMIN')).toBe(false);
    expect(warnings).toEqual(['exemptions[0]: expired at 2026-11-21T00:00:00.000Z and lets nothing through (mesh): renew or remove it']);
    expect(contentOf(withExemption({ expires: '2026-11-21' })).warnings).toEqual([]);
  });
});
