import { readFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { type Governance, governsAny } from '../core/governance.ts';
import { printConfigured } from '../core/policy.ts';
import { backendById, backends } from '../core/profiles/index.ts';
import type { Profile } from '../core/profiles/profile.ts';
import { GRANTS } from '../core/requirements.ts';
import { ruleById, rules } from '../core/rules/index.ts';
import type { Rule } from '../core/rules/rule.ts';
import { unknownFields } from '../core/rules/unknown-fields.ts';
import { UNJUDGED_FIELDS } from '../core/unjudged-fields.ts';
import { didYouMean } from '../did-you-mean.ts';
import { checkById, checks } from '../doctor/checks/index.ts';
import { ruleCelOf } from '../in-tree/rule-cel.ts';
import { type ProfileFlags, selectProfiles } from '../judging/settings.ts';
import { wallCheckById, wallChecks } from '../live/checks/index.ts';
import { fail } from './shared/fail.ts';
import { addHelp, terminalWidth } from './shared/help.ts';
import { addConfigurationFlags, type ConfigurationFlags } from './shared/manifest-flags.ts';
import { configurationOf, type FoundConfiguration } from './shared/policy-settings.ts';
import { printRuleCel } from './shared/print-rule-cel.ts';
import { printPage } from './shared/terminal-page.ts';

/** `cloister explain`: the page of a rule, a profile or a check of a cluster, or the rules that judge a field. */
export const command: Command = new Command('explain')
  .description(
    'Prints the page of a rule or a profile: what it requires of a pod, why, and how to meet it; or the page of a check of `cloister scan` or ' +
      '`cloister doctor`. For a field of a pod, prints the rules that judge it, or why no rule does. Without an argument, lists the rules, the profiles ' +
      'and the checks, and the namespaces that the configuration governs by name.',
  )
  .argument('[name]', 'id of a rule, a profile or a check, or a field such as spec.hostAliases')
  .option(
    '--cel',
    'print how the policies of the API server express the rule in CEL: what they refuse, and what the policies of `cloister manifests --in-tree` change',
  )
  .option(
    '--profile <id>',
    'with --cel: profile whose policies are printed, a profile of the configuration or, without a configuration, any built-in profile; default: the only configured profile',
  )
  .addOption(new Option('--grant <grant>', 'with --cel: grant of the profile, instead of its own').choices(GRANTS))
  .action(run);

addConfigurationFlags(command);

addHelp(command, {
  exitStatus: { 0: 'success', 2: 'there is no such rule, profile, check or field, or the flags or the configuration cannot be used' },
  examples: [
    'cloister explain',
    'cloister explain volume-types',
    'cloister explain userns-unsupported',
    'cloister explain spec.hostAliases',
    'cloister explain volume-types --cel',
    'cloister explain capabilities --cel --profile userns --grant containers',
    'cloister explain kata-team-a --config config.yaml',
    'cloister explain --from-cluster',
  ],
});

const checkIds: readonly string[] = [...wallCheckById.keys(), ...checkById.keys()];

interface Flags extends ConfigurationFlags, ProfileFlags {
  readonly cel?: boolean;
}

async function run(name: string | undefined, flags: Flags, self: Command): Promise<void> {
  const unused = flags.cel ? [] : (['profile', 'grant'] as const).filter((flag) => flags[flag] !== undefined);
  if (unused.length > 0) {
    return fail(
      self,
      unused.map((flag) => `--${flag} has no effect without --cel`),
    );
  }
  const now = new Date();
  const found = await configurationOf(flags, now);
  if (!found.ok) return fail(self, found.error);
  if (flags.cel) return void process.stdout.write(explainCel(ruleNamed(name, found.value, self), found.value, { flags, now, self }));
  const { config, isDefault } = found.value;
  // Without a configuration, list the pages of all backends, not only the page of the default profile.
  const profiles = isDefault ? new Map<string, Profile>() : config.profiles;
  if (name === undefined) process.stdout.write(printList(profiles, config.governance));
  else process.stdout.write(isField(name) ? explainField(name, self) : await readPages(name, profiles, self));
}

const isField = (name: string): boolean => /^(?:spec|metadata)\b|[.[]/.test(name);

/** The rule whose CEL is asked for. */
function ruleNamed(name: string | undefined, { config }: FoundConfiguration, self: Command): Rule {
  const rule = ruleById.get(name ?? '');
  if (rule !== undefined) return rule;
  if (name === undefined) return fail(self, ['--cel needs the name of a rule: `cloister explain` lists them']);
  if (isField(name)) {
    return fail(self, [
      `--cel needs the name of a rule, and ${name} is a field: \`cloister explain ${name}\` lists the rules that judge it`,
    ]);
  }
  if (config.profiles.has(name) || backendById.has(name)) {
    return fail(self, [`--cel needs the name of a rule, and ${name} is a profile: name the rule, and the profile with --profile ${name}`]);
  }
  if (checkIds.includes(name)) return fail(self, [`--cel needs the name of a rule, and ${name} is a check, which no policy contains`]);
  return fail(self, [`there is no rule "${name}"${didYouMean(name, ruleById.keys())}: \`cloister explain\` lists them`]);
}

function explainCel(
  rule: Rule,
  found: FoundConfiguration,
  { flags, now, self }: { readonly flags: ProfileFlags; readonly now: Date; readonly self: Command },
): string {
  const selected = selectProfiles(found, flags);
  if (!selected.ok) return fail(self, selected.error);
  const { profiles, profile: named } = selected.value;
  const [only, ...others] = profiles.values();
  const profile = named ?? (others.length === 0 ? only : undefined);
  const { config, origin } = found;
  if (profile === undefined) return fail(self, [`--cel needs --profile: in ${origin}, ${printConfigured(profiles)}`]);
  const cel = ruleCelOf(rule, profile, { ...config, profiles }, now);
  return printRuleCel(cel, { rule, profile, origin, width: terminalWidth() });
}

function printList(profiles: ReadonlyMap<string, Profile>, governance: Governance): string {
  const width = Math.max(...[...ruleById.keys(), ...backendById.keys(), ...checkIds, ...profiles.keys()].map((id) => id.length));
  const lines = (entries: readonly (readonly [id: string, text: string])[]): string =>
    entries.map(([id, text]) => `  ${id.padEnd(width)}  ${text}\n`).join('');
  const own = [...profiles.values()].filter(({ id }) => !backendById.has(id));
  return [
    'Rules:\n',
    lines(rules.map(({ id, summary }) => [id, summary])),
    '\nProfiles:\n',
    lines(backends.map(({ id, summary }) => [id, summary])),
    '\nChecks of `cloister scan`:\n',
    lines(wallChecks.map(({ id, summary }) => [id, summary])),
    '\nChecks of `cloister doctor`:\n',
    lines(checks.map(({ id, summary }) => [id, summary])),
    own.length === 0 ? '' : `\nProfiles of this configuration:\n${lines(own.map((each) => [each.id, describeProfile(each)]))}`,
    printGovernance(governance),
    printExcluded(governance),
    '\n`cloister explain <name>` prints the page of one; `cloister explain <field>` lists the rules of a field.\n',
  ].join('');
}

/** Where no namespace is governed by name: nothing. */
function printGovernance(governance: Governance): string {
  if (!governsAny(governance)) return '';
  const elements = [...governance.byName, { namespaces: ['every other namespace'], profiles: governance.otherwise }];
  const lines = elements.map(({ namespaces, profiles }) => {
    const modes = Object.entries(profiles).map(([mode, profile]) => `${mode} ${profile}`);
    return `  ${namespaces.join(', ')}: ${modes.length === 0 ? 'not governed' : modes.join(', ')}\n`;
  });
  return `\nNamespaces without a label of Cloister, by their names; the first line that matches counts:\n${lines.join('')}`;
}

function printExcluded({ excluded = [] }: Governance): string {
  return excluded.length === 0 ? '' : `\nNamespaces that nothing governs, not even a label: ${excluded.join(', ')}\n`;
}

async function readPages(name: string, profiles: ReadonlyMap<string, Profile>, self: Command): Promise<string> {
  if (ruleById.has(name)) return readPage('rules', name);
  if (checkIds.includes(name) && !profiles.has(name)) return readPage('checks', name);
  const profile = profiles.get(name);
  const backend = profile?.backend.id ?? (backendById.has(name) ? name : undefined);
  if (backend === undefined) {
    const guess = didYouMean(name, [...ruleById.keys(), ...backendById.keys(), ...checkIds, ...profiles.keys()]);
    const remedy = guess === '' ? `; ${remedyForField(name)}` : '';
    return fail(self, [`there is no rule, profile or check "${name}"${guess}: \`cloister explain\` lists them${remedy}`]);
  }
  const head = profile === undefined ? '' : `In this configuration, ${name} ${describeProfile(profile)}\n\n`;
  return head + (await readPage('profiles', backend));
}

/** For the last name of a field without its path, and for all other names that are neither a rule nor a profile. */
function remedyForField(name: string): string {
  const field = KNOWN_FIELDS.find((each) => each.endsWith(`.${name}`));
  return field === undefined
    ? 'write a field with its full path, such as spec.hostUsers'
    : `for the field, use \`cloister explain ${field}\``;
}

function describeProfile({ id, backend, grant, mayChoose, requirementsFor }: Profile): string {
  const { wall } = requirementsFor(grant);
  const others = [...mayChoose].filter((each) => each !== id); // an inherited list may have the profile itself
  const parts = [
    ...(id === backend.id ? [] : [`extends ${backend.id}`]),
    `grants ${grant}`,
    ...(wall.runtimeClassName === undefined ? [] : [`runs on runtime class ${wall.runtimeClassName}`]),
    ...(others.length === 0 ? [] : [`lets pods choose ${others.join(' or ')}`]),
  ];
  return `${parts.join(', ')}.`;
}

/** The path is the same from src/commands and from dist/commands. */
async function readPage(folder: 'rules' | 'profiles' | 'checks', id: string): Promise<string> {
  return printPage(await readFile(new URL(`../../docs/${folder}/${id}.md`, import.meta.url), 'utf8'), terminalWidth());
}

const JUDGED_FIELDS: readonly string[] = rules.filter(({ id }) => id !== unknownFields.id).flatMap(({ fields }) => fields);

/** Fields that a rule or the list of unjudged fields names, and those around the latter in which no rule judges any. `unknown-fields` names every other one. */
const KNOWN_FIELDS: readonly string[] = [
  ...new Set([...JUDGED_FIELDS, ...UNJUDGED_FIELDS.flatMap(({ path }) => [...fieldsAround(path).filter(isUnjudged), path])]),
];

/** @returns for `spec.hostAliases[*].ip`: `spec.hostAliases` */
function fieldsAround(path: string): string[] {
  const names = path.split('.');
  return names
    .map((_, index) =>
      names
        .slice(0, index)
        .join('.')
        .replace(/\[\*\]$/, ''),
    )
    .filter((field) => field.includes('.'));
}

function isUnjudged(field: string): boolean {
  return !JUDGED_FIELDS.some((each) => isWithin(each, field));
}

/** The rules that judge a field or the fields in it, and why no rule judges the others. */
function explainField(written: string, self: Command): string {
  const field = normalize(written);
  const harmless = UNJUDGED_FIELDS.find(({ path }) => isWithin(field, path));
  if (harmless !== undefined) return noRuleJudges(field, harmless.reason);
  const unjudged = Map.groupBy(
    UNJUDGED_FIELDS.filter(({ path }) => isWithin(path, field)),
    ({ reason }) => reason,
  );
  const inside = rules.filter(({ fields }) => fields.some((each) => isWithin(each, field)));
  const [onlyReason, ...otherReasons] = inside.length === 0 ? unjudged.keys() : [];
  if (onlyReason !== undefined && otherReasons.length === 0) return noRuleJudges(field, onlyReason);
  const judging = inside.length > 0 || unjudged.size > 0 ? inside : nearestAround(field);
  // `unknown-fields` judges whatever no other rule knows, misspelt fields included.
  const isKnown = unjudged.size > 0 || judging.some(({ id }) => id !== unknownFields.id);
  const guess = isKnown ? '' : didYouMean(field, KNOWN_FIELDS);
  if (guess !== '' || (!isKnown && judging.length === 0)) {
    fail(self, [`no rule knows the field "${written}"${guess}: write it with its full path, such as spec.containers[*].image`]);
  }
  const width = Math.max(0, ...judging.map(({ id }) => id.length));
  const sections = [
    judging.length === 0
      ? `No rule judges ${field}.\n`
      : `Rules that judge ${field}:\n${judging.map(({ id, summary }) => `  ${id.padEnd(width)}  ${summary}\n`).join('')}`,
    ...[...unjudged].map(([reason, found]) => `Not judged: ${reason}\n${found.map(({ path }) => `  ${path}\n`).join('')}`),
  ];
  return sections.join('\n');
}

const noRuleJudges = (field: string, reason: string): string => `${printPage(`No rule judges ${field}. ${reason}`, terminalWidth())}\n`;

/** The rules that name the nearest field around one. */
function nearestAround(field: string): readonly Rule[] {
  const around = rules.flatMap((rule) =>
    rule.fields.filter((each) => isWithin(field, each)).map((each) => ({ rule, length: each.length })),
  );
  const nearest = Math.max(...around.map(({ length }) => length));
  return around.filter(({ length }) => length === nearest).map(({ rule }) => rule);
}

/** As rules name fields: `[*]` for any element, and `spec.containers[*]` for all three lists of containers. */
function normalize(field: string): string {
  return field.replace(/^spec\.(?:init|ephemeral)Containers\b/, 'spec.containers').replace(/\[\d+\]/g, '[*]');
}

/** Whether a field is another one, or below it. `.*` at the end of the field of a rule stands for every field below. */
function isWithin(field: string, other: string): boolean {
  if (other.endsWith('.*')) return field !== other.slice(0, -2) && isWithin(field, other.slice(0, -2));
  return field === other || field.startsWith(`${other}.`) || field.startsWith(`${other}[`);
}
