import { describe, expect, test } from 'vitest';
import { type Manifest, only, rendered } from '../../support/helm.ts';

/** The values that add to the chart's objects, or replace a part of them. */

/** Every image that the manifests name. */
function imagesOf(manifests: readonly Manifest[]): readonly string[] {
  const text = JSON.stringify(manifests);
  return [...new Set([...text.matchAll(/"image":"([^"]+)"/g)].map(([, image = '']) => image))];
}

describe('global.imageRegistry replaces the registry of every image', () => {
  test.each([
    ['cloister', 'mirror.example.com/cloister'],
    ['team/cloister', 'mirror.example.com/team/cloister'],
    ['registry.example.com/team/cloister', 'mirror.example.com/team/cloister'],
    ['localhost/cloister', 'mirror.example.com/cloister'],
    ['registry:5000/cloister', 'mirror.example.com/cloister'],
  ])('%s', async (repository, image) => {
    const manifests = await rendered({ global: { imageRegistry: 'mirror.example.com' }, image: { repository, tag: '1' } });
    expect(imagesOf(manifests)).toEqual([`${image}:1`]);
  });

  test('without it, the repository is used as it is', async () => {
    expect(imagesOf(await rendered({ image: { repository: 'registry.example.com/team/cloister', tag: '1' } }))).toEqual([
      'registry.example.com/team/cloister:1',
    ]);
  });
});

test('volumes, mounts, flags, strategy and history of the values are in the Deployment', async () => {
  const { spec } = only(
    await rendered({
      extraArgs: ['--client-ca=/etc/company/ca.crt'],
      extraVolumes: [{ name: 'trust', configMap: { name: 'company-ca' } }],
      extraVolumeMounts: [{ name: 'trust', mountPath: '/etc/company', readOnly: true }],
      updateStrategy: { type: 'Recreate' },
      revisionHistoryLimit: 0,
    }),
    'Deployment',
  );
  expect(spec).toMatchObject({ strategy: { type: 'Recreate' }, revisionHistoryLimit: 0 });
  expect(spec.strategy).not.toHaveProperty('rollingUpdate');
  expect(spec.template.spec.volumes.map(({ name }: { name: string }) => name)).toEqual(['config', 'tls', 'trust']);
  const [container] = spec.template.spec.containers;
  expect(container.args.at(-1)).toBe('--client-ca=/etc/company/ca.crt');
  expect(container.volumeMounts.at(-1)).toEqual({ name: 'trust', mountPath: '/etc/company', readOnly: true });
});

test('annotations reach every service account, and both webhook configurations beside those of cert-manager', async () => {
  const annotations = { 'example.com/team': 'platform' };
  const manifests = await rendered({
    certificates: { source: 'cert-manager' },
    serviceAccounts: { annotations },
    webhookConfigurations: { annotations },
  });
  const of = (kind: RegExp) => manifests.filter((each) => kind.test(each.kind)).map(({ metadata }) => metadata.annotations);
  expect(of(/^ServiceAccount$/)).toHaveLength(4);
  for (const each of of(/^ServiceAccount$/)) expect(each).toMatchObject(annotations);
  expect(of(/WebhookConfiguration$/)).toEqual(
    Array(2).fill({ ...annotations, 'cert-manager.io/inject-ca-from': 'cloister-system/cloister-tls' }),
  );
});
