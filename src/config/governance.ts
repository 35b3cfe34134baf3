import { type Governance, governs, type NamedNamespaces, type ProfileByMode } from '../core/governance.ts';
import { DNS_LABEL } from '../core/name-pattern.ts';
import type { Path } from '../core/path.ts';
import type { Mode } from '../core/request-record.ts';
import { isObject } from '../core/shape.ts';
import { didYouMean } from '../did-you-mean.ts';
import { joinWords, parseLevel, printProblem } from './problems.ts';
import { defaultSchema, fieldOf, governsSchema, MAX_NAMESPACE_PATTERNS, MODES } from './schema.ts';

/**
 * Reads `governs` and `default`.
 * @param known the names of the profiles of the file
 */
export function readGovernance(file: unknown, known: readonly string[], problems: string[]): Governance {
  const written = fieldOf(file, 'governs');
  const elements = (Array.isArray(written) ? written : []).flatMap((each: unknown, index): NamedNamespaces[] => {
    const path = ['governs', index];
    const element = parseLevel(governsSchema, each, path, problems);
    problems.push(...problemsOfModes(each, path, known));
    return element === undefined ? [] : [{ namespaces: element.namespaces, profiles: profilesIn(element) }];
  });

  const { except, profiles } = readDefault(fieldOf(file, 'default'), known, problems);
  const byName = except.length === 0 ? elements : [...elements, { namespaces: except, profiles: {} }];
  const count = byName.reduce((sum, { namespaces }) => sum + namespaces.length, 0);
  if (count > MAX_NAMESPACE_PATTERNS) {
    problems.push(printProblem(['governs'], `has ${count} patterns together with default.except: write at most ${MAX_NAMESPACE_PATTERNS}`));
  }
  return { byName, otherwise: profiles };
}

function readDefault(
  written: unknown,
  known: readonly string[],
  problems: string[],
): { readonly except: readonly string[]; readonly profiles: ProfileByMode } {
  if (!isObject(written)) return { except: [], profiles: {} };
  problems.push(...problemsOfModes(written, ['default'], known));
  const { except = [], ...modes } = parseLevel(defaultSchema, written, ['default'], problems) ?? {};
  return { except, profiles: profilesIn(modes) };
}

/** A warning for each element of `governs` that keeps its namespaces from the `enforce` of `default`, but enforces nothing itself. */
export function warnOfUnenforced({ byName, otherwise: { enforce } }: Governance): string[] {
  if (enforce === undefined) return [];
  return byName.flatMap(({ profiles }, index) => {
    if (profiles.enforce !== undefined || !governs(profiles)) return [];
    const problem = `has no enforce, so nothing is enforced in its namespaces, although default enforces ${enforce}: add enforce here if a profile should be enforced in them`;
    return [printProblem(['governs', index], problem)];
  });
}

/** @param modes may have further fields; `undefined` in the type is how zod types optional fields */
const profilesIn = (modes: { readonly [Key in Mode]?: string | undefined }): ProfileByMode =>
  Object.fromEntries(MODES.flatMap((mode) => (modes[mode] === undefined ? [] : [[mode, modes[mode]]])));

function problemsOfModes(written: unknown, path: Path, known: readonly string[]): string[] {
  return MODES.flatMap((mode) => {
    const profile = fieldOf(written, mode);
    if (typeof profile !== 'string' || !DNS_LABEL.test(profile) || known.includes(profile)) return [];
    const remedy = known.length === 0 ? 'the configuration has no profiles' : `it must be ${joinWords(known, 'or')}`;
    return [printProblem([...path, mode], `"${profile}" is not configured${didYouMean(profile, known)}: ${remedy}`)];
  });
}
