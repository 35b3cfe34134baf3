import { readCommon } from './common.ts';
import { type Reading, readByLibrary } from './library.ts';

/** Reads the text of at most one document. */
export function readDocument(text: string): Reading {
  const document = readCommon(text);
  return document === undefined ? readByLibrary(text) : { document, problems: [], isBroken: false };
}
