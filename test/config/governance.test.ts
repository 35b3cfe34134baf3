import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { NO_GOVERNANCE } from '../../src/core/governance.ts';
import { contentOf, HEAD, parse, rowsOf, type Table } from './samples.ts';

const PROFILES = { userns: {}, gvisor: {} };
const withGovernance = (keys: object) => parse(HEAD + stringify({ profiles: PROFILES, ...keys }));
const governing = (element: object) => withGovernance({ governs: [{ namespaces: ['team-*'], enforce: 'userns', ...element }] });

const A_NAMESPACE = 'must be the name of a namespace; * in it stands for any run of characters';
const A_MODE = 'must name a profile for at least one of enforce, warn and audit';
const many = (count: number) => Array.from({ length: count }, (_, index) => `team-${index}`);

/** `governs` and `default` of a file with the profiles userns and gvisor. */
const WRONG: Table<object> = {
  'a `governs` that is no list': [{ governs: {} }, 'governs: must be a list of namespaces, each with its profiles'],
  'an element that is no map': [
    { governs: ['team-*'] },
    'governs[0]: must be a map of namespaces, and of a mode (enforce, warn, audit) to its profile',
  ],
  'an element without namespaces': [
    { governs: [{ enforce: 'userns' }] },
    "governs[0].namespaces: is missing: it must be a list of at least one namespace; '*' stands for all",
  ],
  'an element for no namespace': [
    { governs: [{ namespaces: [], enforce: 'userns' }] },
    "governs[0].namespaces: must be a list of at least one namespace; '*' stands for all",
  ],
  'a pattern that would end a string of CEL': [
    { governs: [{ namespaces: ["a'", 'a.b', 'A', 'a|b', `${'a'.repeat(64)}`], enforce: 'userns' }] },
    ...[0, 1, 2, 3, 4].map((index) => `governs[0].namespaces[${index}]: ${A_NAMESPACE}`),
  ],
  'an element that governs a namespace of the system': [
    { governs: [{ namespaces: ['kube-system', 'kube-node-lease'], enforce: 'userns' }] },
    ...[0, 1].map((index) => `governs[0].namespaces[${index}]: must not be kube-node-lease or kube-system, which Cloister never governs`),
  ],
  'an element without a mode': [{ governs: [{ namespaces: ['a'] }] }, `governs[0]: ${A_MODE}`],
  'an element with an unknown mode': [
    { governs: [{ namespaces: ['a'], enforced: 'userns' }] },
    'governs[0].enforced: is unknown (did you mean enforce?): the keys known here are namespaces, enforce, warn and audit',
    `governs[0]: ${A_MODE}`,
  ],
  'an element with a profile that is not configured': [
    { governs: [{ namespaces: ['a'], enforce: 'usrns', audit: 'kata-qemu' }] },
    'governs[0].enforce: "usrns" is not configured (did you mean userns?): it must be userns or gvisor',
    'governs[0].audit: "kata-qemu" is not configured: it must be userns or gvisor',
  ],
  'more elements than an API server parses': [
    { governs: many(65).map((name) => ({ namespaces: [name], enforce: 'userns' })) },
    'governs: must have at most 64 elements',
  ],
  'more patterns than an API server parses': [
    { governs: [{ namespaces: many(200), enforce: 'userns' }], default: { enforce: 'userns', except: many(57) } },
    'governs: has 257 patterns together with default.except: write at most 256',
  ],
  'a default that is no map': [{ default: 'userns' }, 'default: must be a map of a mode (enforce, warn, audit) to its profile'],
  'a default without a mode': [{ default: { except: ['a'] } }, `default: ${A_MODE}`],
  'a default with a profile that is not configured': [
    { default: { warn: 'sysbox' } },
    'default.warn: "sysbox" is not configured: it must be userns or gvisor',
  ],
  'a default with exceptions that are no list': [
    { default: { warn: 'userns', except: 'a' } },
    'default.except: must be a list of namespaces',
  ],
  'a default for namespaces': [
    { default: { warn: 'userns', namespaces: ['a'] } },
    'default.namespaces: is unknown: the keys known here are enforce, warn, audit and except',
  ],
};

describe('F13: a problem of `governs` or `default` says where it is, what it is, and what to do', () => {
  test.each(rowsOf(WRONG))('the file has %s', (_, keys, problems) => expect(withGovernance(keys)).toEqual({ ok: false, error: problems }));

  test('a profile that has a problem itself counts as configured', () => {
    const file = { profiles: { userns: { grant: 'all' } }, default: { enforce: 'userns' } };
    expect(parse(HEAD + stringify(file))).toEqual({
      ok: false,
      error: ['config.yaml: profiles.userns.grant: must be one of none, sudo, containers'],
    });
  });

  test('without profiles, no namespace can be governed', () => {
    expect(parse(HEAD + stringify({ profiles: {}, default: { enforce: 'userns' } }))).toEqual({
      ok: false,
      error: ['config.yaml: default.enforce: "userns" is not configured: the configuration has no profiles'],
    });
  });
});

const A_NAME = 'must be the name of a namespace; * has no meaning here';
const UP_TO = (most: number) => `must be a whole number of seconds from 2 to ${most}`;

describe('what is true of every entry', () => {
  test('T18: excluded namespaces are governed by nothing', () => {
    const { governance } = contentOf(withGovernance({ excludedNamespaces: ['storage-system'], default: { enforce: 'userns' } }));
    expect(governance).toEqual({ byName: [], otherwise: { enforce: 'userns' }, excluded: ['storage-system'] });
  });

  test('timeouts are read, each by itself', () => {
    expect(contentOf(withGovernance({ timeoutSeconds: { watch: 5, mutate: 2 } })).timeoutSeconds).toEqual({ watch: 5, mutate: 2 });
    expect(contentOf(withGovernance({}))).not.toHaveProperty('timeoutSeconds');
  });

  test.each(
    rowsOf({
      'a pattern among the excluded namespaces': [
        { excludedNamespaces: ['a', 'team-*', 'A', ''] },
        ...[1, 2, 3].map((index) => `excludedNamespaces[${index}]: ${A_NAME}`),
      ],
      'too many of them': [{ excludedNamespaces: many(65) }, 'excludedNamespaces: must have at most 64 elements'],
      'no list of them': [{ excludedNamespaces: 'a' }, 'excludedNamespaces: must be a list of namespaces'],
      'timeouts out of bounds': [
        { timeoutSeconds: { mutate: 1, enforce: 11, watch: 6 } },
        `timeoutSeconds.mutate: ${UP_TO(10)}`,
        `timeoutSeconds.enforce: ${UP_TO(10)}`,
        `timeoutSeconds.watch: ${UP_TO(5)}`,
      ],
      'timeouts that are no whole numbers': [
        { timeoutSeconds: { mutate: 2.5, enforce: '5s' } },
        `timeoutSeconds.mutate: ${UP_TO(10)}`,
        `timeoutSeconds.enforce: ${UP_TO(10)}`,
      ],
      'an unknown timeout': [
        { timeoutSeconds: { warn: 2 } },
        'timeoutSeconds.warn: is unknown: the keys known here are mutate, enforce and watch',
      ],
    }),
  )('F13: the file has %s', (_, keys, problems) => expect(withGovernance(keys)).toEqual({ ok: false, error: problems }));
});

describe('T75: the governed namespaces', () => {
  test('no namespace is governed by name without `governs` and `default`', () => {
    expect(contentOf(withGovernance({})).governance).toEqual(NO_GOVERNANCE);
  });

  test('the exceptions of the default are an element without profiles, after all others', () => {
    const { governance, warnings } = contentOf(
      withGovernance({
        governs: [{ namespaces: ['gl-rd-ns-*'], enforce: 'userns', audit: 'gvisor' }],
        default: { enforce: 'gvisor', except: ['monitoring', 'ingress-*'] },
      }),
    );
    expect(governance).toEqual({
      byName: [
        { namespaces: ['gl-rd-ns-*'], profiles: { enforce: 'userns', audit: 'gvisor' } },
        { namespaces: ['monitoring', 'ingress-*'], profiles: {} },
      ],
      otherwise: { enforce: 'gvisor' },
    });
    expect(warnings).toEqual([]);
  });

  test('a file without `profiles` can govern by userns', () => {
    expect(contentOf(parse(`${HEAD}default: {audit: userns}\n`)).governance.otherwise).toEqual({ audit: 'userns' });
  });

  test('a file with as many elements and patterns as are allowed is valid', () => {
    const governs = many(64).map((name) => ({ namespaces: [name, `${name}-*`, `*-${name}`, `a-*-${name}`], enforce: 'userns' }));
    expect(contentOf(withGovernance({ governs })).governance.byName).toHaveLength(64);
  });

  test('an element that keeps its namespaces from an enforcing default without enforcing anything is reported', () => {
    const audited = { governs: [{ namespaces: ['team-*'], audit: 'gvisor' }] };
    expect(contentOf(withGovernance({ ...audited, default: { enforce: 'userns' } })).warnings).toEqual([
      'governs[0]: has no enforce, so nothing is enforced in its namespaces, although default enforces userns: add enforce here if a profile should be enforced in them',
    ]);
    expect(contentOf(withGovernance({ ...audited, default: { warn: 'userns' } })).warnings).toEqual([]);
    expect(contentOf(governing({})).warnings).toEqual([]);
  });
});
