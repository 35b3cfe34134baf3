import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Respond, ReviewResponse } from '../../src/webhook/review/respond.ts';
import { operationsOf } from '../support/answer-rules.ts';
import type { Doc } from '../support/hostile-pods.ts';
import { list, map } from '../support/oracle.ts';
import { fuzzed } from './cases.ts';
import { faultsOfCase, judge } from './check.ts';

/** What compares must see what is wrong: each of these breaks the judge in one way, and the fuzzer must say so in its words. */
interface Sabotage {
  /** Of an answer; undefined: it is as it was. */
  readonly response?: (response: Doc, path: string) => Doc | undefined;
  readonly whole?: (answer: ReviewResponse, path: string, body: Uint8Array) => ReviewResponse;
  readonly says: RegExp;
}

const patching = (change: (operations: Doc[]) => unknown): NonNullable<Sabotage['response']> => {
  return (response) => {
    if (response.patch === undefined) return undefined;
    return { ...response, patch: Buffer.from(JSON.stringify(change(operationsOf(response.patch)))).toString('base64') };
  };
};
const denied = (change: (status: Doc) => Doc): NonNullable<Sabotage['response']> => {
  return (response) => (response.status === undefined ? undefined : { ...response, status: change(map(response.status)) });
};
const warned = (change: (warning: unknown) => unknown): NonNullable<Sabotage['response']> => {
  return (response) => (response.warnings === undefined ? undefined : { ...response, warnings: list(response.warnings).map(change) });
};

function admittingUpdates(entry: string): NonNullable<Sabotage['whole']> {
  return (answer, path, body) => {
    if (path !== entry || answer.status !== 200 || !Buffer.from(body).includes('"operation":"UPDATE"')) return answer;
    const review = map(JSON.parse(answer.body));
    return { ...answer, body: JSON.stringify({ ...review, response: { uid: map(review.response).uid, allowed: true } }) };
  };
}

let counter = 0;
const SABOTAGES: Readonly<Record<string, Sabotage>> = {
  'crashes sometimes': {
    whole: (answer) => {
      if (answer.body.length % 13 === 0) throw new RangeError('Maximum call stack size exceeded');
      return answer;
    },
    says: /^R1: a crash: RangeError/,
  },
  'answers 500': { whole: (answer) => ({ ...answer, status: answer.status === 200 ? 500 : 400 }), says: /^R1: status 500/ },
  'answers 200 to an invalid review': { whole: (answer) => ({ ...answer, status: 200 }), says: /^R1: status 200/ },
  'rejects without a message': { whole: (answer) => (answer.status === 400 ? { ...answer, body: '{}' } : answer), says: /without a word/ },
  'answers the same review differently': {
    response: (response) => {
      counter += 1;
      return { ...response, auditAnnotations: { note: String(counter) } };
    },
    says: /^R3: asked twice/,
  },
  'admits everything': { response: ({ uid }) => ({ uid, allowed: true }), says: /^R3: let through/ },
  'admits pods of a namespace with an unknown label': {
    response: ({ uid }, path) => (path.startsWith('/unknown/') ? { uid, allowed: true } : undefined),
    says: /^R3: .* cannot know/,
  },
  'admits every update of a pod that is older than its label': {
    whole: admittingUpdates('/validate/enforce/own'),
    // The generated updates keep fields of the wall, so it is missed only where the whole pod counts.
    says: /^R3: let through: the wall does not stand/,
  },
  'admits every update of a pod whose profile is unknown': {
    whole: admittingUpdates('/unknown/enforce'),
    says: /^R3: .* cannot know/,
  },
  'denies under audit': {
    response: (response, path) =>
      path.includes('/audit/')
        ? { uid: response.uid, allowed: false, status: { status: 'Failure', code: 403, reason: 'Forbidden', message: 'x' } }
        : undefined,
    says: /^R3: .* denies/,
  },
  'denies a pod that it repaired': {
    response: (response, path) =>
      path === '/validate/enforce/own'
        ? { uid: response.uid, allowed: false, status: { status: 'Failure', code: 403, reason: 'Forbidden', message: 'x' } }
        : undefined,
    says: /^R2: what was repaired is refused/,
  },
  'answers with another uid': { response: (response) => ({ ...response, uid: `${response.uid}0` }), says: /uid/ },
  'denies without a status': { response: ({ status: _, ...response }) => response, says: /a denial without/ },
  'allows with a status': { response: (response) => ({ ...response, status: { status: 'Failure' } }), says: /a status with an allowance/ },
  'denies with code 200': { response: denied((status) => ({ ...status, code: 200 })), says: /code 200/ },
  'denies with success': { response: denied((status) => ({ ...status, status: 'Success' })), says: /status "Success"/ },
  'denies with an empty message': { response: denied((status) => ({ ...status, message: '' })), says: /message ""/ },
  'denies with a message that is too long': {
    response: denied((status) => ({ ...status, message: 'x'.repeat(4097) })),
    says: /message "x/,
  },
  'denies with a cause of several lines': {
    response: denied((status) => ({ ...status, details: { causes: [{ reason: 'x', field: 'a\nb', message: 'x' }] } })),
    says: /field of a cause/,
  },
  'warns with a control character': { response: warned((warning) => `${warning}\u0007`), says: /warning "/ },
  'warns with an unpaired surrogate': { response: warned((warning) => `${warning}\ud800`), says: /warning "/ },
  'sends an empty list of warnings': { response: (response) => ({ ...response, warnings: [] }), says: /warnings without one/ },
  'writes an audit annotation whose key has a slash': {
    response: (response) => ({ ...response, auditAnnotations: { 'cloister.dev/x': 'y' } }),
    says: /audit annotation "cloister/,
  },
  'writes an audit annotation whose key is too long': {
    response: (response) => ({ ...response, auditAnnotations: { ['k'.repeat(64)]: 'y' } }),
    says: /audit annotation "kkk/,
  },
  'writes audit annotations that are too long': {
    response: (response) => ({ ...response, auditAnnotations: { x: 'y'.repeat(8193) } }),
    says: /annotations of 8193/,
  },
  'answers with an unknown field': { response: (response) => ({ ...response, reason: 'x' }), says: /a field that no response has/ },
  'patches without a patchType': { response: ({ patchType: _, ...response }) => response, says: /patchType undefined/ },
  'sends a patchType without a patch': {
    response: (response) => ({ ...response, patchType: 'JSONPatch' }),
    says: /a patch without an operation|base64/,
  },
  'patches in plain JSON': {
    response: (response) =>
      response.patch === undefined ? undefined : { ...response, patch: JSON.stringify(operationsOf(response.patch)) },
    says: /not in base64/,
  },
  'patches in a validating answer': {
    response: (response) => ({
      ...response,
      patchType: 'JSONPatch',
      patch: Buffer.from('[{"op":"remove","path":"/spec"}]').toString('base64'),
    }),
    says: /a patch by a validating entry/,
  },
  'removes a field that does not exist': {
    response: patching((operations) => [...operations, { op: 'remove', path: '/spec/nothing' }]),
    says: /^R2: the patch does not fit/,
  },
  'adds below a field that does not exist': {
    response: patching((operations) => [{ op: 'add', path: '/spec/no/where', value: 1 }, ...operations]),
    says: /^R2: the patch does not fit/,
  },
  'does not escape a slash': {
    response: patching((operations) => operations.map((each) => ({ ...each, path: String(each.path).replaceAll('~1', '/') }))),
    says: /^R2: the patch does not fit/,
  },
  'sends every operation twice': { response: patching((operations) => [...operations, ...operations]), says: /two operations at/ },
  'replaces a value by itself': {
    response: patching((operations) => [...operations, { op: 'replace', path: '/metadata/name', value: 'workspace' }]),
    says: /is replaced by what it is/,
  },
  'changes an unrelated field': {
    response: patching((operations) => [...operations, { op: 'add', path: '/metadata/annotations/more', value: 'x' }]),
    says: /as good without/,
  },
  'writes a number that Go reads differently': {
    response: patching((operations) => [...operations, { op: 'add', path: '/metadata/generation', value: 2 ** 60 }]),
    says: /a number that Go reads otherwise/,
  },
  'adds a privilege': {
    response: patching((operations) => [...operations, { op: 'add', path: '/spec/hostNetwork', value: true }]),
    says: /^R3: the patch gives more than the grant: hostNetwork/,
  },
  'leaves out the first operation': {
    response: patching((operations) => operations.slice(1)),
    says: /^R2: (a second pass patches again|what was repaired is refused)/,
  },
  'patches again in every pass': {
    response: (response, path) =>
      path === '/mutate/own'
        ? {
            ...response,
            patchType: 'JSONPatch',
            patch: Buffer.from('[{"op":"add","path":"/metadata/name","value":"w"}]').toString('base64'),
          }
        : undefined,
    says: /^R2: a second pass patches again/,
  },
};

describe('the fuzzer detects faults of a judge', () => {
  test.each(Object.entries(SABOTAGES))('the fuzzer detects a judge that %s', (_, sabotage) => {
    expect(foundBy(sabotage)).toEqual(expect.arrayContaining([expect.stringMatching(sabotage.says)]));
  });
});

test('the code that compares shares nothing with the code under test', () => {
  const comparing = ['answer-rules', 'baseline', 'field-types', 'gains', 'oracle', 'review-oracle', 'rfc6902'];
  const imports = comparing.flatMap((name) => {
    const text = readFileSync(new URL(`../support/${name}.ts`, import.meta.url), 'utf8');
    return [...text.matchAll(/^import (?!type )[^;]*? from '(.*)';/gm)].map(([, from]) => from);
  });
  expect(imports.filter((from) => !comparing.some((name) => from === `./${name}.ts`))).toEqual([]);
});

/** The same cases every time: whether the fuzzer sees is not to be a matter of luck. */
function foundBy(sabotage: Sabotage): string[] {
  const found: string[] = [];
  const broken = fc.property(fuzzed, (given) => {
    found.push(...faultsOfCase(given, (setting) => spoilt(judge(setting), sabotage)));
    return !found.some((each) => sabotage.says.test(each));
  });
  fc.check(broken, { seed: 1, numRuns: 3_000, endOnFailure: true });
  return found.filter((each) => sabotage.says.test(each)).slice(0, 1);
}

function spoilt(respond: Respond, { response: change, whole }: Sabotage): Respond {
  return (path, body) => {
    const answer = respond(path, body);
    if (whole !== undefined) return whole(answer, path, body);
    if (answer.status !== 200) return answer;
    const review = map(JSON.parse(answer.body));
    const changed = change?.(map(review.response), path);
    return changed === undefined ? answer : { ...answer, body: JSON.stringify({ ...review, response: changed }) };
  };
}
