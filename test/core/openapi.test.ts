import { describe, expect, test } from 'vitest';
import { judge } from '../../src/core/judge.ts';
import { SUPPORTED_VERSIONS } from '../../src/core/kubernetes.ts';
import { rules } from '../../src/core/rules/index.ts';
import { CONTAINER_FIELDS, CONTAINER_SPEC_FIELDS, MOUNT_FIELDS, POD_FIELDS, SPEC_FIELDS } from '../../src/core/rules/unknown-fields.ts';
import { UNJUDGED_FIELDS } from '../../src/core/unjudged-fields.ts';
import type { Schemas } from '../../tools/commands/openapi.ts';
import { POD_VERSIONS, podPaths, podSchemas } from '../support/openapi.ts';
import { inputOf } from '../support/test-rule.ts';

const documents = POD_VERSIONS.map((version) => podSchemas(version));

/** A rule names the fields of all three container lists as those of `spec.containers[*]`. */
const fieldsOf = (schemas: Schemas): readonly string[] =>
  ['spec', ...podPaths(schemas)].map((path) => path.replace(/^spec\.(init|ephemeral)Containers\b/, 'spec.containers'));
const published = new Set(documents.flatMap(fieldsOf));

/** Fields without fields of their own. */
function leavesOf(paths: Iterable<string>): readonly string[] {
  const all = new Set(paths);
  const inner = new Set([...all].flatMap((path) => [path.replace(/(\[\*\]|\.[^.[]+|\.\*)$/, '')]));
  return [...all].filter((path) => !inner.has(path));
}

/** Rules that judge no published field: one writes promises, one limits the size of the pod, one finds unknown fields. */
const NOT_JUDGING = ['image-storage', 'pod-size', 'unknown-fields'];
const named = rules.flatMap(({ id, fields }) => fields.filter((field) => field.startsWith('spec.')).map((field) => ({ id, field })));
const judged = named.filter(({ id }) => !NOT_JUDGING.includes(id)).map(({ field }) => field);
const harmless = UNJUDGED_FIELDS.map(({ path }) => path);

/**
 * Rules name some objects with all of their fields. These are the fields that the objects have: a further one is not judged with its object, before
 * a person has read the rule.
 */
const SELECTOR = ['matchExpressions[*].key', 'matchExpressions[*].operator', 'matchExpressions[*].values[*]', 'matchLabels.*'];
const SELINUX = ['level', 'role', 'type', 'user'];
const PROFILE = ['localhostProfile', 'type'];
const WINDOWS = ['gmsaCredentialSpec', 'gmsaCredentialSpecName', 'hostProcess', 'runAsUserName'];
const REQUIREMENT = ['key', 'operator', 'values[*]'];
const REQUIRED_NODES = 'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[*]';
const PREFERRED_NODES = 'spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[*].preference';
const OBJECTS: Readonly<Record<string, readonly string[]>> = {
  'spec.securityContext.seccompProfile': PROFILE,
  'spec.containers[*].securityContext.seccompProfile': PROFILE,
  'spec.securityContext.appArmorProfile': PROFILE,
  'spec.containers[*].securityContext.appArmorProfile': PROFILE,
  'spec.securityContext.seLinuxOptions': SELINUX,
  'spec.containers[*].securityContext.seLinuxOptions': SELINUX,
  'spec.securityContext.windowsOptions': WINDOWS,
  'spec.containers[*].securityContext.windowsOptions': WINDOWS,
  'spec.containers[*].env[*]': ['name'],
  'spec.containers[*].volumeDevices[*]': ['devicePath', 'name'],
  'spec.resourceClaims[*]': ['name', 'resourceClaimName', 'resourceClaimTemplateName'],
  'spec.evictionResponders[*]': ['name', 'priority'],
  'spec.tolerations[*]': ['effect', 'key', 'operator', 'tolerationSeconds', 'value'],
  [`${REQUIRED_NODES}.matchExpressions[*]`]: REQUIREMENT,
  [`${REQUIRED_NODES}.matchFields[*]`]: REQUIREMENT,
  [`${PREFERRED_NODES}.matchExpressions[*]`]: REQUIREMENT,
  [`${PREFERRED_NODES}.matchFields[*]`]: REQUIREMENT,
  'spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[*].namespaceSelector': SELECTOR,
};

/** The kinds of volumes that are refused as a whole, with their fields. The fields of all other kinds must be judged or listed. */
const REFUSED_VOLUMES: Readonly<Record<string, string>> = {
  awsElasticBlockStore: 'fsType partition readOnly volumeID',
  azureDisk: 'cachingMode diskName diskURI fsType kind readOnly',
  azureFile: 'readOnly secretName shareName',
  cephfs: 'monitors[*] path readOnly secretFile secretRef.name user',
  cinder: 'fsType readOnly secretRef.name volumeID',
  fc: 'fsType lun readOnly targetWWNs[*] wwids[*]',
  flexVolume: 'driver fsType options.* readOnly secretRef.name',
  flocker: 'datasetName datasetUUID',
  gcePersistentDisk: 'fsType partition pdName readOnly',
  gitRepo: 'directory repository revision',
  glusterfs: 'endpoints path readOnly',
  hostPath: 'path type',
  iscsi: 'chapAuthDiscovery chapAuthSession fsType initiatorName iqn iscsiInterface lun portals[*] readOnly secretRef.name targetPortal',
  nfs: 'path readOnly server',
  photonPersistentDisk: 'fsType pdID',
  portworxVolume: 'fsType readOnly volumeID',
  quobyte: 'group readOnly registry tenant user volume',
  rbd: 'fsType image keyring monitors[*] pool readOnly secretRef.name user',
  scaleIO: 'fsType gateway protectionDomain readOnly secretRef.name sslEnabled storageMode storagePool system volumeName',
  storageos: 'fsType readOnly secretRef.name volumeName volumeNamespace',
  vsphereVolume: 'fsType storagePolicyID storagePolicyName volumePath',
};

const answered: ReadonlySet<string> = new Set([
  ...judged.flatMap((field) => [field, `${field}[*]`, `${field}.*`]),
  ...Object.entries(OBJECTS).flatMap(([field, leaves]) => (judged.includes(field) ? leaves.map((leaf) => `${field}.${leaf}`) : [])),
  ...Object.entries(REFUSED_VOLUMES).flatMap(([kind, leaves]) => leaves.split(' ').map((leaf) => `spec.volumes[*].${kind}.${leaf}`)),
  'spec.volumes[*].name',
  'spec.volumes[*].csi.driver',
  ...harmless,
]);

/** The fields that no rule judges and that are not listed. A field below another needs an answer of its own. */
const unanswered = (paths: Iterable<string>): readonly string[] => leavesOf(paths).filter((path) => !answered.has(path));

test('T12, T13: every field of a pod is judged by a rule, or listed as unjudged with a reason', () => {
  expect(
    unanswered(published),
    'name the field in the `fields` of the rule that judges it, or list it with a reason in src/core/unjudged-fields.ts',
  ).toEqual([]);
});

test('there is a document for each supported version of Kubernetes', () => {
  expect(POD_VERSIONS.map((version) => version.replace(/\.\d+$/, '')).sort()).toEqual(SUPPORTED_VERSIONS);
});

describe('T12: a field that a later Kubernetes adds is missing an answer', () => {
  const newest = documents.at(-1) ?? {};
  const withAdded = (name: string): readonly string[] =>
    fieldsOf({ ...newest, [name]: { ...newest[name], addedLater: { type: 'string' } } });
  const isAdded = (path: string): boolean => path.endsWith('.addedLater');
  /** The rest is reachable from a Pod, and not from its spec, or is a single value. */
  const objects = Object.keys(newest).filter((name) => Object.keys(newest[name] ?? {}).length > 0 && withAdded(name).some(isAdded));

  test('in every object of a spec', () => {
    expect(objects.length).toBeGreaterThan(90);
    expect(objects).toContain('io.k8s.api.core.v1.PodSpec');
  });

  test.each(objects)('in %s', (name) => {
    const fields = withAdded(name);
    expect(unanswered([...published, ...fields]).filter(isAdded)).toEqual([...new Set(fields.filter(isAdded))]);
  });
});

test('the list of unjudged fields names existing fields without fields of their own, each once', () => {
  const leaves = leavesOf(published);
  expect(harmless.filter((path) => !leaves.includes(path))).toEqual([]);
  expect(new Set(harmless).size).toBe(harmless.length);
});

test('no field is both judged and listed as unjudged', () => {
  const both = judged.filter((field) => harmless.includes(field));
  expect(both, 'remove from src/core/unjudged-fields.ts what a rule judges').toEqual([]);
});

test('the reason of each unjudged field is a sentence', () => {
  for (const { path, reason } of UNJUDGED_FIELDS) expect(reason, path).toMatch(/^[A-Z`].{20,}\.$/);
});

test('every field that a rule names exists', () => {
  const known = named.filter(({ field }) => published.has(field) || (field.endsWith('.*') && published.has(field.slice(0, -2))));
  const unknown = named.filter((each) => !known.includes(each));
  expect(unknown, 'correct the `fields` of the rule: the API server has no such field').toEqual([]);
});

test('T12: the volumes that are refused as a whole are those of the rule volume-types', () => {
  const kinds = [...published].flatMap((path) => /^spec\.volumes\[\*\]\.(\w+)$/.exec(path)?.[1] ?? []);
  const volumes = kinds.map((kind) => (kind === 'name' ? { name: 'x' } : { name: kind, [kind]: {} }));
  const found = judge(inputOf({ volumes })).findings.filter(({ rule }) => rule === 'volume-types');
  expect(found.map(({ path }) => path.at(-1)).sort()).toEqual(expect.arrayContaining(Object.keys(REFUSED_VOLUMES).sort()));
});

test('T12: the rule unknown-fields knows exactly the fields of the API servers', () => {
  const keysOf = (...kinds: string[]) =>
    [
      ...new Set(documents.flatMap((schemas) => kinds.flatMap((kind) => Object.keys(schemas[`io.k8s.api.core.v1.${kind}`] ?? {})))),
    ].toSorted();
  expect([...CONTAINER_FIELDS].toSorted()).toEqual(keysOf('SecurityContext'));
  expect([...POD_FIELDS].toSorted()).toEqual(keysOf('PodSecurityContext'));
  expect([...SPEC_FIELDS].toSorted()).toEqual(keysOf('PodSpec'));
  expect([...CONTAINER_SPEC_FIELDS].toSorted()).toEqual(keysOf('Container', 'EphemeralContainer'));
  expect([...MOUNT_FIELDS].toSorted()).toEqual(keysOf('VolumeMount'));
});

test('the OpenAPI documents are complete', () => {
  expect(leavesOf(published).length).toBeGreaterThan(500);
  for (const path of ['spec.hostUsers', 'spec.containers[*].securityContext.procMount', 'spec.containers[*].targetContainerName'])
    expect(published).toContain(path);
});
