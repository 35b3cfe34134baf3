import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import type { LinuxSeccomp } from '../../src/commands/node-profile.ts';
import { type Addition, makeWorkspaceProfile, readAdditions, runtimeDefaults, workspaceProfile } from '../../tools/commands/seccomp.ts';

/** Calls that one architecture has, and the other does not: allowing them there allows nothing. */
const OF_ONE_ARCHITECTURE = {
  amd64: ['arch_prctl', 'modify_ldt'],
  arm64: ['arm_fadvise64_64', 'arm_sync_file_range', 'breakpoint', 'cacheflush', 'set_tls', 'sync_file_range2'],
};

let shipped: LinuxSeccomp;
let amd64: LinuxSeccomp;
let arm64: LinuxSeccomp;
let additions: readonly Addition[];

beforeAll(async () => {
  [amd64, arm64] = (await runtimeDefaults()) as [LinuxSeccomp, LinuxSeccomp];
  shipped = JSON.parse(await readFile(workspaceProfile, 'utf8'));
  additions = await readAdditions();
}, 300_000);

test('the profile is built from containerd’s default and the additions: else run `./dev seccomp`', async () => {
  expect(await readFile(workspaceProfile, 'utf8')).toBe(await makeWorkspaceProfile());
});

describe('the profile consists of the default and the additions only', () => {
  test('the profile denies calls that are not listed, on both architectures', () => {
    expect(shipped.architectures).toEqual([...amd64.architectures, ...arm64.architectures]);
    expect([amd64, arm64].map(({ defaultAction }) => defaultAction)).toEqual(['SCMP_ACT_ERRNO', 'SCMP_ACT_ERRNO']);
    expect(shipped.defaultAction).toBe('SCMP_ACT_ERRNO');
  });

  test('the profile allows every call of the default under the same conditions, and no others of the default', () => {
    const expected = new Map([...conditionsOf(arm64), ...conditionsOf(amd64)]);
    for (const { name } of additions) expected.set(name, ['{"action":"SCMP_ACT_ALLOW"}']);
    expect(conditionsOf(shipped)).toEqual(expected);
  });

  test('the architectures differ only in calls that exist on one of them', () => {
    const [first, second] = [conditionsOf(amd64), conditionsOf(arm64)];
    const missingIn = (other: Conditions, one: Conditions): string[] => [...one.keys()].filter((name) => !other.has(name)).toSorted();
    expect({ amd64: missingIn(second, first), arm64: missingIn(first, second) }).toEqual(OF_ONE_ARCHITECTURE);
    for (const [name, conditions] of first) if (second.has(name)) expect(second.get(name), name).toEqual(conditions);
  });

  test('each addition adds its call once', () => {
    const names = additions.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(conditionsOf(amd64).get(name) ?? [], name).not.toContain('{"action":"SCMP_ACT_ALLOW"}');
  });
});

test('clone3 returns ENOSYS, so that programs fall back to clone, whose flags a filter can see', () => {
  expect(conditionsOf(shipped).get('clone3')).toEqual(['{"action":"SCMP_ACT_ERRNO","errnoRet":38}']);
});

test('each addition has a reason and the error without it', () => {
  expect(additions.length).toBeGreaterThan(0);
  for (const { name, reason, without } of additions) for (const text of [reason, without]) expect(text, name).toMatch(/\w+ \w+/);
});

type Conditions = ReadonlyMap<string, readonly string[]>;

/** By name of the call: what is done, under which conditions. */
function conditionsOf({ syscalls }: LinuxSeccomp): Conditions {
  const found = new Map<string, string[]>();
  for (const { names, ...condition } of syscalls)
    for (const name of names) found.set(name, [...(found.get(name) ?? []), JSON.stringify(condition)]);
  return found;
}
