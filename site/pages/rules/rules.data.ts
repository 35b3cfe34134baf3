import { rules } from '../../../src/core/rules/index.ts';

/** The rules in reading order, from the sources. */
export const data = rules.map(({ id, summary, fields, exemptibleValues }) => ({ id, summary, fields, exemptibleValues }));

export default { load: () => data };
