import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { governedBy } from '../../src/core/governance.ts';
import { judge } from '../../src/core/judge.ts';
import { userns } from '../../src/core/profiles/userns.ts';
import type { Finding } from '../../src/core/rules/rule.ts';
import { pagesIn, readPage, root, sectionOf } from '../docs/page.ts';
import {
  blocksOf,
  checkOf,
  configOf,
  configText,
  containerOf,
  judgedUnder,
  lacks,
  objectsOf,
  outcomeOf,
  PLATFORMS,
  podOf,
  podSpecOf,
  presetText,
  ROWS,
  type Row,
  rowsOfPlatform,
  titleOf,
  valuesOf,
} from './platforms.ts';

/** The pages of platforms: their pods, their configuration and their tables. `UPDATE_GOLDEN=1` writes the tables into the pages. */

const updates = process.env.UPDATE_GOLDEN === '1';
const SECTIONS = [
  'Set up',
  'The pod',
  'How the pod gets its profile',
  'Configuration',
  'What Cloister does',
  'Traps',
  'Not tried',
  'Source',
];
const pageOf = (id: string) => `docs/platforms/${id}.md`;

test('each platform has a page, a preset and pods, and there are no others', () => {
  const ids = PLATFORMS.map(({ id }) => id);
  const filesIn = (folder: string): string[] => readdirSync(join(root, folder)).toSorted();
  expect(pagesIn('platforms').toSorted()).toEqual([...ids, 'other'].toSorted());
  expect(filesIn('charts/cloister/presets')).toEqual(ids.map((id) => `${id}.yaml`).toSorted());
  expect(filesIn('examples/platforms')).toEqual(PLATFORMS.flatMap(({ pods }) => pods.map(({ file }) => file)).toSorted());
});

test('the index of the documentation and the README link to every page', () => {
  for (const id of pagesIn('platforms')) {
    expect(readPage('docs/README.md').text).toContain(`](platforms/${id}.md)`);
    expect(readPage('README.md').text).toContain(`](docs/platforms/${id}.md)`);
  }
});

describe.each(PLATFORMS)('the page of $id', (platform) => {
  const { id, pods } = platform;
  const page = readPage(pageOf(id));

  test('the page has all sections in their order, and none is empty', () => {
    expect([...page.sections.keys()].filter((name) => SECTIONS.includes(name))).toEqual(SECTIONS);
    for (const [name, section] of page.sections) expect(section, name).not.toBe('');
  });

  test('the page shows the preset, word for word, and installs it by its name', () => {
    expect(sectionOf(page, 'Configuration')).toContain(`\`\`\`yaml\n${presetText(id)}\`\`\``);
    expect(sectionOf(page, 'Set up')).toContain(`--values charts/cloister/presets/${id}.yaml`);
  });

  test('the commands that check a workspace find the pods of the page and their workspace container', () => {
    const { selector, container, script } = checkOf(id);
    for (const { file, workspace, isRefused } of pods) {
      if (isRefused) continue;
      const [key = '', value] = selector?.split('=') ?? [];
      expect(labelsOf(podOf(file))).toHaveProperty([key], value ?? expect.any(String));
      expect(container).toBe(workspace);
    }
    // The engine of ARC is that of the job.
    if (id !== 'arc') expect(script).toBe('sudo -n id -u && podman info --format "{{.Store.GraphDriverName}}"');
  });

  test('the page links to each pod', () => {
    for (const { file } of pods) expect(page.text).toContain(`](../../examples/platforms/${file})`);
  });

  test('the table shows the findings of each pod under each profile', () => {
    const table = tableOf(rowsOfPlatform(platform));
    if (updates)
      writeFileSync(
        join(root, pageOf(id)),
        page.text.replace(TABLE, () => `${HEAD}${table}`),
      );
    else expect(TABLE.exec(page.text)?.[0]).toBe(`${HEAD}${table}`);
  });
});

const HEAD = `| pod | profile | verdict | repaired | granted | left as it is | Pod Security |
|---|---|---|---|---|---|---|
`;
const TABLE = /(?<=<!-- outcomes: written by the test of this page with UPDATE_GOLDEN=1 -->\n)[\s\S]*?(?=<!-- end of outcomes -->)/;

/** The findings of the pod as a whole come first, and then those of each container. */
function tableOf(rows: readonly Row[]): string {
  return rows
    .map((row) => {
      const { verdict, repair } = outcomeOf(row);
      const cell = (isIn: (finding: Finding) => boolean): string => {
        const byContainer = Map.groupBy(verdict.findings.filter(isIn), ({ container }) => container);
        const groups = [...byContainer].toSorted(([a], [b]) => Number(a !== undefined) - Number(b !== undefined));
        const printed = groups.map(([container, found]) => {
          const names = [...new Set(found.map(({ rule }) => rule))].join(', ');
          return container === undefined ? names : `\`${container}\`: ${names}`;
        });
        return printed.join('; ') || 'none';
      };
      const cells = [
        `${row.pod.file}${row.exempts ? ', with the exemption' : ''}`,
        row.backend,
        repair.unresolved.length > 0 ? 'refused' : repair.patch.length > 0 ? 'repairable' : 'clean',
        cell(({ kind, fix }) => kind === 'escape' && fix !== undefined),
        cell(({ kind, fix }) => kind === 'promise' && fix !== undefined),
        cell(({ fix }) => fix === undefined),
        row.level ?? 'none',
      ];
      return `| ${cells.join(' | ')} |\n`;
    })
    .join('');
}

function labelsOf(pod: object): Readonly<Record<string, string>> {
  interface Labelled {
    readonly metadata?: { readonly labels?: Readonly<Record<string, string>> };
  }
  const { metadata, spec } = pod as Labelled & { readonly spec: { readonly template?: Labelled } };
  return (spec.template?.metadata ?? metadata)?.labels ?? {};
}

const titled = (rows: readonly Row[]) => rows.map((row) => [titleOf(row), row] as const);
const isRefused = ({ pod }: Row): boolean => pod.isRefused === true;

test.each(titled(ROWS.filter(isRefused)))('%s: the pod is refused', (_, row) => {
  expect(outcomeOf(row).repair.unresolved).not.toEqual([]);
});

describe.each(titled(ROWS.filter((row) => !isRefused(row))))('%s', (_, row) => {
  const { pod, backend } = row;
  const { input, repair } = outcomeOf(row);

  test('the repaired pod is clean, and a second repair changes nothing', () => {
    expect(repair.unresolved).toEqual([]);
    const again = judge({ ...input, subject: repair.subject }).findings;
    expect(again.filter(({ kind, fix }) => kind === 'escape' || fix !== undefined)).toEqual([]);
  });

  test('the workspace container holds the grant, and no container holds privileged', () => {
    const spec = podSpecOf(repair.subject.document);
    expect(lacks(containerOf(spec, pod.workspace), backend)).toEqual([]);
    for (const each of [...(spec.initContainers ?? []), ...spec.containers]) expect(each.securityContext?.privileged ?? false).toBe(false);
  });
});

const needs = ROWS.flatMap((row) => (row.pod.needs ?? []).map((need) => [titleOf(row), row, need] as const));

test.each(needs)('%s: what must start has what it needs exactly with the exemption', (_, row, { container, capability }) => {
  const { verdict, repair } = outcomeOf(row);
  const { capabilities } = containerOf(podSpecOf(repair.subject.document), container).securityContext ?? {};
  expect(capabilities?.add?.includes(capability) ?? false).toBe(row.exempts);
  const lost = verdict.findings.filter((each) => each.rule === 'capabilities' && each.container === container);
  expect(lost.map(({ message }) => message)).toEqual(
    row.exempts ? [] : [expect.stringMatching(`${capability}.*this init container will probably fail without it`)],
  );
});

describe('the blocks of YAML on the pages', () => {
  const ids = pagesIn('platforms');
  const valuesIn = (id: string) =>
    objectsOf(id).filter((object) => ['profiles', 'governs', 'exemptions'].some((key) => Object.hasOwn(object, key)));

  test.each(ids)('the blocks of %s are YAML, and name no unknown profile or label', (id) => {
    const blocks = blocksOf(id);
    expect(blocks.length).toBeGreaterThan(0);
    expect(blocks.flatMap((block) => parseAllDocuments(block).flatMap(({ errors }) => errors))).toEqual([]);
    const known = valuesIn(id).flatMap(({ profiles = {} }) => Object.keys(profiles as object));
    for (const [, label, value = ''] of blocks.join('').matchAll(/cloister\.dev\/([a-z-]+)"?[:=] *"?([a-z-]+)/g)) {
      expect(['profile', 'grant', 'enforce', 'warn', 'audit']).toContain(label);
      expect(known).toContain(value);
    }
  });

  test.each(ids)('the values of the chart on %s are a valid configuration', (id) => {
    const found = valuesIn(id);
    expect(found.length).toBeGreaterThan(0);
    const preset = PLATFORMS.some((platform) => platform.id === id) ? (parse(presetText(id)) as object) : {};
    for (const values of found) expect(configOf(configText({ ...preset, ...values })).profiles.size).toBeGreaterThan(0);
  });
});

describe('the traps', () => {
  const findingsWith = (file: string, profiles: object, profile = 'userns') =>
    judgedUnder(configOf(configText({ profiles })), profile, podOf(file)).verdict.findings;

  test.each([
    ['gitlab', 'gitlab.yaml', 'tooling-*', 'development-environment'],
    ['che', 'che.yaml', 'notebook', 'tools, che-gateway'],
    ['coder', 'coder.yaml', 'workspace', 'dev'],
    ['arc', 'arc-regular-dind.yaml', 'main', 'runner, dind'],
  ])('%s: a name in grantTo that the pod does not have is reported with the names that it has', (_, file, grantTo, names) => {
    const findings = findingsWith(file, { userns: { grant: 'containers', grantTo: [grantTo] } });
    expect(findings.filter(({ rule }) => rule === 'workspace-container').map(({ message }) => message)).toEqual([
      `grantTo (${grantTo}) matches no container (${names}), so the grant has no effect`,
    ]);
  });

  test('arc: a daemon that grantTo does not name gets no grant, and the finding says so', () => {
    const messages = findingsWith('arc.yaml', { sysbox: { grant: 'containers', grantTo: ['runner'] } }, 'sysbox');
    expect(messages.filter(({ rule, container }) => rule === 'rootful-engine' && container === 'dind')).toHaveLength(1);
  });

  test.each([true, false])('gitlab: hostUsers becomes false where the agent writes %s', (hostUsers) => {
    const platform = PLATFORMS[0];
    const pod = podOf('gitlab.yaml');
    if (platform === undefined) throw new Error('there is no platform');
    Object.assign(podSpecOf(pod), { hostUsers });
    const { repair } = judgedUnder(configOf(configText(valuesOf(platform))), 'userns', pod);
    expect(repair.unresolved).toEqual([]);
    expect(podSpecOf(repair.subject.document).hostUsers).toBe(false);
  });

  test('gitlab: without grantTo the workspace stays without the grant, and the finding says so', () => {
    const findings = findingsWith('gitlab.yaml', { userns: { grant: 'containers' } });
    const left = findings.filter(({ kind, fix }) => kind === 'promise' && fix === undefined);
    expect(left.map(({ rule, container }) => `${rule} ${container}`)).toContain('privilege-escalation development-environment');
  });

  test('che: the pattern for the namespaces of users matches that of Che, which the preset only audits', () => {
    const { governance } = configOf(configText(parse(presetText('che'))));
    expect(governedBy('eclipse-che', governance)?.profiles).toEqual({ audit: 'userns' });
    expect(governedBy('alice-che', governance)?.profiles).toEqual({ enforce: 'userns' });
    // What Che makes of alice@example.com.
    expect(governedBy('alice-example-com-che-x1y2z3', governance)?.profiles).toEqual({ enforce: 'userns' });
    expect(governedBy('eclipse-che', { ...governance, byName: governance.byName.slice(1) })?.profiles).toEqual({ enforce: 'userns' });
  });

  test('che: the component of a workspace without a devfile holds the grant', () => {
    const pod = podOf('che.yaml');
    const name = 'universal-developer-image';
    Object.assign(containerOf(podSpecOf(pod), 'tools'), { name });
    const { repair } = judgedUnder(configOf(configText(parse(presetText('che')))), 'userns', pod);
    expect(lacks(containerOf(podSpecOf(repair.subject.document), name), 'userns')).toEqual([]);
  });

  test('openshift: the namespaces of users are enforced, and that of Dev Spaces, whose name matches too, is only audited', () => {
    const [values = {}] = objectsOf('openshift').filter((object) => Object.hasOwn(object, 'governs'));
    const { governance } = configOf(configText({ ...(parse(presetText('openshift')) as object), ...values }));
    expect(governedBy('openshift-devspaces', governance)?.profiles).toEqual({ audit: 'userns' });
    expect(governedBy('alice-devspaces', governance)?.profiles).toEqual({ enforce: 'userns' });
  });

  test('other: the values for several platforms have what the presets have', () => {
    const [values = {}] = objectsOf('other').filter((object) => Object.hasOwn(object, 'governs'));
    const { profiles, governance } = configOf(configText(values));
    for (const { id, pods } of PLATFORMS.filter(({ id: each }) => profiles.has(each))) {
      for (const { file } of pods) {
        const backend = id === 'arc' ? 'sysbox' : 'userns';
        const under = (text: string, profile: string) =>
          podSpecOf(judgedUnder(configOf(text), profile, podOf(file)).repair.subject.document);
        const [own, preset] = [under(configText(values), id), under(presetConfig(id), backend)];
        expect(own, file).toEqual(preset);
      }
      for (const { namespaces, ...modes } of (parse(presetText(id)) as Preset).governs ?? []) {
        const name = namespaces[0]?.replaceAll('*', 'x') ?? '';
        expect(governedBy(name, governance)?.profiles, name).toEqual(Object.fromEntries(Object.keys(modes).map((mode) => [mode, id])));
      }
    }
    expect([...profiles.keys()]).toEqual(['userns', 'gitlab', 'che', 'jupyterhub', 'arc']);
  });

  test('coder: a template with FUSE as a resource is refused, and let through by the option of the page', () => {
    const withFuse = () => {
      const pod = podOf('coder.yaml');
      const dev = containerOf(podSpecOf(pod), 'dev') as unknown as { resources: { limits: Record<string, string> } };
      dev.resources.limits['smarter-devices/fuse'] = '1';
      return pod;
    };
    const [option = ''] = blocksOf('coder').filter((block) => block.includes('smarter-devices/fuse'));
    const refused = judgedUnder(configOf(configText(parse(presetText('coder')))), 'userns', withFuse());
    expect(refused.repair.unresolved.map(({ rule }) => rule)).toEqual(['extended-resources']);
    expect(judgedUnder(configOf(configText(parse(option))), 'userns', withFuse()).repair.unresolved).toEqual([]);
  });
});

interface Preset {
  readonly governs?: readonly { readonly namespaces: readonly string[]; readonly [mode: string]: unknown }[];
}

const presetConfig = (id: string): string => configText(parse(presetText(id)));

test('the SCC of the page of OpenShift gives pods the ids of the workspace image, and allows no id that a pod does not have', () => {
  const [scc] = objectsOf('openshift').filter(({ kind }) => kind === 'SecurityContextConstraints') as readonly {
    readonly [strategy: string]: { readonly uidRangeMin?: number; readonly uidRangeMax?: number; readonly ranges?: readonly object[] };
  }[];
  // OpenShift writes the first id of a range where the pod names none.
  const [min, max] = [1000, 65_534];
  expect(scc?.runAsUser).toEqual({ type: 'MustRunAsRange', uidRangeMin: min, uidRangeMax: max });
  for (const strategy of ['fsGroup', 'supplementalGroups']) expect(scc?.[strategy]).toEqual({ type: 'MustRunAs', ranges: [{ min, max }] });
  expect(readFileSync(join(root, 'examples/workspace-image/Containerfile'), 'utf8')).toContain(`USER ${min}:${min}\n`);
});

test('the SCC of the page of OpenShift allows the capabilities and the seccomp profile of the grant', () => {
  const [block = ''] = blocksOf('openshift').filter((each) => each.includes('SecurityContextConstraints'));
  const scc = parse(block) as { readonly allowedCapabilities: readonly string[]; readonly seccompProfiles: readonly string[] };
  const { addedCapabilities, seccompProfile } = userns.makeWorkspaceRequirements('containers', {});
  expect(scc.allowedCapabilities).toEqual(addedCapabilities);
  expect(scc.seccompProfiles).toContain(`localhost/${seccompProfile?.localhostProfile}`);
});
