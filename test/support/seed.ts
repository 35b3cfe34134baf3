/** What all chance of a test run comes from. CLOISTER_PROPERTY_SEED repeats a run. */
export const SEED = Number(process.env.CLOISTER_PROPERTY_SEED ?? Math.trunc(Math.random() * 0x7fffffff));
