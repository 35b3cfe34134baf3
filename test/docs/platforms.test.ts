import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import { userns } from '../../src/core/profiles/userns.ts';
import { pagesIn, readPage } from './page.ts';

const NOW = new Date('2026-11-21T00:00:00Z');

describe.each(pagesIn('platforms'))('the page of %s', (id) => {
  const blocks = [...readPage(`docs/platforms/${id}.md`).sections.values()].flatMap((section) =>
    [...section.matchAll(/```yaml\n(.*?)```/gs)].map(([, block = '']) => block),
  );

  test('the configuration of the page is valid', () => {
    const configs = blocks.filter((block) => block.includes('kind: Config'));
    expect(configs.length).toBeGreaterThan(0);
    for (const config of configs) expect(parseConfig(config, id, { now: NOW })).toMatchObject({ ok: true });
  });

  test('the page states what was not tried, and links to its sources', () => {
    const { sections } = readPage(`docs/platforms/${id}.md`);
    expect(sections.get('Not tried')).toBeTruthy();
    expect(sections.get('Source')).toMatch(/https:\/\//);
  });
});

test('the SCC of the page of OpenShift allows the capabilities and the seccomp profile of the grant', () => {
  const [block = ''] = [...(readPage('docs/platforms/openshift.md').sections.get('Which SCC') ?? '').matchAll(/```yaml\n(.*?)```/gs)].map(
    ([, each]) => each,
  );
  const scc = parse(block) as { readonly allowedCapabilities: readonly string[]; readonly seccompProfiles: readonly string[] };
  const { addedCapabilities, seccompProfile } = userns.makeWorkspaceRequirements('containers', {});
  expect(scc.allowedCapabilities).toEqual(addedCapabilities);
  expect(scc.seccompProfiles).toContain(`localhost/${seccompProfile?.localhostProfile}`);
});
