import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { backends } from '../../src/core/profiles/index.ts';
import { rules } from '../../src/core/rules/index.ts';
import { newProfile } from './new/profile.ts';
import { newRule } from './new/rule.ts';
import { answerHelp } from './shared/arguments.ts';

/**
 * `./dev new rule <id> <field>` and `./dev new profile <id>`: write the files of a rule or profile, so that the tests pass before the first edit, and
 * print the steps that remain.
 */

const USAGE = `usage: ./dev new rule <id> <field>    a rule that removes a boolean field of the pod's spec or of its containers:
                                       ./dev new rule shared-processes spec.shareProcessNamespace
                                       ./dev new rule terminals 'spec.containers[*].tty'
       ./dev new profile <id>          a profile whose wall is the RuntimeClass of that name`;

const ID = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const root = join(import.meta.dirname, '../..');

export interface Scaffold {
  /** New files, by path. */
  readonly files: Readonly<Record<string, string>>;
  /** Changes of existing files. */
  readonly insertions: readonly Insertion[];
  /** The steps that remain for the author. */
  readonly remains: readonly string[];
}

export interface Insertion {
  readonly file: string;
  readonly text: string;
  /** The text goes in front of the first match. */
  readonly before: RegExp;
}

answerHelp(USAGE);
const [what, id = '', field] = process.argv.slice(2);
if (what !== 'rule' && what !== 'profile') fail(USAGE);
if (!ID.test(id)) fail(`"${id}" is not an id: use lower-case words joined by dashes\n${USAGE}`);
const taken = [...rules, ...backends].some((each) => each.id === id);
if (taken) fail(`"${id}" exists: choose another id`);
const scaffold = what === 'rule' ? newRule(id, field) : newProfile(id);
if (scaffold === undefined) fail(`"${field ?? ''}" is not a field such as spec.hostPID or spec.containers[*].tty\n${USAGE}`);
await write(scaffold);

async function write({ files, insertions, remains }: Scaffold): Promise<void> {
  // Every change is computed before the first is written, so that a failure leaves nothing half done.
  const changed = new Map<string, string>();
  for (const { file, text, before } of insertions) {
    const current = changed.get(file) ?? (await readFile(join(root, file), 'utf8'));
    const at = current.search(before);
    if (at === -1) fail(`${file} has no line that matches ${before} for the insertion: adapt tools/commands/new`);
    changed.set(file, current.slice(0, at) + text + current.slice(at));
  }
  for (const [file, text] of Object.entries(files)) await writeFile(join(root, file), text, { flag: 'wx' });
  for (const [file, text] of changed) await writeFile(join(root, file), text);
  const list = (entries: Iterable<string>): string => [...entries].map((entry) => `  ${entry}\n`).join('');
  process.stdout.write(`written:\n${list(Object.keys(files))}changed:\n${list(changed.keys())}remains:\n${list(remains)}`);
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}
