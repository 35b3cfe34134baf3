import { expect, test } from 'vitest';
import { apply } from '../../src/apply-patch.ts';
import { ClusterError } from '../../src/cluster/client.ts';
import type { Reference } from '../../src/cluster/object.ts';
import { parseConfig } from '../../src/config/load.ts';
import { findDropped, findNewProfiles, samplePodsOf } from '../../src/ensure/kept-fields.ts';
import type { SamplePod } from '../../src/ensure/types.ts';
import { entriesOf } from '../../src/manifests/entries.ts';

/** test/api-server/feature-gates.test.ts has API servers that drop the fields. */

const service = { namespace: 'cloister-system', name: 'cloister' };

function configOf(profiles: string) {
  const config = parseConfig(`apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: ${profiles}\n`, 'config.yaml');
  if (!config.ok) throw new Error(config.error.join());
  return config.value;
}

const entriesFor = (profiles: string) => entriesOf(configOf(profiles), { service });

test.each([0, 1] as const)('the new profiles of a configuration are those without an entry so far (%i)', (index) => {
  const written = entriesFor('{userns: {}, namespace: {extends: gvisor}}')[index];
  expect(findNewProfiles(undefined, written)).toEqual(['userns', 'namespace']);
  expect(findNewProfiles({ webhooks: [] }, written)).toEqual(['userns', 'namespace']);
  expect(findNewProfiles(entriesFor('{userns: {}}')[index], written)).toEqual(['namespace']);
  expect(findNewProfiles(written, written)).toEqual([]);
  expect(findNewProfiles(written, entriesFor('{userns: {}}')[index])).toEqual([]);
});

test('the new profiles are found in entries with a URL, too', () => {
  const [mutating] = entriesOf(configOf('{userns: {}}'), { url: 'https://127.0.0.1:8443' });
  expect(findNewProfiles(undefined, mutating)).toEqual(['userns']);
});

test('a sample is a pod as Cloister repairs it, with a container that `grantTo` matches', () => {
  const samples = samplePodsOf(configOf('{userns: {grant: containers, grantTo: [tooling-*]}, gvisor: {}}'), apply, new Date());
  expect(samples).toMatchObject([
    { profile: 'userns', spec: { hostUsers: false, containers: [{ name: 'tooling-x', securityContext: { procMount: 'Unmasked' } }] } },
    { profile: 'gvisor', spec: { runtimeClassName: 'gvisor' } },
  ]);
});

const sample: SamplePod = {
  profile: 'userns',
  spec: {
    hostUsers: false,
    volumes: [{ name: 'a', emptyDir: { sizeLimit: '1024Mi' } }],
    containers: [{ name: 'main', securityContext: { procMount: 'Unmasked' } }],
  },
};

function fieldsOf(answer: (sent: Sent) => object | Promise<object>) {
  return findDropped(sample, service, { tryCreate: async (object) => answer(structuredClone(object) as Sent) }).then((warnings) =>
    warnings.map(({ fields }) => fields),
  );
}

interface Sent extends Reference {
  // biome-ignore lint/suspicious/noExplicitAny: tests change any field
  readonly template: { readonly spec: any };
}

test('nothing is dropped where all fields come back, with defaults and with a quantity in another form', async () => {
  const found = await fieldsOf((sent) => {
    Object.assign(sent.template.spec, { restartPolicy: 'Always' });
    sent.template.spec.volumes[0].emptyDir.sizeLimit = '1Gi';
    return sent;
  });
  expect(found).toEqual([]);
});

test('a dropped field is found with its gate, and one without a known gate too', async () => {
  const found = await fieldsOf((sent) => {
    delete sent.template.spec.hostUsers;
    delete sent.template.spec.volumes[0].emptyDir.sizeLimit;
    sent.template.spec.containers[0].securityContext.procMount = 'Default';
    return sent;
  });
  expect(found.map(({ field, why }) => `${field}: ${why}`)).toEqual([
    'spec.hostUsers: the feature gate UserNamespacesSupport is off (it is on by default since Kubernetes 1.33); every pod of the profile is refused',
    'spec.volumes[0].emptyDir.sizeLimit: another webhook or an older version may be the cause',
    'spec.containers[0].securityContext.procMount: the feature gate ProcMountType is off (it is on by default since Kubernetes 1.33); nested containers fail',
  ]);
});

test('a rejected dry run is a warning with the error, and no failure of the run', async () => {
  const rejected = fieldsOf(() => {
    throw new ClusterError('cannot create PodTemplate', { isRetryable: false, status: 403 });
  });
  expect(await rejected).toEqual([{ profile: 'userns', why: 'cannot create PodTemplate' }]);
  await expect(
    fieldsOf(() => {
      throw new Error('a bug');
    }),
  ).rejects.toThrow('a bug');
});
