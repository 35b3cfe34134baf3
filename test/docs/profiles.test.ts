import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { backends } from '../../src/core/profiles/index.ts';
import { type Backend, COMMON_OPTIONS, makeProfile, type ProfileOptions } from '../../src/core/profiles/profile.ts';
import { BASELINE_CAPABILITIES, GRANTS, type ProfileRequirements } from '../../src/core/requirements.ts';
import { claimedBy, examplesOf, optionsOf, outcomeOf, pagesIn, readPage, rowsOf, sectionOf } from './page.ts';

const SECTIONS = ['The wall', 'What it needs', 'What each grant writes', 'Options', 'What works inside', 'What remains', 'Source'];

test('each backend has a page, and each page a backend', () => {
  expect(pagesIn('profiles').toSorted(), 'write docs/profiles/<id>.md for each profile').toEqual(backends.map(({ id }) => id).toSorted());
});

test('the index lists the backends in order, each with its summary', () => {
  const listed = rowsOf(sectionOf(readPage('docs/README.md'), 'Profiles'));
  expect(listed, 'list the profiles under "Profiles" of docs/README.md, in the order of src/core/profiles/index.ts').toEqual(
    backends.map(({ id, summary }) => [`[${id}](profiles/${id}.md)`, summary]),
  );
});

test('T35: the profile page of Sysbox and the threat model list the node settings that Sysbox writes, each with its scope', () => {
  const { text } = readPage('docs/profiles/sysbox.md');
  const table = text.slice(text.indexOf('### The settings of the node'), text.indexOf('## Source'));
  const rows = rowsOf(table);
  expect(rows.map(([setting]) => setting)).toEqual([
    '`fs.file-max`',
    '`fs.nr_open`',
    '`net.core.somaxconn`',
    '`net.netfilter.nf_conntrack_tcp_timeout_established`',
    '`net.unix.max_dgram_qlen`',
  ]);
  for (const [, seen, reaches] of rows) {
    expect(seen).toMatch(/^\d+, then \d+$/);
    expect(reaches).toMatch(/^the (whole machine|network namespace of the node): /);
  }
  const threat = /^\| T35 .*$/m.exec(readPage('docs/threat-model.md').text)?.[0] ?? '';
  for (const [setting = ''] of rows) expect(threat).toContain(setting);
});

describe.each(backends)('the page of $id', (backend) => {
  const page = readPage(`docs/profiles/${backend.id}.md`);

  test('the page has the name and the summary of the backend', () => {
    expect(page).toMatchObject({ title: backend.id, lead: backend.summary });
  });

  test('the page has all sections, and none is empty', () => {
    expect([...page.sections.keys()]).toEqual(SECTIONS);
    for (const section of page.sections.values()) expect(section).not.toBe('');
  });

  test('the page shows the wall that the code builds', () => {
    expect(rowsOf(sectionOf(page, 'The wall'))).toEqual(wallRows(backend));
  });

  test('the page lists the requirements of the backend, word for word', () => {
    const needs = sectionOf(page, 'What it needs').replaceAll(/\n {2}/g, ' ');
    for (const need of backend.requires) expect(needs).toContain(need);
  });

  test('the page shows what each grant writes, as in the requirements of the profile', () => {
    const rows = rowsOf(sectionOf(page, 'What each grant writes'));
    expect(rows).toEqual(grantRows(backend));
  });

  test('the page shows the result for a minimal pod under the highest grant', () => {
    const examples = examplesOf(sectionOf(page, 'What each grant writes'));
    expect(examples.map(({ profile, grant, outcome }) => ({ profile, grant, outcome }))).toContainEqual({
      profile: backend.id,
      grant: 'containers',
      outcome: 'After',
    });
    for (const example of examples) expect(outcomeOf(example)).toEqual(claimedBy(example));
  });

  test('the page lists exactly the options of the backend', () => {
    const listed = rowsOf(sectionOf(page, 'Options')).map(([option]) => option);
    expect(listed.toSorted()).toEqual([...COMMON_OPTIONS, ...backend.options].map((option) => `\`${option}\``).toSorted());
  });

  test('the listed defaults are those of the code', () => {
    const unset = makeProfile(backend.id, backend, {});
    for (const [option = '', written = ''] of rowsOf(sectionOf(page, 'Options'))) {
      if (written === 'unset') continue;
      const name = option.replaceAll('`', '');
      const profile = makeProfile(backend.id, backend, optionsOf({ [name]: parse(written.replaceAll('`', '')) }) as ProfileOptions);
      expect({ option, offered: offeredBy(profile) }).toEqual({ option, offered: offeredBy(unset) });
    }
  });
});

const offeredBy = ({ grant, mayChoose, requirementsFor }: ReturnType<typeof makeProfile>) => ({
  grant,
  mayChoose,
  requirements: GRANTS.map(requirementsFor),
});

function wallRows(backend: Backend): string[][] {
  const { hostUsers, runtimeClassName } = backend.makeWall({});
  return [
    ['`hostUsers`', hostUsers === false ? '`false`' : 'absent'],
    ['`runtimeClassName`', runtimeClassName === undefined ? 'absent' : `\`${runtimeClassName}\``],
  ];
}

/** Rows: what is written; columns: none, sudo, containers. */
function grantRows(backend: Backend): string[][] {
  const profile = makeProfile(backend.id, backend, {});
  const requirements = GRANTS.map(profile.requirementsFor);
  const row = (name: string, cell: (of: ProfileRequirements) => string): string[] => [name, ...requirements.map(cell)];
  return [
    row('`allowPrivilegeEscalation`', ({ workspace }) => `\`${workspace.allowPrivilegeEscalation}\``),
    row('`capabilities.drop`', ({ workspace }) => (workspace.mustDropAll || workspace.addedCapabilities ? '`ALL`' : 'as it is')),
    row('`capabilities.add`', ({ workspace }) => printed(workspace.addedCapabilities ?? []) || 'as it is'),
    row('other capabilities it may hold', ({ workspace: { allowedCapabilities, addedCapabilities = [] } }) => {
      return printed([...allowedCapabilities].filter((capability) => !addedCapabilities.includes(capability))) || 'none';
    }),
    row(
      '`seccompProfile`',
      ({ workspace: { seccompProfile } }) => `\`${seccompProfile?.type ?? 'RuntimeDefault'}\`${local(seccompProfile)}`,
    ),
    row('`procMount`', ({ workspace }) => (workspace.unmasksProc ? '`Unmasked`' : 'absent')),
    row('emptyDirs', ({ workspace: { storage, storageMedium } }) => {
      const paths = storage.map((path) => `\`${path}\``).join(', ');
      return paths === '' ? 'none' : paths + (storageMedium === undefined ? '' : `, of medium \`${storageMedium}\` with a \`sizeLimit\``);
    }),
    row('environment', ({ workspace, isSysbox }) => (isSysbox ? `\`SYSBOX_SYSCONT_MODE=${workspace.sysboxMode}\`` : 'as it is')),
  ];
}

const local = (profile: { readonly localhostProfile?: string | null } | undefined): string =>
  profile?.localhostProfile == null ? '' : ` \`${profile.localhostProfile}\``;

/** Pod Security baseline's capabilities are `the 13` where they stand together; the pages say which they are. */
function printed(capabilities: readonly string[]): string {
  const baseline: readonly string[] = BASELINE_CAPABILITIES;
  if (!baseline.every((capability) => capabilities.includes(capability))) return capabilities.join(', ');
  return ['the 13', ...capabilities.filter((capability) => !baseline.includes(capability))].join(', ');
}
