import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { LineCounter, parseDocument } from 'yaml';
import * as z from 'zod';
import { normalizeCapability } from '../core/containers.ts';
import type { Exemption } from '../core/exemptions.ts';
import { makeNamePattern } from '../core/name-pattern.ts';
import { type Path, printPath } from '../core/path.ts';
import type { PolicyConfig } from '../core/policy.ts';
import { backendById, backends } from '../core/profiles/index.ts';
import { type Backend, COMMON_OPTIONS, makeProfile, type Profile, type ProfileOptions } from '../core/profiles/profile.ts';
import { GRANTS } from '../core/requirements.ts';
import type { Result } from '../core/result.ts';
import { ruleById, rules } from '../core/rules/index.ts';
import { isObject } from '../core/shape.ts';
import { didYouMean } from '../did-you-mean.ts';
import { printReadError } from '../io-errors.ts';

export interface Config extends PolicyConfig {
  /** SHA-256 of the text, in hex, by which a server and whoever looks after it find that they read the same. */
  readonly digest: string;
  /** What is legal and yet hardly meant: for the log. */
  readonly warnings: readonly string[];
  /** The file's own words; another thread reads these, and not a file that may have changed. */
  readonly text?: string;
}

interface Clock {
  readonly now?: Date;
}

/**
 * Reads the configuration file.
 * @param file undefined: there is none, and `userns` alone is offered, with its defaults
 * @returns the configuration, or every problem of the file, each with its name, the path in it and what to do
 */
export async function loadConfig(file: string | undefined, { now = new Date() }: Clock = {}): Promise<Result<Config, readonly string[]>> {
  if (file === undefined) return { ok: true, value: { profiles: defaultProfiles(), exemptions: [], digest: digestOf(''), warnings: [] } };
  try {
    const bytes = await readFile(file);
    if (!isUtf8(bytes)) return { ok: false, error: [`${file} is not UTF-8 text: save it as UTF-8`] };
    return parseConfig(bytes.toString('utf8'), file, { now });
  } catch (error) {
    return { ok: false, error: [printReadError(file, error as NodeJS.ErrnoException)] };
  }
}

/**
 * Reads a configuration.
 * @param source where the text is from, for messages
 */
export function parseConfig(text: string, source: string, { now = new Date() }: Clock = {}): Result<Config, readonly string[]> {
  const yaml = parseYaml(text, source);
  if (!yaml.ok) return yaml;
  const problems: string[] = [];
  check(configSchema, yaml.value, [], problems);
  const profiles = profilesOf(fieldOf(yaml.value, 'profiles'), problems);
  const exemptions = exemptionsOf(fieldOf(yaml.value, 'exemptions'), problems);
  if (problems.length > 0) return { ok: false, error: problems.map((each) => `${source}: ${each}`) };
  return { ok: true, value: { profiles, exemptions, digest: digestOf(text), warnings: warningsOf(exemptions, now), text } };
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');

function parseYaml(text: string, source: string): Result<object, readonly string[]> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const faults = [...document.errors, ...document.warnings].map(({ code, message, pos: [start] }) => {
    const { line, col } = lines.linePos(start);
    return `${source}:${line}:${col}: ${OUR_WORDS.get(code) ?? message}`;
  });
  if (faults.length > 0) return { ok: false, error: faults };
  try {
    const value: unknown = document.toJS();
    if (isObject(value)) return { ok: true, value };
    return { ok: false, error: [`${source} is no configuration: it must have apiVersion: ${API_VERSION} and kind: Config`] };
  } catch (error) {
    // Aliases that lead nowhere, or that would unfold without end.
    return { ok: false, error: [`${source}: ${(error as Error).message}`] };
  }
}

/** Where the parser's own words are for programmers. */
const OUR_WORDS: ReadonlyMap<string, string> = new Map([
  ['DUPLICATE_KEY', 'this key is written a second time: keep one'],
  ['MULTIPLE_DOCS', 'a second document starts here: a file holds one configuration'],
]);

const API_VERSION = 'cloister.dev/v1alpha1';
const DAY_MS = 24 * 60 * 60 * 1000;

/** One text for whatever is wrong with a value, and the same for one that is missing. */
const must = (what: string) => ({
  error: ({ input }: { readonly input?: unknown }) => (input === undefined ? `is missing: it must ${what}` : `must ${what}`),
});

/** @param never which it must not match either: a JSON Schema, which is made of this, knows no lookahead in its patterns */
function textLike(pattern: RegExp, what: string, never?: RegExp): z.ZodString {
  const text = z.string(must(what)).regex(pattern, { ...must(what), abort: true });
  return never === undefined ? text : text.refine((value) => !never.test(value), must(what)).meta({ not: { pattern: never.source } });
}
const listOf = <S extends z.ZodType>(item: S, what: string) => z.array(item, must(what));
const someOf = <S extends z.ZodType>(item: S, what: string) => listOf(item, what).min(1, must(what));
const oneOf = <const T extends readonly string[]>(values: T) => z.enum(values, must(`be one of ${values.join(', ')}`));
const mapOf = (what: string) => z.custom<Readonly<Record<string, unknown>>>(isObject, must(`be a map ${what}`));

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const TOO_LONG_A_SUBDOMAIN = /^.{254}/;
const EXTENDED_RESOURCE = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+\/[A-Za-z0-9]([-\w.]*[A-Za-z0-9])?$/;
const NO_BLANK_ENDS = /^\S(.*\S)?$/;
/** The runtime's own, which a missing option means, and the spellings of the old annotation. */
const NO_APPARMOR_PROFILE = /^(RuntimeDefault|runtime\/default|unconfined)$|^localhost\//;
const LEAVES_ITS_FOLDER = /^\/|(^|\/)\.\.(\/|$)/;
const ABSOLUTE_PATH = /^(\/[^/:\s]+)+$/;
/** The quantities of which a volume for images can be: at least a megabyte, in the usual units. */
const SIZE = /^[1-9]\d*(\.\d+)?[MGT]i?$/;
const HAS_DOTS = /\/\.\.?(\/|$)/;

const glob = textLike(/^[-a-z0-9.*]+$/, 'be a name in lower case; * in it stands for any run of characters').transform(makeNamePattern);
const profileName = textLike(DNS_LABEL, 'be the name of a profile');
const runtimeClass = textLike(DNS_SUBDOMAIN, 'be the name of a RuntimeClass', TOO_LONG_A_SUBDOMAIN);
const mountPath = textLike(ABSOLUTE_PATH, 'be an absolute path without `..`, a colon or a slash at its end', HAS_DOTS);
const device = textLike(EXTENDED_RESOURCE, 'be an extended resource with its domain, such as nvidia.com/gpu');
const idsPerPod = must('be a positive multiple of 65536');

/** How each option of a profile is written. Which of them a profile has, its backend says. */
export const optionSchemas = {
  grant: oneOf(GRANTS),
  nesting: oneOf(['seccomp', 'sysadmin']),
  seccompProfile: textLike(
    NO_BLANK_ENDS,
    "be a path below the kubelet's seccomp folder, such as cloister/workspace.json",
    LEAVES_ITS_FOLDER,
  ),
  appArmorProfile: textLike(
    NO_BLANK_ENDS,
    "be Unconfined or the name of a profile on the nodes; leave it out for the runtime's default",
    NO_APPARMOR_PROFILE,
  ),
  seLinuxType: textLike(/^\w+$/, 'be the name of an SELinux type, such as container_engine_t'),
  grantTo: someOf(glob, 'list at least one container name; leave it out for every regular container'),
  storage: listOf(mountPath, 'be a list of absolute paths').check(z.superRefine(nothingTwice)).meta({ uniqueItems: true }),
  storageMedium: oneOf(['memory', 'disk']),
  storageSize: textLike(SIZE, 'be a size in M, G, T, Mi, Gi or Ti, such as 4Gi'),
  mayChoose: listOf(profileName, 'be a list of profile names'),
  devices: listOf(device, 'be a list of extended resources, such as nvidia.com/gpu'),
  runtimeClassName: runtimeClass,
  runtimeClasses: listOf(runtimeClass, 'be a list of RuntimeClass names'),
  idsPerPod: z.int(idsPerPod).positive(idsPerPod).multipleOf(65536, idsPerPod),
  identity: oneOf(['host-users', 'crio-annotation']),
  guestPrivileged: z.boolean(must('be true or false')),
  serviceAccountToken: oneOf(['keep', 'remove']),
} satisfies { readonly [Option in keyof Required<ProfileOptions>]: z.ZodType<ProfileOptions[Option]> };

/** The file as a whole. */
export const configSchema = z.strictObject({
  apiVersion: z.literal(API_VERSION, must(`be ${API_VERSION}`)),
  kind: z.literal('Config', must('be Config')),
  profiles: mapOf('of profiles by name; leave it out for userns alone, write {} for none').optional(),
  exemptions: listOf(z.unknown(), 'be a list of exemptions').optional(),
});

export const exemptionSchema = z.strictObject({
  reason: textLike(/\S/, 'say why'),
  expires: z.union(
    [
      z.iso.date().transform((day) => new Date(Date.parse(day) + DAY_MS)),
      z.iso.datetime({ offset: true }).transform((instant) => new Date(instant)),
    ],
    must('be a date, such as 2027-06-30, or a time with its zone, such as 2027-06-30T18:00:00Z'),
  ),
  namespaces: someOf(glob, "list at least one namespace; '*' stands for all"),
  serviceAccounts: someOf(glob, "list at least one service account; '*' stands for all"),
  allow: mapOf('of rule ids, each with the list of values that it lets through'),
});

const allowedValues = someOf(textLike(/\S/, 'be a text with something in it'), 'list at least one value');
const schemaByBackend: ReadonlyMap<string, z.ZodObject> = new Map(backends.map((backend) => [backend.id, profileSchema(backend)]));
/** For profiles whose backend cannot be told: their values can still be judged. */
const anyProfileSchema = z.strictObject({ extends: profileName, ...optionSchemas }).partial();

function profileSchema({ options }: Backend): z.ZodObject {
  const entries = [...COMMON_OPTIONS, ...options].map((option) => [option, optionSchemas[option]] as const);
  return z.strictObject({ extends: profileName, ...Object.fromEntries(entries) }).partial();
}

function nothingTwice(values: readonly string[], context: z.RefinementCtx): void {
  for (const [index, value] of values.entries()) {
    if (values.indexOf(value) < index) context.addIssue({ code: 'custom', path: [index], message: `repeats ${value}: remove it` });
  }
}

const defaultProfiles = (): Map<string, Profile> => new Map(backends.slice(0, 1).map((each) => [each.id, makeProfile(each.id, each, {})]));

function profilesOf(written: unknown, problems: string[]): ReadonlyMap<string, Profile> {
  if (written === undefined) return defaultProfiles();
  const profiles = new Map<string, Profile>();
  if (!isObject(written)) return profiles;
  const own = new Map<string, ProfileOptions>();
  const lineages = new Map<string, readonly string[]>();

  for (const [id, value] of Object.entries(written)) {
    const lineage = lineageOf(id, written);
    const backend = backendById.get(lineage.at(-1) ?? '');
    lineages.set(id, lineage);
    if (!DNS_LABEL.test(id)) {
      problems.push(at(['profiles', id], 'must have a name of at most 63 lower-case letters, digits and inner dashes'));
    } else if (backend === undefined) problems.push(...problemsOfLineage(lineage, written));
    const options = optionsOf(id, value, backend, problems);
    if (options !== undefined) own.set(id, options);
    problems.push(...problemsOfChoice(id, written));
  }

  for (const [id, lineage] of lineages) {
    const backend = backendById.get(lineage.at(-1) ?? '');
    let options: ProfileOptions = {};
    for (const each of lineage.toReversed()) options = { ...options, ...own.get(each) };
    if (backend !== undefined) profiles.set(id, makeProfile(id, backend, options));
  }
  return profiles;
}

/** The profile, what it extends, and so on: to a backend, or to where that leads nowhere. */
function lineageOf(id: string, written: object): readonly string[] {
  const lineage = [id];
  for (let last = id; !backendById.has(last); ) {
    const parent = fieldOf(fieldOf(written, last), 'extends');
    if (typeof parent !== 'string') return lineage;
    const isCycle = lineage.includes(parent);
    lineage.push(parent);
    if (isCycle) return lineage;
    last = parent;
  }
  return lineage;
}

function problemsOfLineage(lineage: readonly string[], written: object): string[] {
  const [id = '', parent] = lineage;
  const known = [...new Set([...backendById.keys(), ...Object.keys(written)])].filter((each) => each !== id);
  if (parent === undefined) {
    if (fieldOf(fieldOf(written, id), 'extends') !== undefined) return []; // which is no text: said already
    return [at(['profiles', id], `is no backend, so it must say what it extends${didYouMean(id, known)}: one of ${known.join(', ')}`)];
  }
  const path = ['profiles', id, 'extends'];
  if (lineage.at(-1) === id) return [at(path, `leads back to itself (${lineage.join(' -> ')}): one of them must extend a backend`)];
  if (known.includes(parent)) return []; // said at its own place
  return [at(path, `"${parent}" is unknown${didYouMean(parent, known)}: it must be ${listed(known)}`)];
}

function optionsOf(id: string, value: unknown, backend: Backend | undefined, problems: string[]): ProfileOptions | undefined {
  const path = ['profiles', id];
  if (value === null) return {}; // `kata-qemu:` with nothing after it
  if (!isObject(value)) {
    problems.push(at(path, 'must be a map of options'));
    return undefined;
  }
  const isBackend = backendById.has(id);
  if (isBackend && Object.hasOwn(value, 'extends')) {
    problems.push(at([...path, 'extends'], `${id} is a backend's own profile: remove this line, or give the profile another name`));
  }
  const schema = schemaByBackend.get(backend?.id ?? '') ?? anyProfileSchema;
  const parsed = check(schema, value, path, problems) as (ProfileOptions & { readonly extends?: string }) | undefined;
  if (parsed === undefined) return undefined;
  const { extends: _, ...options } = parsed;
  return options;
}

function problemsOfChoice(id: string, written: object): string[] {
  const choices = fieldOf(fieldOf(written, id), 'mayChoose');
  if (!Array.isArray(choices)) return [];
  const known = Object.keys(written);
  return choices.flatMap((choice, index) => {
    if (typeof choice !== 'string' || !DNS_LABEL.test(choice) || known.includes(choice)) return [];
    return [
      at(['profiles', id, 'mayChoose', index], `"${choice}" is not configured${didYouMean(choice, known)}: it must be ${listed(known)}`),
    ];
  });
}

function exemptionsOf(written: unknown, problems: string[]): readonly Exemption[] {
  if (!Array.isArray(written)) return [];
  return written.flatMap((value: unknown, index) => {
    const path = ['exemptions', index];
    const exemption = check(exemptionSchema, value, path, problems);
    const allow = allowOf(fieldOf(value, 'allow'), [...path, 'allow'], problems);
    return exemption === undefined ? [] : [{ ...exemption, allow }];
  });
}

function allowOf(written: unknown, path: Path, problems: string[]): Exemption['allow'] {
  const allow = new Map<string, ReadonlySet<string>>();
  if (!isObject(written)) return allow;
  const exemptible = rules.filter(({ exemptibleValues }) => exemptibleValues !== undefined).map(({ id }) => id);
  if (Object.keys(written).length === 0)
    problems.push(at(path, `must name what is let through, by rule; these can be exempted: ${exemptible.join(', ')}`));

  for (const [id, list] of Object.entries(written)) {
    if (!exemptible.includes(id)) {
      const what = ruleById.has(id) ? 'has no exemption' : `is no rule${didYouMean(id, exemptible)}`;
      problems.push(at([...path, id], `${what}; these can be exempted: ${exemptible.join(', ')}`));
      continue;
    }
    const values = check(allowedValues, list, [...path, id], problems);
    if (values !== undefined) allow.set(id, new Set(values));
    for (const [index, value] of Array.isArray(list) ? list.entries() : []) {
      const problem = typeof value === 'string' ? problemOfValue(id, value) : undefined;
      if (problem !== undefined) problems.push(at([...path, id, index], problem));
    }
  }
  return allow;
}

/** Values that a rule would never ask for: whoever writes one believes that something is let through, and it is not. */
function problemOfValue(rule: string, value: string): string | undefined {
  if (value.includes('*')) return 'must name one value: * stands for itself here';
  if (rule === 'volume-types' && value.startsWith('hostPath') && !value.startsWith('hostPath:/')) {
    return 'must name the path on the node, as in hostPath:/dev/fuse';
  }
  if (rule === 'capabilities' && value !== normalizeCapability(value)) return `must be spelled ${normalizeCapability(value)}`;
  return undefined;
}

function warningsOf(exemptions: readonly Exemption[], now: Date): string[] {
  return exemptions.flatMap(({ expires, reason }, index) => {
    if (now < expires) return [];
    return [at(['exemptions', index], `expired at ${expires.toISOString()} and lets nothing through (${reason}): renew or remove it`)];
  });
}

/** Parses one level of the file. What is wrong with it goes to `problems`, and then there is no value. */
function check<S extends z.ZodType>(schema: S, value: unknown, path: Path, problems: string[]): z.infer<S> | undefined {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const known = schema instanceof z.ZodObject ? Object.keys(schema.shape).filter((key) => key !== 'extends') : [];
  for (const issue of parsed.error.issues) {
    const place = [...path, ...(issue.path as Path)];
    if (issue.code !== 'unrecognized_keys') problems.push(at(place, issue.message));
    else for (const key of issue.keys) problems.push(at([...place, key], unknownKey(key, known)));
  }
  return undefined;
}

function unknownKey(key: string, known: readonly string[]): string {
  const owners = known.includes('grant') ? backends.filter(({ options }) => (options as readonly string[]).includes(key)) : [];
  if (owners.length > 0)
    return `is an option of ${listed(
      owners.map(({ id }) => id),
      'and',
    )} alone: remove it`;
  return `is unknown${didYouMean(key, known)}: known here are ${listed(known, 'and')}`;
}

function listed(words: readonly string[], last = 'or'): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;
}

const at = (path: Path, problem: string): string => `${printPath(path)}: ${problem}`;

function fieldOf(map: unknown, key: string): unknown {
  return isObject(map) && Object.hasOwn(map, key) ? map[key] : undefined;
}
