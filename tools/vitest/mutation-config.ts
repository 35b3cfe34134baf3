import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const FOLDERS = ['rules', 'core', 'contract', 'property'];

/** Runs the fast tests first: the table of a rule kills most mutants, and only the others reach the slow property tests. */
class FastFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => FOLDERS.findIndex((folder) => moduleId.includes(`/test/${folder}/`));
    return files.toSorted((a, b) => place(a) - place(b));
  }
}

/** The tests that `./dev mutation` runs for each mutant. */
export default defineConfig({
  test: {
    include: [`test/{${FOLDERS}}/*.test.ts`],
    // No test file changes the state of a module, and loading modules takes most of the time.
    isolate: false,
    sequence: { sequencer: FastFirst },
    // A test that is slow on a busy machine must not count as a killed mutant.
    testTimeout: 120_000,
  },
});
