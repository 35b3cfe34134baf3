import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { LineCounter, parseDocument } from 'yaml';
import { type Governance, NO_GOVERNANCE } from '../core/governance.ts';
import type { PolicyConfig } from '../core/policy.ts';
import { err, ok, type Result } from '../core/result.ts';
import { isObject } from '../core/shape.ts';
import { printReadError } from '../io-errors.ts';
import { readExemptions, warnOfEveryContainer, warnOfExpired } from './exemptions.ts';
import { readGovernance, warnOfUnenforced } from './governance.ts';
import { parseLevel } from './problems.ts';
import { defaultProfiles, readProfiles } from './profiles.ts';
import { API_VERSION, configSchema, fieldOf } from './schema.ts';

export interface Config extends PolicyConfig {
  readonly governance: Governance;
  /** Of the webhook entries; absent: their defaults. */
  readonly timeoutSeconds?: { readonly [Of in 'mutate' | 'enforce' | 'watch']?: number | undefined };
  /** Whether a policy guards the webhook configurations; absent: it does. */
  readonly guard?: boolean;
  /** SHA-256 of the text, in hex. A server and `cloister ensure` compare it to find out whether they read the same text. */
  readonly digest: string;
  /** For the log: what is valid, and probably not intended. */
  readonly warnings: readonly string[];
  /** The text of the file. The worker thread parses this text, because the file may have changed since. */
  readonly text?: string;
}

interface Clock {
  readonly now?: Date;
}

/**
 * Reads the configuration file.
 * @param file undefined: only the profile `userns` exists, with its defaults
 * @returns the configuration, or every problem of the file with the file's name, the path in it and what to do
 */
export async function loadConfig(file: string | undefined, { now = new Date() }: Clock = {}): Promise<Result<Config, readonly string[]>> {
  if (file === undefined) {
    return ok({ profiles: defaultProfiles(), governance: NO_GOVERNANCE, exemptions: [], digest: digestOf(''), warnings: [] });
  }
  try {
    const bytes = await readFile(file);
    if (!isUtf8(bytes)) return err([`${file} is not UTF-8 text: save it as UTF-8`]);
    return parseConfig(bytes.toString('utf8'), file, { now });
  } catch (error) {
    return err([printReadError(file, error as NodeJS.ErrnoException)]);
  }
}

/**
 * Parses a configuration.
 * @param source the name of the text in messages
 */
export function parseConfig(text: string, source: string, { now = new Date() }: Clock = {}): Result<Config, readonly string[]> {
  const yaml = parseYaml(text, source);
  if (!yaml.ok) return yaml;
  const problems: string[] = [];
  const { excludedNamespaces = [], timeoutSeconds, guard } = parseLevel(configSchema, yaml.value, [], problems) ?? {};
  const written = fieldOf(yaml.value, 'profiles');
  const profiles = readProfiles(written, problems);
  const byName = readGovernance(yaml.value, isObject(written) ? Object.keys(written) : [...profiles.keys()], problems);
  const exemptions = readExemptions(fieldOf(yaml.value, 'exemptions'), problems);
  const governance = excludedNamespaces.length === 0 ? byName : { ...byName, excluded: excludedNamespaces };
  if (problems.length > 0) return err(problems.map((each) => `${source}: ${each}`));
  const warnings = [...warnOfUnenforced(governance), ...warnOfExpired(exemptions, now), ...warnOfEveryContainer(exemptions)];
  const forCluster = { ...(timeoutSeconds && { timeoutSeconds }), ...(guard !== undefined && { guard }) };
  return ok({ profiles, governance, exemptions, ...forCluster, digest: digestOf(text), warnings, text });
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');

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
