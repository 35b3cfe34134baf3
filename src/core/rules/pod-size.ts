import { quote } from '../cel.ts';
import { MAX_CONTAINERS, MAX_ESCAPES, MAX_ESCAPES_CHARS, MAX_NAME_CHARS, MAX_OTHER_FINDINGS, MAX_PATCH_BYTES } from '../limits.ts';
import type { Path } from '../path.ts';
import type { Finding, Rule } from './rule.ts';

/**
 * A pod of a few megabytes can have a hundred thousand findings. Judging and patching it would delay all other reviews.
 *
 * Fields: the number of containers in all lists, and of escapes; containers' names; the text of all escapes, and of the patch
 * Allowed: 1,000 of each; 253 characters, which is more than the API server takes; 128 Ki characters, and 144 KiB. Grants that have no effect
 * yet are not escapes; ten times as many of those findings, and ten times their text, are the bound
 * Fix: none.
 */
export const podSize: Rule = {
  id: 'pod-size',
  summary: 'The pod is small enough to be judged and repaired while others wait.',
  fields: ['spec.containers[*]', 'spec.containers[*].name'],
  checkPod(_pod, report, { containers }) {
    if (containers.length > MAX_CONTAINERS)
      report({ path: ['spec', 'containers'], message: `the pod has more than ${MAX_CONTAINERS} containers`, remedy: REMEDY });
    for (const { list, index, spec } of containers) {
      const length = spec.name?.length ?? 0;
      if (length <= MAX_NAME_CHARS) continue;
      report({ path: ['spec', list, index, 'name'], message: `the container's name has ${length} characters`, remedy: 'shorten it' });
    }
  },
  inTree: {
    pod: ({ containers }) => [
      {
        where: `${containers}.size() > ${MAX_CONTAINERS}`,
        says: quote(`the pod has more than ${MAX_CONTAINERS} containers`),
        remedy: quote(REMEDY),
      },
    ],
  },
};

const REMEDY = 'split it into several pods';

/** What the pod has too much of for one review. */
export type Excess = 'escapes' | 'others' | 'text' | 'patch' | 'answer';

const EXCESSES: Readonly<Record<Excess, Pick<Finding, 'message' | 'remedy'>>> = {
  escapes: { message: `the pod has more than ${MAX_ESCAPES} escapes`, remedy: 'fix some of them, then try again' },
  others: {
    message: `the pod has more than ${MAX_OTHER_FINDINGS} findings about its grant and unknown fields, or these findings are too long`,
    remedy: 'fix some of them, or split the pod into several, then try again',
  },
  text: {
    message: `the escapes of the pod have more than ${MAX_ESCAPES_CHARS / 1024} Ki characters`,
    remedy: 'fix some of them, or shorten names and keys, then try again',
  },
  patch: {
    message: `the repair of the pod has more than ${MAX_PATCH_BYTES / 1024} KiB`,
    remedy: 'fix some of its findings, or shorten names and keys, then try again',
  },
  answer: {
    message: 'the list of findings about the pod is too long for an answer',
    remedy: 'fix some of them (`cloister check` lists them), then try again',
  },
};

/** The finding that stands for all others. It has no fix, and no exemption lets it through. */
export function makeSizeFinding(excess: Excess, at: Path): Finding {
  return { ...EXCESSES[excess], rule: podSize.id, path: [...at, 'spec', 'containers'], kind: 'escape' };
}
