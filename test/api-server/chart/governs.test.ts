import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../../../src/config/load.ts';
import { policiesBesideWebhook } from '../../../src/in-tree/beside.ts';
import { CHART, NAMESPACE, only, rendered } from '../../support/helm.ts';

/** The chart renders the policies from its values, and `cloister ensure` from the configuration file: neither may change what the other wrote. */

const VALUES: Readonly<Record<string, object>> = {
  'no profile': { profiles: { userns: null } },
  'profiles that pods may choose': {
    profiles: {
      userns: { mayChoose: ['gvisor'] },
      gvisor: {},
      heir: { extends: 'userns' },
      stricter: { extends: 'userns', mayChoose: [] },
      outsider: { extends: 'gvisor' },
    },
    governs: [{ namespaces: ['ws-*'], enforce: 'stricter' }],
    default: { enforce: 'heir', except: ['monitoring'] },
  },
  'no policies of the profiles': { backstop: { enabled: false } },
  'an enforcing default': { default: { enforce: 'userns' } },
  'a default that only warns': { default: { warn: 'userns', except: ['monitoring'] } },
  'excluded namespaces': {
    excludedNamespaces: ['storage-system', 'kube-system', 'nodes'],
    default: { enforce: 'userns' },
    nodeProfile: { enabled: true, namespace: 'nodes' },
    timeoutSeconds: { watch: 3 },
  },
  'elements that only audit': { governs: [{ namespaces: ['true', '*-true*'], audit: 'userns' }] },
  'elements with one that enforces': {
    governs: [
      { namespaces: ['lab'], warn: 'userns' },
      { namespaces: ['a*b*', 'c'], enforce: 'userns' },
    ],
  },
  ...Object.fromEntries(
    [join(import.meta.dirname, 'values'), join(CHART, 'presets')].flatMap((folder) =>
      readdirSync(folder).map((file) => [relative(CHART, join(folder, file)), parse(readFileSync(join(folder, file), 'utf8')) as object]),
    ),
  ),
};

/** By title, because Helm sorts objects by kind. */
const specsOf = (manifests: readonly { readonly kind: string; readonly metadata: { readonly name: string }; readonly spec?: unknown }[]) =>
  Object.fromEntries(
    manifests
      .filter(({ kind }) => kind.startsWith('ValidatingAdmissionPolicy'))
      .map(({ kind, metadata, spec }) => [`${kind} ${metadata.name}`, spec]),
  );

/** Only `ensure` can render the policies of the profiles. */
const isOfChart = ({ kind, metadata: { name } }: { readonly kind: string; readonly metadata: { readonly name: string } }): boolean =>
  kind === 'ValidatingAdmissionPolicyBinding' || !/^cloister-(profile-|unknown-profile)/.test(name);

describe('the policies of the chart', () => {
  test.each(Object.entries(VALUES))('T75, T76: the policies are those that ensure writes with %s', async (_, values) => {
    const manifests = await rendered(values);
    const config = parseConfig(only(manifests, 'ConfigMap', 'cloister-config').data['config.yaml'], 'config.yaml');
    if (!config.ok) throw new Error(config.error.join('\n'));
    const wanted = policiesBesideWebhook(config.value, { service: { namespace: NAMESPACE, name: 'cloister' } }).filter(isOfChart);
    expect(specsOf(manifests)).toEqual(specsOf(wanted));
  });
});
