import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { type Governance, NO_GOVERNANCE } from '../../src/core/governance.ts';
import { makeNamePattern, matchesAny } from '../../src/core/name-pattern.ts';
import { backends } from '../../src/core/profiles/index.ts';
import { makeProfile } from '../../src/core/profiles/profile.ts';
import { type ClusterConfig, type Entry, entriesOf, type Selector, type Target } from '../../src/manifests/entries.ts';
import { SEED } from '../support/seed.ts';

const SERVICE: Target = { service: { namespace: 'cloister-system', name: 'cloister', port: 8443 }, ca: 'a certificate' };

const [userns] = backends;
const offer = (...ids: readonly string[]): ClusterConfig => ({
  profiles: new Map(ids.flatMap((id) => (userns === undefined ? [] : [[id, makeProfile(id, userns, {})]]))),
  governance: NO_GOVERNANCE,
});

const BOTH = offer('userns', 'kata-qemu');
const [mutating, validating] = entriesOf(BOTH, SERVICE).map(({ webhooks }) => webhooks) as [readonly Entry[], readonly Entry[]];
/** An element of each kind: one mode, several, an excepted namespace, and a default. */
const GOVERNANCE: Governance = {
  byName: [
    { namespaces: ['gl-rd-ns-*', 'lab'], profiles: { enforce: 'userns', audit: 'kata-qemu' } },
    { namespaces: ['*-che', 'gl-*'], profiles: { enforce: 'kata-qemu', warn: 'userns' } },
    { namespaces: ['monitoring', 'ingress-*-nginx'], profiles: {} },
  ],
  otherwise: { enforce: 'userns', warn: 'kata-qemu' },
};
const governedBy = (governance: Governance): readonly [readonly Entry[], readonly Entry[]] => {
  const [mutates, validates] = entriesOf({ ...BOTH, governance }, SERVICE);
  return [mutates.webhooks, validates.webhooks];
};
const [governedMutating, governedValidating] = governedBy(GOVERNANCE);
const isOnlyGoverned = ({ name }: Entry): boolean => !validating.some((each) => each.name === name);
const entries = [...mutating, ...validating, ...[...governedMutating, ...governedValidating].filter(isOnlyGoverned)];
const golden = (name: string) => `../golden/manifests/${name}.yaml`;
const print = (objects: readonly object[]) =>
  objects.map((each) => stringify(each, { aliasDuplicateObjects: false, lineWidth: 0 })).join('---\n');

describe('the golden files', () => {
  test('the entries for two profiles behind a Service are those of the golden file', () =>
    expect(print(entriesOf(BOTH, SERVICE))).toMatchFileSnapshot(golden('service')));
  test('the entries for one profile at a URL are those of the golden file', () =>
    expect(print(entriesOf(offer('userns'), { url: 'https://192.0.2.10:8443' }))).toMatchFileSnapshot(golden('url')));
  test('the entries for no profile are those of the golden file', () =>
    expect(print(entriesOf(offer(), SERVICE))).toMatchFileSnapshot(golden('none')));
  test('the entries of a configuration that governs namespaces by name are those of the golden file', () =>
    expect(print(entriesOf({ ...BOTH, governance: GOVERNANCE }, SERVICE))).toMatchFileSnapshot(golden('governed')));
  test('the entries are the same bytes each time', () => expect(print(entriesOf(BOTH, SERVICE))).toBe(print(entriesOf(BOTH, SERVICE))));
});

describe('the validation of the API server', () => {
  test.each(entries.map((each) => [each.name, each] as const))('the name %s is a domain name of three parts or more', (name) => {
    expect(name).toMatch(/^([a-z0-9]([-a-z0-9]*[a-z0-9])?\.){2,}[a-z]+$/);
    expect(name.length).toBeLessThan(254); // as the prefix of an audit annotation's key
  });

  test.each(['userns', 'namespace', 'unknown', 'pod', 'workload', 'enforce', 'a'.repeat(63)])(
    'the names are unique with a profile named %s',
    (id) => {
      for (const { webhooks } of entriesOf(offer('userns', 'gvisor', ...[id].filter((each) => each !== 'userns')), SERVICE)) {
        expect(new Set(webhooks.map(({ name }) => name)).size).toBe(webhooks.length);
      }
    },
  );

  test('`In` and `NotIn` have values, even for no profile', () => {
    const all = entriesOf(offer(), SERVICE).flatMap(({ webhooks }) => webhooks);
    for (const { matchExpressions } of all.flatMap(({ namespaceSelector, objectSelector }) => [
      namespaceSelector,
      objectSelector ?? NOTHING,
    ])) {
      for (const each of matchExpressions) if ('values' in each) expect(each.values).not.toEqual([]);
    }
  });
});

describe('every entry', () => {
  test.each(entries.map((each) => [each.name, each] as const))(
    'T18, T71: the entry %s excludes the namespaces of the system and of Cloister',
    (_, { namespaceSelector }) => {
      expect(namespaceSelector.matchExpressions).toContainEqual({
        key: 'kubernetes.io/metadata.name',
        operator: 'NotIn',
        values: ['cloister-system', 'kube-node-lease', 'kube-system'],
      });
    },
  );

  test.each(entries.map((each) => [each.name, each] as const))(
    'T01: the entry %s has an objectSelector only where pods opt in',
    (name, { objectSelector }) => {
      expect(objectSelector !== undefined).toBe(name.split('.').includes('pod'));
    },
  );

  test.each(entries.map((each) => [each.name, each] as const))(
    'T16, T20, T27, T70: the entry %s fails closed if it enforces, and rejects no pod if it only watches',
    (name, entry) => {
      const enforces = name.includes('.enforce.') && !name.includes('.workload.');
      expect(entry.failurePolicy).toBe(enforces ? 'Fail' : 'Ignore');
      expect(entry.timeoutSeconds).toBe(enforces ? ([...mutating, ...governedMutating].includes(entry) ? 3 : 5) : 2);
      expect(entry).toMatchObject({ sideEffects: 'None', matchPolicy: 'Equivalent', admissionReviewVersions: ['v1'] });
    },
  );
});

test('T10, T11, T15, T31: the entries match pods with every subresource that can change them', () => {
  const resources = ({ rules }: Entry) =>
    rules.flatMap((rule) => rule.resources.flatMap((each) => rule.operations.map((verb) => `${verb} ${each}`)));
  for (const entry of governedMutating) expect(resources(entry)).toEqual(['CREATE pods', 'UPDATE pods/ephemeralcontainers']);
  for (const entry of governedValidating.filter(({ name }) => !/workload|unknown/.test(name))) {
    expect(resources(entry)).toEqual(['CREATE pods', 'UPDATE pods', 'UPDATE pods/ephemeralcontainers', 'UPDATE pods/resize']);
  }
  for (const entry of governedValidating.filter(({ name }) => name.includes('unknown'))) {
    // Where no label names a profile any more, images and debug containers must be rejected too.
    expect(resources(entry)).toEqual(['CREATE pods', 'UPDATE pods', 'UPDATE pods/ephemeralcontainers']);
  }
});

test('T31: the entries skip updates of finalizers and owners, and where no profile is known also those of labels and annotations', () => {
  const conditions = ({ matchConditions = [] }: Entry) =>
    matchConditions.map(({ expression }) => expression.match(/object\.[\w.]+(?=\.\?| !=)/g));
  for (const entry of validating.filter(({ name }) => !name.includes('workload'))) {
    const metadata = entry.name.includes('unknown') ? [] : ['object.metadata', 'object.metadata'];
    expect(conditions(entry)).toEqual([['object.spec', ...metadata]]);
  }
});

/** undefined: the label is absent. */
const LABEL_VALUES = [undefined, '', 'userns', 'kata-qemu', 'gvisor', 'Userns'];
const known = (value: string | undefined) => value === 'userns' || value === 'kata-qemu';

const matrix = LABEL_VALUES.flatMap((enforce) =>
  LABEL_VALUES.flatMap((warn) => LABEL_VALUES.flatMap((audit) => LABEL_VALUES.map((profile) => ({ enforce, warn, audit, profile })))),
);

describe('the creation of a pod', () => {
  const pathsFor = (all: readonly Entry[], labels: (typeof matrix)[number], namespace = 'team') => matching(all, labels, namespace).sort();

  test('the creation of a pod matches exactly the entries of its labels', () => {
    for (const labels of matrix) {
      const { enforce, warn, audit, profile } = labels;
      const enforced = enforce ?? profile;
      const mutates = known(enforced) ? [`/mutate/${enforced}`] : [];
      const validates = [
        ...(enforced === undefined ? [] : [known(enforced) ? `/validate/enforce/${enforced}` : '/unknown/enforce']),
        ...(warn === undefined ? [] : [known(warn) ? `/validate/warn/${warn}` : '/unknown/warn']),
        ...(audit === undefined ? [] : [known(audit) ? `/validate/audit/${audit}` : '/unknown/audit']),
      ].sort();
      expect(pathsFor(mutating, labels), JSON.stringify(labels)).toEqual(mutates);
      expect(pathsFor(validating, labels), JSON.stringify(labels)).toEqual(validates);
    }
  });

  test('T18, T71: the creation of a pod matches no entry in the namespaces of the system and of Cloister', () => {
    for (const namespace of ['kube-system', 'kube-node-lease', 'cloister-system']) {
      for (const labels of matrix) expect(pathsFor(entries, labels, namespace)).toEqual([]);
    }
  });

  test('the creation of a pod without labels, in a namespace without labels, matches no entry', () => {
    expect(pathsFor([...mutating, ...validating], { enforce: undefined, warn: undefined, audit: undefined, profile: undefined })).toEqual(
      [],
    );
  });
});

test('a workload matches the advising entry of each label of its namespace that names a profile', () => {
  for (const { enforce, warn, audit } of matrix) {
    const advised = matching(validating, { enforce, warn, audit, profile: undefined }, 'team', 'deployments');
    const wanted = Object.entries({ enforce, warn, audit }).flatMap(([mode, value]) => (known(value) ? [`/advise/${mode}/${value}`] : []));
    expect(advised.sort()).toEqual(wanted.sort());
  }
});

describe('the namespaces that the configuration governs by name', () => {
  const NAMESPACES = ['gl-rd-ns-1', 'gl-rd-ns-', 'gl-rd', 'lab', 'labs', 'a-che', 'monitoring', 'ingress-x-nginx', 'ingress-nginx', 'team'];
  /** The first element with a matching pattern, as the configuration page describes it. */
  const governing = (namespace: string) =>
    GOVERNANCE.byName.find(({ namespaces }) => matchesAny(namespaces.map(makeNamePattern), namespace))?.profiles ?? GOVERNANCE.otherwise;

  test('T75: the label of a namespace wins over the configuration, and the first matching element governs other namespaces', () => {
    for (const namespace of NAMESPACES) {
      const byName = governing(namespace);
      for (const labels of matrix) {
        const enforce = labels.enforce ?? byName.enforce;
        const [warn, audit] = [labels.warn ?? byName.warn, labels.audit ?? byName.audit];
        const place = `${namespace} ${JSON.stringify(labels)}`;
        // A pod opts in only where its namespace enforces nothing.
        const enforced = enforce ?? labels.profile;
        const pathOf = (mode: string, value: string | undefined) =>
          value === undefined ? [] : [known(value) ? `/validate/${mode}/${value}` : `/unknown/${mode}`];
        expect(matching(governedMutating, labels, namespace), place).toEqual(known(enforced) ? [`/mutate/${enforced}`] : []);
        expect(matching(governedValidating, labels, namespace).sort(), place).toEqual(
          [...pathOf('enforce', enforced), ...pathOf('warn', warn), ...pathOf('audit', audit)].sort(),
        );
        const advised = Object.entries({ enforce, warn, audit }).flatMap(([mode, value]) =>
          known(value) ? [`/advise/${mode}/${value}`] : [],
        );
        expect(matching(governedValidating, { ...labels, profile: undefined }, namespace, 'deployments').sort(), place).toEqual(
          advised.sort(),
        );
      }
    }
  });

  test('T18, T71: the configuration governs no namespace of the system or of Cloister', () => {
    for (const namespace of ['kube-system', 'kube-node-lease', 'cloister-system']) {
      for (const labels of matrix) expect(matching([...governedMutating, ...governedValidating], labels, namespace)).toEqual([]);
    }
  });

  test('an element adds an entry only for each mode and profile that it names, and the names do not depend on its position', () => {
    const names = (governance: Governance) => governedBy(governance).map((each) => each.map(({ name }) => name));
    const { byName, otherwise } = GOVERNANCE;
    expect(names({ byName: byName.toReversed(), otherwise })).toEqual(names(GOVERNANCE));
    const added = (governance: Governance) => names(governance).flatMap((each) => each.filter((name) => name.includes('.governed.')));
    expect(added(NO_GOVERNANCE)).toEqual([]);
    expect(added({ byName: [{ namespaces: ['a'], profiles: { audit: 'userns' } }], otherwise: {} })).toEqual([
      'userns.governed.audit.cloister.dev',
      'userns.governed.workload.audit.cloister.dev',
    ]);
  });

  test('an entry has at most two conditions, far fewer than the 64 that the API server accepts', () => {
    for (const { matchConditions = [] } of governedValidating) expect(matchConditions.length).toBeLessThanOrEqual(2);
  });

  test('a pattern matches the same names in CEL as everywhere else in the configuration', () => {
    const text = (alphabet: string) => fc.string({ unit: fc.constantFrom(...alphabet), minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(text('ab-*'), text('ab-'), (pattern, namespace) => {
        const [first] = governedBy({ byName: [{ namespaces: [pattern], profiles: { enforce: 'userns' } }], otherwise: {} })[0].filter(
          ({ name }) => name.includes('.governed.'),
        );
        expect(holds(first as Entry, namespace)).toBe(makeNamePattern(pattern)(namespace));
      }),
      { seed: SEED },
    );
  });
});

/** Whether the conditions on the name of the namespace hold. They have only the form that is read here. */
function holds({ matchConditions = [] }: Entry, namespace: string): boolean {
  return matchConditions
    .filter(({ name }) => !['spec-labels-or-annotations-change', 'spec-changes'].includes(name))
    .every(({ expression }) => {
      for (const line of expression.split('\n')) {
        const [, pattern, result = line] = /^request\.namespace\.matches\('(\^\([-a-z0-9.*|]+\)\$)'\) \? (true|false) :$/.exec(line) ?? [];
        if (!['true', 'false'].includes(result)) throw new Error(`this test does not know the expression ${expression}`);
        if (pattern === undefined || new RegExp(pattern).test(namespace)) return result === 'true';
      }
      throw new Error(`the expression ends without a result: ${expression}`);
    });
}

const NOTHING: Selector = { matchExpressions: [] };

/** The paths that the API server would call when a pod, or a workload, is created. */
function matching(all: readonly Entry[], labels: (typeof matrix)[number], namespace: string, resource = 'pods'): string[] {
  const { profile, ...modes } = labels;
  const ofNamespace = new Map(Object.entries(modes).map(([mode, value]) => [`cloister.dev/${mode}`, value]));
  ofNamespace.set('kubernetes.io/metadata.name', namespace);
  const ofPod = new Map([['cloister.dev/profile', profile]]);
  return all
    .filter(({ rules }) => rules.some(({ operations, resources }) => operations.includes('CREATE') && resources.includes(resource)))
    .filter(({ namespaceSelector, objectSelector }) => matches(namespaceSelector, ofNamespace) && matches(objectSelector ?? NOTHING, ofPod))
    .filter((entry) => holds(entry, namespace))
    .map(({ clientConfig }) => clientConfig.service?.path ?? '');
}

/** As in Kubernetes, an absent label matches every `NotIn`. */
function matches({ matchExpressions }: Selector, labels: ReadonlyMap<string, string | undefined>): boolean {
  return matchExpressions.every((each) => {
    const value = labels.get(each.key);
    switch (each.operator) {
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
      case 'In':
        return value !== undefined && each.values.includes(value);
      case 'NotIn':
        return value === undefined || !each.values.includes(value);
      default:
        return each satisfies never;
    }
  });
}

describe('what a configuration changes in every entry', () => {
  const all = (config: Partial<ClusterConfig>): readonly Entry[] =>
    entriesOf({ ...BOTH, ...config }, SERVICE).flatMap(({ webhooks }) => webhooks);

  test('T18: an excluded namespace is left out by its name, and by no other label', () => {
    const excluding = all({ governance: { ...GOVERNANCE, excluded: ['storage-system'] } });
    for (const { name, namespaceSelector } of excluding) {
      expect(namespaceSelector.matchExpressions.at(-1), name).toEqual({
        key: 'kubernetes.io/metadata.name',
        operator: 'NotIn',
        values: ['cloister-system', 'kube-node-lease', 'kube-system', 'storage-system'],
      });
    }
  });

  test('the timeouts are those of the configuration, or else the defaults', () => {
    const secondsOf = (entries: readonly Entry[]) =>
      new Set(
        entries.map(
          ({ clientConfig, timeoutSeconds }) => `${clientConfig.service?.path.split('/').slice(1, 3).join(' ')} ${timeoutSeconds}`,
        ),
      );
    const changed = secondsOf(all({ timeoutSeconds: { mutate: 9, watch: 4 } }));
    for (const each of ['mutate userns 9', 'validate enforce 5', 'validate warn 4', 'advise enforce 4', 'unknown enforce 5'])
      expect(changed).toContain(each);
    expect(secondsOf(all({}))).toContain('mutate userns 3');
  });
});

describe('the address of Cloister', () => {
  const first = (target: Target) => entriesOf(offer('userns'), target)[0].webhooks[0]?.clientConfig;

  test('the address of a Service has port 443 by default', () => {
    const service = { namespace: 'a', name: 'b' };
    expect(first({ service })).toEqual({ service: { ...service, port: 443, path: '/mutate/userns' } });
  });
  test('the address of a URL has the path of the entry', () =>
    expect(first({ url: 'https://a:1' })).toEqual({ url: 'https://a:1/mutate/userns' }));
  test('the caBundle is the CA in base64', () => {
    expect(first({ url: 'https://a:1', ca: 'PEM' })?.caBundle).toBe(Buffer.from('PEM').toString('base64'));
  });
});
