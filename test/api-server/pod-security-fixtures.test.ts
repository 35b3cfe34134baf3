import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { apply } from '../../src/apply-patch.ts';
import { parseConfig } from '../../src/config/load.ts';
import { backends } from '../../src/core/profiles/index.ts';
import { SAFE_SYSCTLS } from '../../src/core/rules/sysctls.ts';
import { makeRespond } from '../../src/webhook/review/respond.ts';
import { moduleFolder } from '../../tools/programs/go.ts';
import { type ApiServer, useApiServer } from '../support/api-server.ts';
import { type Doc, reviewOf } from '../support/hostile-pods.ts';
import { differences, tested } from '../support/kubernetes.ts';
import { list, map } from '../support/oracle.ts';
import type { PodManifest } from '../support/pod-manifests.ts';
import { applyPatch } from '../support/rfc6902.ts';

/**
 * The fixtures of Kubernetes' own Pod Security admission, of the newest supported version and all before it, replayed: pods that break or keep its
 * level baseline, one rule at a time. What Cloister makes of each is judged by the API server's Pod Security, which shares nothing with our rules.
 */

interface Fixture {
  /** `capabilities_baseline2`; fixtures of several versions with the same content are one. */
  readonly name: string;
  readonly pod: PodManifest;
}

const source = await moduleFolder('pod-security', 'k8s.io/pod-security-admission');
const folder = join(source, 'test/testdata/baseline');

function fixtures(kind: 'fail' | 'pass'): readonly Fixture[] {
  const byText = new Map<string, Fixture>();
  for (const version of readdirSync(folder).sort()) {
    for (const file of readdirSync(join(folder, version, kind)).sort()) {
      const text = readFileSync(join(folder, version, kind, file), 'utf8');
      if (!byText.has(text)) byText.set(text, { name: `${version} ${file.replace(/\.yaml$/, '')}`, pod: parse(text) });
    }
  }
  return [...byText.values()];
}

/** Of the version with which a fixture came. */
const minorOf = (name: string): number => Number(/^v1\.(\d+) /.exec(name)?.[1]);

const NAMESPACE = 'pod-security-fixtures';
const profiles = backends.flatMap(({ id }) => ['none', 'sudo'].map((grant) => [`${id}-${grant}`, { extends: id, grant }] as const));
const config = parseConfig(
  stringify({ apiVersion: 'cloister.dev/v1alpha1', kind: 'Config', profiles: Object.fromEntries(profiles) }),
  'config.yaml',
);
if (!config.ok) throw new Error(config.error.join('\n'));
const respond = makeRespond(config.value, { apply, now: () => new Date() });

let apiServer: ApiServer;
beforeAll(async () => {
  apiServer = await useApiServer();
  await apiServer.createNamespace(NAMESPACE, {
    'pod-security.kubernetes.io/enforce': 'baseline',
    'pod-security.kubernetes.io/enforce-version': 'latest',
  });
});

const ask = (path: string, pod: object): Doc =>
  map(map(JSON.parse(respond(path, Buffer.from(JSON.stringify(reviewOf(pod)))).body)).response);

/** @returns the pod that is admitted, or the rules that refuse it */
function outcome(profile: string, pod: object): { readonly admitted: object } | { readonly refused: readonly string[] } {
  const { patch } = ask(`/mutate/${profile}`, pod);
  const operations = patch === undefined ? [] : (JSON.parse(Buffer.from(String(patch), 'base64').toString()) as Doc[]);
  const repaired = applyPatch(pod, operations) as object;
  const { allowed, status } = ask(`/validate/enforce/${profile}`, repaired);
  if (allowed === true) return { admitted: repaired };
  return { refused: [...new Set(list(map(map(status).details).causes).map((each) => String(map(each).reason)))] };
}

async function podSecurity(pod: object): Promise<string | undefined> {
  const { status, body } = await apiServer.admin.request<{ message?: string }>(
    'POST',
    `/api/v1/namespaces/${NAMESPACE}/pods?dryRun=All`,
    pod,
  );
  return status === 201 ? undefined : `${status}: ${body.message}`;
}

/** The fixture with a valid name: its own name is not valid for the API server. */
const sendable = ({ name, pod }: Fixture): PodManifest => ({ ...pod, metadata: { ...pod.metadata, name: name.replaceAll(/[ _.]/g, '-') } });

test.each(fixtures('fail').map((fixture) => [fixture.name, fixture] as const))(
  'R6, T13: a pod that violates baseline is repaired or refused under every profile: %s',
  async (_, fixture) => {
    for (const [profile] of profiles) {
      const came = outcome(profile, sendable(fixture));
      if ('admitted' in came) expect(await podSecurity(came.admitted), profile).toBeUndefined();
    }
  },
);

/** Fixtures for which Cloister is stricter than baseline, each with its reason. */
const STRICTER: Readonly<Record<string, string>> = {
  'v1.0 selinuxoptions1':
    'a level decides which pods a container can access; only a single pair of categories, as OpenShift assigns them, separates pods',
};

describe('R6: what baseline admits is admitted, isolated', () => {
  test.each(fixtures('pass').map((fixture) => [fixture.name, fixture] as const))(
    'the fixture %s is admitted, or refused for a listed reason',
    async (name, fixture) => {
      for (const [profile] of profiles) {
        const came = outcome(profile, sendable(fixture));
        expect('refused' in came ? came.refused[0] : undefined, profile).toBe(name in STRICTER ? 'selinux' : undefined);
        if (!('admitted' in came)) continue;
        const refusal = await podSecurity(came.admitted);
        if (minorOf(name) > tested.minor && refusal !== undefined)
          expect(refusal, 'a setting that is safe in later versions').toContain('forbidden sysctls');
        else expect(refusal, profile).toBeUndefined();
      }
    },
  );

  test('every listed difference exists', () => {
    expect(fixtures('pass').map(({ name }) => name)).toEqual(expect.arrayContaining(Object.keys(STRICTER)));
  });
});

test('R6: at least one fixture exists for each rule of baseline', () => {
  const rules = new Set(fixtures('fail').map(({ name }) => name.replace(/^v\S+ |\d+$/g, '')));
  expect([...rules].sort()).toEqual([
    ...['apparmorprofile', 'capabilities_baseline', 'hostnamespaces', 'hostpathvolumes', 'hostports', 'hostprobesandhostlifecycle'],
    ...['privileged', 'procmount', 'seccompprofile_baseline', 'selinuxoptions', 'sysctls', 'windowshostprocess'],
  ]);
});

test('R6: the API server rejects the unchanged fixtures, so the checks above can fail', async () => {
  const silent = [];
  for (const fixture of fixtures('fail')) if ((await podSecurity(sendable(fixture))) === undefined) silent.push(fixture.name);
  expect(silent).toEqual([
    // Since 1.35 it knows that a user namespace makes an unmasked /proc harmless.
    ...(differences.acceptsUnmaskedProc ? ['v1.0 procmount0', 'v1.0 procmount1'] : []),
    // Annotations, which the API server reads no more.
    ...['v1.0 seccompprofile_baseline0', 'v1.0 seccompprofile_baseline1', 'v1.0 seccompprofile_baseline2'],
    // Since 1.34.
    ...(differences.rejectsProbeHosts ? [] : fixtures('fail').flatMap(({ name }) => (name.includes('hostprobes') ? [name] : []))),
  ]);
});

test('R6: the safe settings, and the version since which each is safe, are those of Pod Security', () => {
  const code = readFileSync(join(source, 'policy/check_sysctls.go'), 'utf8');
  const groups = [...code.matchAll(/sysctlsAllowedV1Dot(\d+) += ([\s\S]*?\n\t\))/g)];
  const found = groups.flatMap(([, minor, text = '']) =>
    [...text.matchAll(/"([a-z0-9_.]+)"/g)].map(([, name = '']) => [name, Number(minor)] as const),
  );
  expect(found.length).toBeGreaterThan(10);
  expect([...SAFE_SYSCTLS].sort()).toEqual(found.sort());
});
