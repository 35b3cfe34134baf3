import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const ROOMS = ['rules', 'core', 'contract', 'property'];

/** The quick ones first: most breaks are noticed by a rule's table, and the properties need be asked about the others alone. */
class QuickFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => ROOMS.findIndex((room) => moduleId.includes(`/test/${room}/`));
    return files.toSorted((a, b) => place(a) - place(b));
  }
}

/** The tests that `mutate.ts` asks about each break. */
export default defineConfig({
  test: {
    include: [`test/{${ROOMS}}/*.test.ts`],
    // No file of them needs modules of its own, and to load them takes most of the time.
    isolate: false,
    sequence: { sequencer: QuickFirst },
    // A busy machine is not a test that noticed.
    testTimeout: 120_000,
  },
});
