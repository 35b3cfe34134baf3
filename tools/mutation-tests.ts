import { defineConfig } from 'vitest/config';

/** The tests that `mutate.ts` asks: those it names, and no others. */
export default defineConfig({ test: { include: [process.env.CLOISTER_MUTATION_TESTS ?? ''] } });
