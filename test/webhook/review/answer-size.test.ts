import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { apply } from '../../../src/apply-patch.ts';
import { loadConfig } from '../../../src/config/load.ts';
import type { ReviewResponse } from '../../../src/webhook/review/respond.ts';
import { makeRespond } from '../../../src/webhook/review/respond.ts';
import { type Doc, NOW, reviewOf } from '../../support/hostile-pods.ts';
import { list, map } from '../../support/oracle.ts';

/** Pods whose findings, patch or denial would be too long. Every answer is bounded before it is made, and the pod is refused. */

const config = await loadConfig(undefined);
if (!config.ok) throw new Error(config.error.join('\n'));
const respond = makeRespond(config.value, { apply, now: () => NOW });

const MUTATE = '/mutate/userns';
const VALIDATE = '/validate/enforce/userns';
const WARN = '/validate/warn/userns';
const PATHS = [MUTATE, VALIDATE, WARN, '/validate/audit/userns'] as const;
const MAX_BYTES = 256 * 1024;

const TOO_MUCH_TEXT =
  'the escapes of the pod have more than 128 Ki characters; fix some of them, or shorten names and keys, then try again';
const TOO_LARGE_A_PATCH =
  'the repair of the pod has more than 144 KiB; fix some of its findings, or shorten names and keys, then try again';
const TOO_LONG_A_LIST =
  'the list of findings about the pod is too long for an answer; fix some of them (`cloister check` lists them), then try again';

function podWith({ annotations = {}, ...spec }: Doc): Doc {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'workspace', annotations }, spec: { containers: [{ name: 'main' }], ...spec } };
}

const annotated = (keys: readonly string[], value = ''): Doc =>
  podWith({ annotations: Object.fromEntries(keys.map((key) => [key, value])) });
const keysOf = (count: number, filling: string): string[] => Array.from({ length: count }, (_, index) => `run.oci.${index}${filling}`);

/** The annotations of a 250 KB review. */
const manyAnnotations = annotated(keysOf(990, 'x'.repeat(230)));
const slashes = annotated(keysOf(990, '/'.repeat(2_000)), 'v'.repeat(6_000));
/** Few enough findings, whose pointers are twice as long as their paths. */
const escapedKeys = annotated(keysOf(55, '/'.repeat(2_000)));
const longProfile = podWith({
  securityContext: { seccompProfile: { type: 'Localhost', localhostProfile: 'x'.repeat(240_000) } },
  ephemeralContainers: Array.from({ length: 990 }, (_, index) => ({ name: `debug-${index}` })),
});
/** Control characters that are escaped twice: for people, and in JSON. */
const controlCharacters = podWith({
  volumes: Array.from({ length: 300 }, () => ({ name: '\u0001'.repeat(100), ['\u{e0001}'.repeat(100)]: {} })),
});

const bodyOf = (pod: Doc): Buffer<ArrayBuffer> => Buffer.from(JSON.stringify(reviewOf(pod)));

function ask(path: string, pod: Doc): { readonly answer: Doc; readonly bytes: number } {
  const { body, bytes } = respond(path, bodyOf(pod));
  return { answer: map(map(JSON.parse(body)).response), bytes };
}

const causesOf = ({ status }: Doc): string[] =>
  list(map(map(status).details).causes)
    .map(map)
    .map(({ reason, message }) => `${reason}: ${message}`);

describe('a pod whose findings would be too long', () => {
  test('T24: 990 long annotations are not removed, and the pod is refused for its size', () => {
    expect(bodyOf(manyAnnotations).length).toBeGreaterThan(240_000);
    const { answer, bytes } = ask(MUTATE, manyAnnotations);
    expect(answer).toMatchObject({ allowed: true });
    expect(answer.patch).toBeUndefined();
    expect(bytes).toBeLessThan(1_000);
    const denial = ask(VALIDATE, manyAnnotations).answer;
    expect(denial.allowed).toBe(false);
    expect(causesOf(denial)).toContain(`pod-size: ${TOO_MUCH_TEXT}`);
  });

  test('T22: a pod-level value of 240,000 letters costs no more in 990 containers than a short one', () => {
    const short = podWith({
      ...map(longProfile.spec),
      securityContext: { seccompProfile: { type: 'Localhost', localhostProfile: 'x'.repeat(101) } },
    });
    for (const path of PATHS) expect(withoutUid(ask(path, longProfile).answer)).toEqual(withoutUid(ask(path, short).answer));
    expect(causesOf(ask(VALIDATE, longProfile).answer)).toContain(`pod-size: ${TOO_MUCH_TEXT}`);
  });

  test('T22: 990 annotations of 2,000 slashes in 8 MB are refused by a worker of 64 MiB', async () => {
    expect(bodyOf(slashes).length).toBeGreaterThan(7_900_000);
    const [mutated, validated] = await judgeInWorker(slashes, [MUTATE, VALIDATE]);
    expect(mutated).toMatchObject({ status: 200, record: { outcome: 'allowed', verdict: 'refused' } });
    expect(validated).toMatchObject({ status: 200, record: { outcome: 'denied', verdict: 'refused' } });
    expect(validated?.body).toContain(TOO_MUCH_TEXT);
  });
});

describe('a pod whose patch would be too large', () => {
  test('T22: the mutating entry sends no patch, and the validating entry refuses the pod for that reason alone', () => {
    const { answer } = ask(MUTATE, escapedKeys);
    expect(answer).toMatchObject({ allowed: true });
    expect(answer.patch).toBeUndefined();
    const denial = ask(VALIDATE, escapedKeys).answer;
    expect(denial.allowed).toBe(false);
    expect(causesOf(denial)).toEqual([`pod-size: ${TOO_LARGE_A_PATCH}`]);
  });

  test('the verdict under warn and audit is the one of enforcement', () => {
    for (const path of [WARN, '/validate/audit/userns']) {
      expect(ask(path, escapedKeys).answer).toMatchObject({ allowed: true, auditAnnotations: { verdict: 'refused' } });
    }
  });

  test('a pod of half its annotations is repaired', () => {
    const half = annotated(keysOf(30, '/'.repeat(2_000)));
    const { answer } = ask(MUTATE, half);
    expect(list(JSON.parse(Buffer.from(String(answer.patch), 'base64').toString())).length).toBeGreaterThan(30);
  });
});

test('T22: a denial that would be too long lists one finding, which says so', () => {
  const denial = ask(VALIDATE, controlCharacters);
  expect(denial.answer.allowed).toBe(false);
  expect(causesOf(denial.answer)).toEqual([`pod-size: ${TOO_LONG_A_LIST}`]);
  expect(denial.bytes).toBeLessThan(2_000);
});

/** Characters of one to four bytes, and some that are escaped in a pointer, in JSON or for people. */
const FILLINGS = ['x', '/', '~', '"', '\\', 'ж', '語', '\u{1f469}', '\u0001', '\u2028', '\u{e0001}', '\ud800'];

test.each(FILLINGS.map((each) => [JSON.stringify(each), each]))(
  'T22, T50: no answer has more than 256 KiB, whatever repeats %s',
  (_, each) => {
    for (const length of [120, 2_000, 100_000]) {
      const count = Math.min(990, Math.ceil(160_000 / length));
      const text = each.repeat(Math.ceil(length / each.length));
      const many = <T>(make: (index: number) => T): T[] => Array.from({ length: count }, (_, index) => make(index));
      const pods = [
        annotated(keysOf(count, text)),
        podWith({ volumes: many((index) => ({ name: `${index}${text}`, [text]: {} })) }),
        podWith({ containers: many((index) => ({ name: `${index}${text}`, securityContext: { capabilities: { add: [text, text] } } })) }),
        podWith({ securityContext: { seLinuxOptions: { user: text, level: text } }, containers: many((index) => ({ name: `${index}` })) }),
      ];
      for (const pod of pods) for (const path of PATHS) expect(ask(path, pod).bytes, `${path} ${length}`).toBeLessThanOrEqual(MAX_BYTES);
    }
  },
);

const withoutUid = ({ uid: _, ...answer }: Doc): Doc => answer;

/** Judges in the worker thread of `serve`, with little memory. */
async function judgeInWorker(pod: Doc, paths: readonly string[]): Promise<ReviewResponse[]> {
  const script = new URL('../../../src/webhook-worker.ts', import.meta.url);
  const worker = new Worker(script, { workerData: { config: undefined }, resourceLimits: { maxOldGenerationSizeMb: 64 } });
  const next = (): Promise<unknown> =>
    new Promise((resolve, reject) => {
      worker.once('message', resolve).once('error', reject);
    });
  try {
    await next();
    const answers: ReviewResponse[] = [];
    for (const path of paths) {
      const body = new Uint8Array(bodyOf(pod));
      worker.postMessage({ path, body }, [body.buffer]);
      answers.push((await next()) as ReviewResponse);
    }
    return answers;
  } finally {
    await worker.terminate();
  }
}
