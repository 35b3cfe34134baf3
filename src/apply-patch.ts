import jsonPatch, { type Operation } from 'fast-json-patch';
import type { Apply } from './core/repair.ts';

/**
 * Applies RFC 6902 operations to a document in place, by code that shares nothing with what made them.
 * @throws when an operation does not fit the document: validation is on, because the API server refuses what does not fit
 */
export const apply: Apply = (document, operations) => {
  jsonPatch.applyPatch(document, operations as readonly Operation[], true, true);
};
