import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { err, ok, type Result } from '../core/result.ts';
import { printReadError } from '../io-errors.ts';
import { defaultConfig, type ParsedConfig, readConfig } from './parse.ts';

export interface Config extends ParsedConfig {
  /** SHA-256 of the text, in hex. A server and `cloister ensure` compare it to find out whether they read the same text. */
  readonly digest: string;
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
  if (file === undefined) return ok({ ...defaultConfig(), digest: digestOf('') });
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
  const config = readConfig(text, source, now);
  return config.ok ? ok({ ...config.value, digest: digestOf(text), text }) : config;
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');
