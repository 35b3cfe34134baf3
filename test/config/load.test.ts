import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { HEAD, parse, rowsOf, type Table } from './samples.ts';

/** Whole files. */
const WRONG_FILES: Table<string> = {
  'an empty file': ['', 'config.yaml is not a map: it must start with apiVersion: cloister.dev/v1alpha1 and a kind'],
  'a list': ['- 1', 'config.yaml is not a map: it must start with apiVersion: cloister.dev/v1alpha1 and a kind'],
  'no version and no kind': [
    'profiles: {}',
    'apiVersion: is missing: it must be cloister.dev/v1alpha1',
    'kind: is missing: it must be Config',
  ],
  'another version': ['apiVersion: v2\nkind: Config', 'apiVersion: must be cloister.dev/v1alpha1'],
  'another kind': ['apiVersion: cloister.dev/v1alpha1\nkind: Pod', 'kind: must be Config'],
  'a key twice': [`${HEAD}profiles:\n  userns: {}\n  userns: {}`, 'config.yaml:5:3: this key is written a second time: keep one'],
  'a key twice, at the top': [`${HEAD}kind: Config`, 'config.yaml:3:1: this key is written a second time: keep one'],
  'broken YAML': [
    `${HEAD}profiles: [`,
    'config.yaml:3:12: Flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
  'two documents': [`${HEAD}---\n${HEAD}`, 'config.yaml:3:1: a second document starts here: a file holds one configuration'],
  'an alias without an anchor': [`${HEAD}profiles: *gone`, 'config.yaml: Unresolved alias (the anchor must be set before the alias): gone'],
  'an unknown tag': [`${HEAD}profiles: !secret {}`, 'config.yaml:3:11: Unresolved tag: !secret'],
};

/** Top levels, without version and kind. */
const WRONG_TOPS: Table<string> = {
  'a key at the top that is unknown': [
    'profile: {}',
    'profile: is unknown (did you mean profiles?): the keys known here are apiVersion, kind, profiles, governs, default, exemptions, excludedNamespaces, timeoutSeconds, guard and backstop',
  ],
  'profiles without anything': [
    'profiles:',
    'profiles: must be a map of profiles by name; without `profiles`, userns is the only profile; with {}, there is no profile',
  ],
  'profiles as a list': [
    'profiles: [userns]',
    'profiles: must be a map of profiles by name; without `profiles`, userns is the only profile; with {}, there is no profile',
  ],
  'exemptions as a map': ['exemptions: {}', 'exemptions: must be a list of exemptions'],
};

describe('F13: a problem says where it is, what it is, and what to do', () => {
  test.each(rowsOf(WRONG_FILES))('the file is %s', (_, text, problems) => expect(parse(text)).toEqual({ ok: false, error: problems }));
  test.each(rowsOf(WRONG_TOPS))('the file has %s', (_, text, problems) =>
    expect(parse(HEAD + text)).toEqual({ ok: false, error: problems }),
  );

  test('a file with several problems is rejected with all of them', () => {
    const text = `apiVersion: v1\nkind: Config\nprofiles:\n  userns: {grant: root, grnt: x}\n  team: {}\nexemptions: [{}]\ncolor: red`;
    const result = parse(text);
    expect(result.ok ? [] : result.error.map((each) => each.split(': ', 2).join(' '))).toEqual([
      'config.yaml apiVersion',
      'config.yaml color',
      'config.yaml profiles.userns.grant',
      'config.yaml profiles.userns.grnt',
      'config.yaml profiles.team',
      'config.yaml exemptions[0].reason',
      'config.yaml exemptions[0].expires',
      'config.yaml exemptions[0].namespaces',
      'config.yaml exemptions[0].serviceAccounts',
      'config.yaml exemptions[0].allow',
    ]);
  });
});

describe('loading a file', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cloister-config-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const load = async (name: string) => {
    const result = await loadConfig(join(folder, name));
    return result.ok ? [] : result.error.map((each) => each.replace(folder, ''));
  };

  test('F14: a file that does not exist is reported with its name', async () =>
    expect(await load('none.yaml')).toEqual(['/none.yaml cannot be read: there is no such file or folder; check the name']));
  test('a folder is rejected', async () => expect(await load('.')).toEqual([' cannot be read: it is a folder; name a file in it']));
  test('a file in another encoding than UTF-8 is rejected', async () => {
    await writeFile(join(folder, 'latin.yaml'), Buffer.from([0x61, 0xe4]));
    expect(await load('latin.yaml')).toEqual(['/latin.yaml is not UTF-8 text: save it as UTF-8']);
  });
  test('a YAML problem carries the name of the file', async () => {
    await writeFile(join(folder, 'twice.yaml'), 'kind: a\nkind: b\n');
    expect(await load('twice.yaml')).toEqual(['/twice.yaml:2:1: this key is written a second time: keep one']);
  });
});
