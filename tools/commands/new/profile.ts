import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Scaffold } from '../new.ts';

/** A profile whose wall is a RuntimeClass. Its grants write what those of every profile write, and nothing for nested containers. */
export function newProfile(id: string): Scaffold {
  const constant = id.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
  const summary = `The pod runs on ${id}.`;
  const requirement = `${id} with a RuntimeClass for its handler`;
  return {
    files: {
      [`src/core/profiles/${id}.ts`]: profileText(id, constant, summary, requirement),
      [`docs/profiles/${id}.md`]: pageText(id, summary, requirement),
    },
    insertions: [
      { file: 'src/core/profiles/index.ts', text: `import { ${constant} } from './${id}.ts';\n`, before: /^import type \{ Backend \}/m },
      { file: 'src/core/profiles/index.ts', text: `, ${constant}`, before: /(?<=backends: readonly Backend\[\] = \[[^\]]*)\];/m },
      { file: 'docs/README.md', text: `| [${id}](profiles/${id}.md) | ${summary} |\n`, before: /(?<=\| \[gvisor\].*\n)/m },
    ],
    remains: [
      `src/core/profiles/${id}.ts: say what isolates the pod, what nodes need, and what \`containers\` takes`,
      `docs/profiles/${id}.md: the same, and what was tried and what was not; the tests print what its tables must hold`,
      'test/support/oracle.ts: say what the wall and the grants of the profile are, if the oracle is to judge its pods',
      "README.md: the profile's row in the table of profiles",
      'CHANGELOG.md: say that there is one profile more',
      './dev format && ./dev update && ./dev test:unit test/contract test/config test/docs test/webhook/review/decisions',
    ],
  };
}

function profileText(id: string, constant: string, summary: string, requirement: string): string {
  return `import { type Backend, wallOf } from './profile.ts';

/**
 * What isolates the pod.
 * Source: the runtime's documentation
 */
export const ${constant}: Backend = {
  id: '${id}',
  summary: '${summary}',
  requires: ['${requirement}'],
  options: [],
  makeWall: (options) => wallOf(options, { runtimeClassName: '${id}' }),
  makePodRequirements: () => ({}),
  makeWorkspaceRequirements: () => ({}),
};
`;
}

function pageText(id: string, summary: string, requirement: string): string {
  return `# ${id}

${summary}

## The wall

| Field | Value |
|---|---|
| \`hostUsers\` | absent |
| \`runtimeClassName\` | \`${id}\` |

## What it needs

- ${requirement}

## What each grant writes

| In workspace containers | \`none\` | \`sudo\` | \`containers\` |
|---|---|---|---|
| \`allowPrivilegeEscalation\` | \`false\` | \`true\` | \`true\` |
| \`capabilities.drop\` | as it is | as it is | as it is |
| \`capabilities.add\` | as it is | as it is | as it is |
| other capabilities it may hold | the 13 | the 13 | the 13 |
| \`seccompProfile\` | \`RuntimeDefault\` | \`RuntimeDefault\` | \`RuntimeDefault\` |
| \`procMount\` | absent | absent | absent |
| emptyDirs | none | none | none |
| environment | as it is | as it is | as it is |

The 13 are the capabilities of Pod Security baseline.

Profile \`${id}\`, grant \`containers\`:

\`\`\`yaml
${POD}  containers:
  - name: workspace
    image: registry.example.com/workspace:1
\`\`\`

After:

\`\`\`yaml
${POD}  runtimeClassName: ${id}
  securityContext: {seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: workspace
    image: registry.example.com/workspace:1
    securityContext: {allowPrivilegeEscalation: true}
\`\`\`

## Options

${optionsTable(id)}
## What works inside

Not tried.

## What remains

- **Everything depends on the class**, as under [kata-qemu](kata-qemu.md#what-remains).

## Source

- The runtime's documentation
`;
}

const POD = `apiVersion: v1
kind: Pod
metadata:
  name: workspace
spec:
`;

/** The table of the common options, from the page of a profile that has no others. */
function optionsTable(id: string): string {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/profiles/gvisor.md'), 'utf8');
  const table = /(?<=^## Options\n\n)(?:\|.*\n)+/m.exec(page)?.[0];
  if (table === undefined) throw new Error('docs/profiles/gvisor.md has no table of options: adapt tools/commands/new/profile.ts');
  return `${table.replaceAll('`gvisor`', `\`${id}\``).replace(/(?<=^\| `storage` \| )[^|]*/m, '`[]` ')}\n`;
}
