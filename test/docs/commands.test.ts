import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { root } from './page.ts';

/** The commands on the pages, as a reader copies them into a shell whose current namespace is another one, more than once. */

const PAGES = ['README.md', 'charts/cloister/README.md', ...globSync('docs/**/*.md', { cwd: root, exclude: ['docs/adr/**'] })];

/** In code blocks and in sentences. A line that is continued is one command. */
function commandsIn(text: string): readonly string[] {
  const blocks = [...text.matchAll(/^```(?:sh|console)\n([\s\S]*?)^```/gm)].map(([, block = '']) => block);
  const lines = blocks.flatMap((block) => block.replaceAll('\\\n', ' ').split('\n')).map((line) => line.replace(/^\$ /, ''));
  const inline = [...text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`]+)`/g)].map(([, code = '']) => code.replaceAll('\n', ' '));
  return [...lines, ...inline];
}

/** Of a release, or of an object that the chart puts into its namespace. The bindings of policies have none. */
const IN_THE_NAMESPACE =
  /^helm (?:install|upgrade|rollback|test|uninstall|history|status|get values) cloister\b|^kubectl .*(?:\b(?:daemonset|deployment|job|cronjob|service)\/cloister\b|app\.kubernetes\.io\/component=(?!backstop\b))/;

function withoutNamespace(commands: readonly string[]): readonly string[] {
  return commands.filter((command) => IN_THE_NAMESPACE.test(command) && !/ (?:-n|--namespace)[ =]/.test(command));
}

/** An object whose name is fixed can be created once. */
function createdOnce(commands: readonly string[]): readonly string[] {
  return commands.filter((command) => /\bcreate job (?!"[^"]*\$\()/.test(command));
}

test.each(PAGES)('the commands of %s name the namespace of the release, and create no Job twice', (page) => {
  const commands = commandsIn(readFileSync(join(root, page), 'utf8'));
  expect(withoutNamespace(commands)).toEqual([]);
  expect(createdOnce(commands)).toEqual([]);
});

describe('the search', () => {
  test('finds commands in code blocks and in sentences', () => {
    expect(commandsIn('Run `helm test\ncloister`, then:\n\n```sh\nkubectl get \\\n  pods\n```\n')).toEqual([
      'kubectl get    pods',
      '',
      'helm test cloister',
    ]);
  });

  test.each([
    ['helm rollback cloister', 1],
    ['helm rollback cloister --namespace cloister-system', 0],
    ['kubectl rollout restart daemonset/cloister-node-profile', 1],
    ['kubectl -n cloister-system rollout restart daemonset/cloister-node-profile', 0],
    ['kubectl logs --selector app.kubernetes.io/component=ensure', 1],
    ['kubectl get validatingadmissionpolicybinding --selector app.kubernetes.io/component=backstop', 0],
    ['helm install --wait', 0],
  ])('judges `%s`', (command, problems) => expect(withoutNamespace([command])).toHaveLength(problems));

  test.each([
    ['kubectl -n a create job by-hand --from=cronjob/b', 1],
    ['kubectl -n a create job "by-hand-$(date +%s)" --from=cronjob/b', 0],
  ])('judges `%s`', (command, problems) => expect(createdOnce([command])).toHaveLength(problems));
});
