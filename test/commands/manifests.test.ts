import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { createAuthority } from '../support/openssl.ts';
import { printManifests } from '../support/print-manifests.ts';

const SERVICE = ['--service', 'cloister/cloister'];
const NOT_A_SERVICE = "option '--service <namespace/name[:port]>' argument";
const NOT_A_URL = "option '--url <https://host:port>' argument";

let folder: string;
let ca: { readonly certFile: string; readonly keyFile: string };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-manifests-'));
  ca = await createAuthority(folder);
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, content: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

const titles = (yaml: string) => parseAllDocuments(yaml).map((each) => `${each.get('kind')} ${each.getIn(['metadata', 'name'])}`);
const policyWithBindings = (name: string, suffixes: readonly string[]): readonly string[] => [
  `ValidatingAdmissionPolicy ${name}`,
  ...suffixes.map((suffix) => `ValidatingAdmissionPolicyBinding ${name}${suffix}`),
];

describe('prints one YAML stream', () => {
  test('manifests prints webhook configurations, policies with their bindings, and the roles', async () => {
    const { code, stdout, stderr } = await printManifests(SERVICE);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(titles(stdout)).toEqual([
      'MutatingWebhookConfiguration zz-cloister',
      'ValidatingWebhookConfiguration cloister',
      ...policyWithBindings('cloister-namespace-labels', ['']),
      ...policyWithBindings('cloister-namespace-advice', ['']),
      ...policyWithBindings('cloister-pods', ['']),
      ...policyWithBindings('cloister-guard', ['']),
      'ValidatingAdmissionPolicy cloister-missing-policy',
      ...policyWithBindings('cloister-profile-userns', ['-namespace', '-unlabelled']),
      ...policyWithBindings('cloister-unknown-profile', ['-namespace', '-pod']),
      'ValidatingAdmissionPolicyBinding cloister-missing-policy-userns-namespace',
      'ValidatingAdmissionPolicyBinding cloister-missing-policy-userns-opted-in',
      'ValidatingAdmissionPolicyBinding cloister-missing-policy',
      'ClusterRole cloister-labeler',
      'ClusterRole cloister-manager',
    ]);
    for (const each of parseAllDocuments(stdout)) {
      expect(each.getIn(['metadata', 'labels'])).toMatchObject({ items: expect.arrayContaining([expect.anything()]) });
      expect(each.getIn(['metadata', 'labels', 'app.kubernetes.io/name'])).toBe('cloister');
      // Helm's own: another value would make `helm upgrade` conflict with `ensure`.
      expect(each.hasIn(['metadata', 'labels', 'app.kubernetes.io/managed-by'])).toBe(false);
    }
  });

  test('manifests prints the entries of the configured profiles', async () => {
    const config = await file('gvisor.yaml', 'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {gvisor: {}}\n');
    const { stdout } = await printManifests(['--config', config, ...SERVICE]);
    expect(stdout).toContain('path: /mutate/gvisor\n');
    expect(stdout).not.toContain('userns');
  });

  test('variables set the same as flags', async () => {
    const flags = await printManifests(['--url', 'https://192.0.2.1:8443', '--ca-file', ca.certFile]);
    const variables = await printManifests([], { CLOISTER_URL: 'https://192.0.2.1:8443', CLOISTER_CA_FILE: ca.certFile });
    expect(flags.code).toBe(0);
    expect(variables).toEqual(flags);
  });

  test('manifests warns about expired exemptions', async () => {
    const exemption = "{reason: mesh, expires: 2020-01-01, namespaces: ['*'], serviceAccounts: ['*'], allow: {capabilities: [NET_RAW]}}";
    const config = await file('expired.yaml', `apiVersion: cloister.dev/v1alpha1\nkind: Config\nexemptions: [${exemption}]\n`);
    const { code, stderr } = await printManifests(['--config', config, ...SERVICE]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^warning: exemptions\[0\]: expired at 2020-01-02T00:00:00.000Z/);
  });
});

describe('unusable input', () => {
  const refused: Readonly<Record<string, readonly [args: readonly string[], error: string]>> = {
    'no address': [[], 'name the address at which the API server calls Cloister with --service or --url'],
    'two addresses': [[...SERVICE, '--url', 'https://a'], "option '--url <https://host:port>' cannot be used with option '--service"],
    '--rbac without a Service': [['--rbac'], '--rbac needs --service'],
    'a Service without its namespace': [
      ['--service', 'cloister'],
      `${NOT_A_SERVICE} 'cloister' is invalid. It must be NAMESPACE/NAME or NAMESPACE/NAME:PORT`,
    ],
    'a Service at port 0': [['--service', 'a/b:0'], `${NOT_A_SERVICE} 'a/b:0' is invalid. It must be NAMESPACE/NAME`],
    'a Service at port 65536': [['--service', 'a/b:65536'], `${NOT_A_SERVICE} 'a/b:65536' is invalid. It must be NAMESPACE/NAME`],
    'a URL in clear': [['--url', 'http://a'], `${NOT_A_URL} 'http://a' is invalid. It must be https://HOST:PORT without a path`],
    'a URL with a path': [['--url', 'https://a/b'], `${NOT_A_URL} 'https://a/b' is invalid. It must be https://HOST:PORT without a path`],
    'a URL with a user': [['--url', 'https://u@a'], `${NOT_A_URL} 'https://u@a' is invalid. It must be https://HOST:PORT without a path`],
    'a URL with a query': [['--url', 'https://a?b'], `${NOT_A_URL} 'https://a?b' is invalid. It must be https://HOST:PORT without a path`],
    'a text that is not a URL': [['--url', 'a:8443'], `${NOT_A_URL} 'a:8443' is invalid. It must be https://HOST:PORT without a path`],
    'a missing configuration': [
      [...SERVICE, '--config', '/nowhere'],
      '/nowhere cannot be read: there is no such file or folder; check the name',
    ],
    'a missing CA': [
      [...SERVICE, '--ca-file', '/nowhere'],
      '--ca-file /nowhere cannot be read: there is no such file or folder; check the name',
    ],
  };
  test.each(Object.entries(refused))('manifests exits with 2 for %s', async (_, [args, error]) => {
    const { code, stdout, stderr } = await printManifests(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`error: ${error}`);
  });

  test('manifests reports all problems of a configuration', async () => {
    const config = await file(
      'wrong.yaml',
      'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {userns: {grant: x, nesting: y}}\n',
    );
    const { code, stderr } = await printManifests(['--config', config, ...SERVICE]);
    expect(code).toBe(2);
    expect(stderr.trim().split('\n')).toEqual([
      `error: ${config}: profiles.userns.grant: must be one of none, sudo, containers`,
      `error: ${config}: profiles.userns.nesting: must be one of seccomp, sysadmin`,
    ]);
  });

  test('manifests rejects a CA file without a certificate, with a broken one, and with a key', async () => {
    const empty = await file('empty.pem', '');
    const broken = await file('broken.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    for (const path of [empty, broken]) {
      expect((await printManifests([...SERVICE, '--ca-file', path])).stderr).toContain(`--ca-file ${path} must have certificates in PEM`);
    }
    const { code, stderr } = await printManifests([...SERVICE, '--ca-file', ca.keyFile]);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: `error: --ca-file ${ca.keyFile} has a private key: name a file with certificates only\n`,
    });
  });
});
