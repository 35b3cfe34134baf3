import { DNS_LABEL } from '../core/name-pattern.ts';
import { backendById, backends } from '../core/profiles/index.ts';
import { type Backend, makeProfile, type Profile, type ProfileOptions } from '../core/profiles/profile.ts';
import { isObject } from '../core/shape.ts';
import { didYouMean } from '../did-you-mean.ts';
import { joinWords, parseLevel, printProblem } from './problems.ts';
import { fieldOf, profileSchemaOf } from './schema.ts';

/** The profiles of a file without `profiles`, and of no file. */
export const defaultProfiles = (): Map<string, Profile> =>
  new Map(backends.slice(0, 1).map((each) => [each.id, makeProfile(each.id, each, {})]));

/** Reads `profiles`: every profile inherits the options of those that it extends, down to its backend. */
export function readProfiles(written: unknown, problems: string[]): ReadonlyMap<string, Profile> {
  if (written === undefined) return defaultProfiles();
  const profiles = new Map<string, Profile>();
  if (!isObject(written)) return profiles;
  const optionsById = new Map<string, ProfileOptions>();
  const lineages = new Map<string, readonly string[]>();

  for (const [id, value] of Object.entries(written)) {
    const lineage = lineageOf(id, written);
    const backend = backendById.get(lineage.at(-1) ?? '');
    lineages.set(id, lineage);
    if (!DNS_LABEL.test(id)) {
      problems.push(printProblem(['profiles', id], 'must have a name of at most 63 lower-case letters, digits and inner dashes'));
    } else if (backend === undefined) problems.push(...problemsOfLineage(lineage, written));
    const options = readOptions(id, value, backend, problems);
    if (options !== undefined) optionsById.set(id, options);
    problems.push(...problemsOfChoice(id, written));
  }

  for (const [id, lineage] of lineages) {
    const backend = backendById.get(lineage.at(-1) ?? '');
    let options: ProfileOptions = {};
    for (const each of lineage.toReversed()) options = { ...options, ...optionsById.get(each) };
    if (backend !== undefined) profiles.set(id, makeProfile(id, backend, options));
  }
  return profiles;
}

/** The profile, the one that it extends, and so on. The last is a backend, a name that is unknown, or one that repeats. */
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
    if (fieldOf(fieldOf(written, id), 'extends') !== undefined) return []; // not a string: the schema reports it
    return [
      printProblem(['profiles', id], `is no backend, so it must say what it extends${didYouMean(id, known)}: one of ${known.join(', ')}`),
    ];
  }
  const path = ['profiles', id, 'extends'];
  if (lineage.at(-1) === id)
    return [printProblem(path, `leads back to itself (${lineage.join(' -> ')}): one of them must extend a backend`)];
  if (known.includes(parent)) return []; // reported at the parent
  return [printProblem(path, `"${parent}" is unknown${didYouMean(parent, known)}: it must be ${joinWords(known, 'or')}`)];
}

function readOptions(id: string, value: unknown, backend: Backend | undefined, problems: string[]): ProfileOptions | undefined {
  const path = ['profiles', id];
  if (value === null) return {}; // `kata-qemu:` without a value
  if (!isObject(value)) {
    problems.push(printProblem(path, 'must be a map of options'));
    return undefined;
  }
  if (backendById.has(id) && Object.hasOwn(value, 'extends')) {
    const problem = `${id} is a backend's own profile: remove this line, or give the profile another name`;
    problems.push(printProblem([...path, 'extends'], problem));
  }
  const parsed = parseLevel(profileSchemaOf(backend), value, path, problems) as
    | (ProfileOptions & { readonly extends?: string })
    | undefined;
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
    const problem = `"${choice}" is not configured${didYouMean(choice, known)}: it must be ${joinWords(known, 'or')}`;
    return [printProblem(['profiles', id, 'mayChoose', index], problem)];
  });
}
