import { LineCounter, parseDocument } from 'yaml';
import { type Governance, NO_GOVERNANCE } from '../core/governance.ts';
import type { PolicyConfig } from '../core/policy.ts';
import { err, ok, type Result } from '../core/result.ts';
import { isObject } from '../core/shape.ts';
import { readExemptions, warnOfEveryContainer, warnOfExpired } from './exemptions.ts';
import { readGovernance, warnOfUnenforced } from './governance.ts';
import { parseLevel } from './problems.ts';
import { defaultProfiles, readProfiles } from './profiles.ts';
import { API_VERSION, configSchema, fieldOf } from './schema.ts';

/** What a text of a configuration says. */
export interface ParsedConfig extends PolicyConfig {
  readonly governance: Governance;
  /** Of the webhook entries; absent: their defaults. */
  readonly timeoutSeconds?: { readonly [Of in 'mutate' | 'enforce' | 'watch']?: number | undefined };
  /** Whether a policy guards the webhook configurations. */
  readonly guard: boolean;
  /** Whether policies in the API server enforce the profiles too. */
  readonly backstop: boolean;
  /** For the log: what is valid, and probably not intended. */
  readonly warnings: readonly string[];
}

/** Without a configuration: only the profile `userns` exists, with its defaults. */
export function defaultConfig(): ParsedConfig {
  return { profiles: defaultProfiles(), governance: NO_GOVERNANCE, exemptions: [], guard: true, backstop: true, warnings: [] };
}

/**
 * Reads a configuration.
 * @param source the name of the text in messages
 * @returns the configuration, or every problem of the text with the name, the path in the text and what to do
 */
export function readConfig(text: string, source: string, now: Date): Result<ParsedConfig, readonly string[]> {
  const yaml = parseYaml(text, source);
  if (!yaml.ok) return yaml;
  const problems: string[] = [];
  const {
    excludedNamespaces = [],
    timeoutSeconds,
    guard = true,
    backstop = true,
  } = parseLevel(configSchema, yaml.value, [], problems) ?? {};
  const written = fieldOf(yaml.value, 'profiles');
  const profiles = readProfiles(written, problems);
  const byName = readGovernance(yaml.value, isObject(written) ? Object.keys(written) : [...profiles.keys()], problems);
  const exemptions = readExemptions(fieldOf(yaml.value, 'exemptions'), problems);
  const governance = excludedNamespaces.length === 0 ? byName : { ...byName, excluded: excludedNamespaces };
  if (problems.length > 0) return err(problems.map((each) => `${source}: ${each}`));
  const warnings = [...warnOfUnenforced(governance), ...warnOfExpired(exemptions, now), ...warnOfEveryContainer(exemptions)];
  return ok({ profiles, governance, exemptions, ...(timeoutSeconds && { timeoutSeconds }), guard, backstop, warnings });
}

/** @returns the map that a text of YAML is, or its problems, each with its place */
export function parseYaml(text: string, source: string): Result<object, readonly string[]> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problems = [...document.errors, ...document.warnings].map(({ code, message, pos: [start] }) => {
    const { line, col } = lines.linePos(start);
    return `${source}:${line}:${col}: ${MESSAGES.get(code) ?? message}`;
  });
  if (problems.length > 0) return err(problems);
  try {
    const value: unknown = document.toJS();
    if (isObject(value)) return ok(value);
    return err([`${source} is not a map: it must start with apiVersion: ${API_VERSION} and a kind`]);
  } catch (error) {
    // An alias without an anchor, or aliases that would expand without end.
    return err([`${source}: ${(error as Error).message}`]);
  }
}

/** Replacements for messages of the parser that address programmers. */
const MESSAGES: ReadonlyMap<string, string> = new Map([
  ['DUPLICATE_KEY', 'this key is written a second time: keep one'],
  ['MULTIPLE_DOCS', 'a second document starts here: a file holds one configuration'],
]);
