import { isDeepStrictEqual } from 'node:util';
import jsonPatch, { type Operation } from 'fast-json-patch';
import type { Respond } from '../../src/webhook/review/respond.ts';
import { faultsOfAnswer, operationsOf } from '../support/answer-rules.ts';
import { gainsOf } from '../support/gains.ts';
import { bytesOf, type Doc, OTHER, type Setting } from '../support/hostile-pods.ts';
import { list, map } from '../support/oracle.ts';
import { dangersOf, isInconsequential, isMirrorPod } from '../support/review-oracle.ts';
import { applyPatch } from '../support/rfc6902.ts';

/** What is asked of the judge, and what it must be judged by. */
export interface Question {
  readonly respond: Respond;
  readonly setting: Setting;
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** Longer than this, an API server that waits for an answer would count as held up. */
const HANG_MS = 1_000;
/** Copying and printing, which those who compare do and the judge does not, end at some two thousand levels. */
const MAX_DEPTH = 500;
export const MUTATE = '/mutate/own';
export const ENFORCE = '/validate/enforce/own';

/**
 * Asks, and holds the answer against everything that must be true of every answer, whatever the bytes: R1 to R3. Nothing of what this
 * compares with comes from the source.
 * @returns what is wrong, in sentences; nothing: all is well
 */
export function faultsOf(question: Question): string[] {
  const { path, bytes } = question;
  const { status, body, faults } = answerTo(question);

  const text = textOf(bytes);
  const request = requestIn(text);
  if (request === undefined) {
    // Mutating does not read managedFields, so it may answer where these alone are broken.
    const isLean = path.startsWith('/mutate/') && status === 200 && mayBeLean(bytes);
    if (status !== 400 && !isLean) faults.push(`R1: status ${status} for what is no review`);
    if (status === 400 && typeof map(JSON.parse(body)).error !== 'string') faults.push(`R1: a refusal without a word: ${body}`);
    return faults;
  }
  if (status !== 200) return [...faults, `R1: status ${status} for a well-formed envelope: ${body}`];

  const isMutating = path.startsWith('/mutate/');
  const asked = { uid: String(request.uid), isMutating, operation: request.operation, subresource: request.subResource };
  faults.push(...faultsOfAnswer(body, asked).map((each) => `R2: the API server would not understand ${each}`));
  const response = map(map(JSON.parse(body)).response);
  const { allowed } = response;
  const setting = settingAt(question);
  if (!/^\/(validate|unknown)\/enforce/.test(path)) {
    if (allowed !== true) faults.push(`R3: ${path} denies`);
  } else if (allowed === true && setting !== undefined) {
    faults.push(...dangersOf(request, setting).map((each) => `R3: let through: ${each}`));
  } else if (
    allowed === true &&
    !isUnjudged(request) &&
    !isMirrorPod(request) &&
    !(path.startsWith('/unknown/') && isInconsequential(request))
  )
    faults.push(`R3: ${path} lets something through that it cannot know`);
  if (response.patch === undefined || setting === undefined || text === undefined || depthOf(text) > MAX_DEPTH) return faults;
  if (mayBeLean(bytes) && isForged(text, request)) return faults;
  const asSet = { ...question, setting };
  return [...faults, ...faultsOfPatching(asSet, map(JSON.parse(text)), operationsOf(response.patch))];
}

/** What the profile of a path is set to; undefined: there is none of that name. */
function settingAt({ path, setting }: Question): Setting | undefined {
  if (path.endsWith('/own')) return setting;
  return path.endsWith('/other') ? { ...OTHER, ...(setting.exempt === undefined ? {} : { exempt: setting.exempt }) } : undefined;
}

/** R2: the patch fits, two appliers agree, nothing is too much, a second pass has nothing to do, and the validating entry is content. */
function faultsOfPatching(question: Question, review: Doc, operations: readonly Doc[]): string[] {
  const faults: string[] = [];
  const { setting } = question;
  const request = map(review.request);
  const before = map(request.object);
  let after: Doc;
  try {
    after = map(applyPatch(before, operations));
    const theirs = jsonPatch.applyPatch(structuredClone(before), structuredClone(operations) as unknown as Operation[], true).newDocument;
    if (!isDeepStrictEqual(theirs, after)) faults.push('R2: two appliers make two pods of one patch');
  } catch (error) {
    return [`R2: the patch does not fit: ${(error as Error).message}`];
  }
  for (const operation of operations) {
    if (operation.op === 'replace' && isDeepStrictEqual(valueAt(before, String(operation.path)), operation.value)) {
      faults.push(`R2: ${operation.path} is replaced by what it is`);
    }
  }
  const loose = danglingIn(before);
  faults.push(
    ...danglingIn(after)
      .filter((each) => !loose.includes(each))
      .map((each) => `R2: the patch leaves a mount without its volume: ${each}`),
  );
  const governing = request.operation === 'UPDATE' ? map(request.oldObject) : before;
  faults.push(...gainsOf(before, after, governing, setting).map((each) => `R3: the patch gives more than the grant: ${each}`));

  const repaired = bytesOf({ ...review, request: { ...request, object: after } });
  const second = answerTo({ ...question, bytes: repaired });
  if (map(map(parsed(second.body)).response).patch !== undefined) faults.push('R2: a second pass patches again');
  const verdict = answerTo({ ...question, path: question.path.replace('/mutate/', '/validate/enforce/'), bytes: repaired });
  const { allowed, status } = map(map(parsed(verdict.body)).response);
  if (allowed !== true) faults.push(`R2: what was repaired is refused: ${map(status).message}`);
  return [...faults, ...second.faults, ...verdict.faults];
}

/** R3: the same bytes get the same answer, whatever other requests came in between. */
export function faultsOfAskingAgain(question: Question): string[] {
  const first = answerTo(question);
  answerTo({ ...question, path: '/validate/audit/other' });
  const second = answerTo({ ...question, bytes: Buffer.from(question.bytes) });
  return isDeepStrictEqual(first, second) ? [] : [`R3: asked twice, it says ${first.body} and then ${second.body}`];
}

/**
 * R2: each operation is needed: without it the pod is patched again, rejected by the API server, or has more findings.
 * @param pick which of them is left out
 */
export function faultsOfLeavingOut(question: Question, pick: number): string[] {
  const review = map(parsed(textOf(question.bytes)));
  const request = map(review.request);
  const operations = operationsOf(map(map(parsed(answerTo(question).body)).response).patch);
  const left = map(operations[pick % operations.length]);
  if (operations.length === 0 || isCompanion(left, request)) return [];
  const ask = (path: string, applied: readonly Doc[]): string => {
    const object = applyPatch(request.object, applied);
    if (danglingIn(map(object)).length > 0) throw new Error('a mount without its volume');
    return answerTo({ ...question, path, bytes: bytesOf({ ...review, request: { ...request, object } }) }).body;
  };
  try {
    const rest = operations.filter((each) => each !== left);
    const again = map(map(parsed(ask(MUTATE, rest))).response).patch;
    if (again !== undefined || ask(ENFORCE, rest) !== ask(ENFORCE, operations)) return [];
    return [`R2: the patch is as good without ${JSON.stringify(left)}`];
  } catch {
    return []; // the API server would not have it, or another operation stands on it
  }
}

/** What says nothing alone, but goes with what does; and what no API server creates. */
function isCompanion({ path }: Doc, { operation }: Doc): boolean {
  return (
    /^\/spec\/overhead$|\/hostIP$/.test(String(path)) || (operation === 'CREATE' && String(path).startsWith('/spec/ephemeralContainers/'))
  );
}

/** Mounts of volumes that are not there, which the API server refuses. */
function danglingIn(pod: Doc): string[] {
  const { volumes, initContainers, containers, ephemeralContainers } = map(pod.spec);
  const names = new Set(list(volumes).map((each) => map(each).name));
  return [initContainers, containers, ephemeralContainers].flatMap((all, kind) =>
    list(all).flatMap((container, index) =>
      list(map(container).volumeMounts)
        .map((mount) => map(mount).name)
        .filter((name) => !names.has(name))
        .map((name) => `${name} in ${kind}/${index}`),
    ),
  );
}

interface Asked {
  readonly status: number;
  readonly body: string;
  readonly faults: string[];
}

function answerTo({ respond, path, bytes }: Question): Asked {
  try {
    const start = performance.now();
    const { status, body } = respond(path, bytes);
    if (performance.now() - start < HANG_MS || !isSlow(() => respond(path, bytes))) return { status, body, faults: [] };
    return { status, body, faults: [`R1: ${path} takes longer than ${HANG_MS} ms`] };
  } catch (error) {
    return { status: 500, body: '{}', faults: [`R1: a crash: ${(error as Error).stack}`] };
  }
}

/** On a busy machine a second passes quickly; what counts is the time that the judge had the processor. */
function isSlow(action: () => void): boolean {
  const before = process.threadCpuUsage();
  action();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1_000 > HANG_MS;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** As a strict reader decodes it; undefined: it is no UTF-8. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The request of an envelope, if its uid could be returned to an API server; otherwise undefined. */
function requestIn(text: string | undefined): Doc | undefined {
  const review = map(parsed(text));
  const { uid } = map(review.request);
  const isReview = review.kind === 'AdmissionReview' && review.apiVersion === 'admission.k8s.io/v1';
  return isReview && typeof uid === 'string' && uid !== '' ? map(review.request) : undefined;
}

/** Requests that no entry judges: nothing is made or changed, or what changes is no pod. */
function isUnjudged({ operation, subResource }: Doc): boolean {
  if (operation !== 'CREATE' && operation !== 'UPDATE') return true;
  return 'attach binding eviction exec log portforward proxy status'.split(' ').includes(String(subResource));
}

const MANAGED = ',"managedFields":[{"manager":"';
const mayBeLean = (bytes: Uint8Array): boolean => Buffer.from(bytes).includes(MANAGED);

/** Whether managedFields stand elsewhere than the API server writes them: what a mutating entry leaves out is then more than them. */
function isForged(text: string | undefined, request: Doc): boolean {
  const { managedFields } = map(map(request.object).metadata);
  const written = `,"managedFields":${JSON.stringify(managedFields)}},"spec":{`;
  return text === undefined || text.split(MANAGED).length !== 2 || !text.includes(written);
}

function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const bracket of text.matchAll(/"(?:[^"\\]|\\.)*"|[[{]|[\]}]/g)) {
    if (bracket[0] === '[' || bracket[0] === '{') depth += 1;
    else if (bracket[0].length === 1) depth -= 1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}

function valueAt(document: unknown, pointer: string): unknown {
  let value = document;
  for (const step of pointer.split('/').slice(1)) {
    value = map(Array.isArray(value) ? { ...value } : value)[step.replaceAll('~1', '/').replaceAll('~0', '~')];
  }
  return value;
}
