import type { Doc } from './hostile-pods.ts';
import { list, map } from './oracle.ts';

/** The parts of a request that decide which answers are valid. */
export interface Asked {
  readonly uid: string;
  readonly isMutating: boolean;
  readonly operation: unknown;
  readonly subresource: unknown;
}

/** Limits that leave room for other content of an audit log and of a response. */
const MAX_ANSWER_BYTES = 256 * 1024;
const MAX_ANNOTATION_BYTES = 8 * 1024;
const MAX_WARNING_LETTERS = 4096;
const RESPONSE_FIELDS = ['uid', 'allowed', 'status', 'patch', 'patchType', 'auditAnnotations', 'warnings'];
const STATUS_FIELDS = ['status', 'code', 'reason', 'message', 'details'];
const CAUSE_FIELDS = ['reason', 'field', 'message'];
const REASONS: Readonly<Record<number, string>> = { 400: 'BadRequest', 403: 'Forbidden' };

/**
 * Problems of an answer: what the API server would not understand or would drop, and what a terminal would obey. Written from the API
 * server's own checks; it shares no code with the source.
 *
 * Sources: k8s.io/apiserver pkg/admission/plugin/webhook/request/admissionreview.go (VerifyAdmissionResponse), mutating/dispatcher.go,
 * errors/statuserror.go, k8s.io/apiserver pkg/audit (annotation keys are qualified names), k8s.io/apimachinery pkg/util/net/http.go
 * (NewWarningHeader).
 */
export function faultsOfAnswer(text: string, asked: Asked): string[] {
  const faults: string[] = [];
  const fault = (isOne: boolean, what: string): void => void (isOne && faults.push(what));
  fault(Buffer.byteLength(text) > MAX_ANSWER_BYTES, `an answer of ${Buffer.byteLength(text)} bytes`);
  const answer = map(parsed(text));
  fault(answer.apiVersion !== 'admission.k8s.io/v1' || answer.kind !== 'AdmissionReview', 'an answer that is no AdmissionReview');
  fault(strangers(answer, ['apiVersion', 'kind', 'response']), 'a field that no AdmissionReview has');

  const response = map(answer.response);
  const { uid, allowed, status, patch, patchType, auditAnnotations, warnings } = response;
  fault(strangers(response, RESPONSE_FIELDS), 'a field that no response has');
  fault(uid !== asked.uid, `uid ${JSON.stringify(uid)}`);
  fault(typeof allowed !== 'boolean', `allowed: ${JSON.stringify(allowed)}`);
  fault((status === undefined) !== (allowed === true), 'a status with an allowance, or a denial without');
  if (status !== undefined) faults.push(...faultsOfStatus(map(status)));
  if ('patch' in response || 'patchType' in response) faults.push(...faultsOfPatch(patch, patchType, allowed, asked));

  fault(warnings !== undefined && list(warnings).length === 0, 'warnings without one');
  // Beyond it the API server shortens every warning.
  const letters = list(warnings).reduce<number>((sum, warning) => sum + String(warning).length, 0);
  fault(letters > MAX_WARNING_LETTERS, `warnings of ${letters} letters`);
  fault(list(warnings).filter((each) => String(each).includes(': the repair ')).length > 2, 'more than two warnings about the repair');
  for (const warning of list(warnings)) fault(!isOneLine(warning), `warning ${JSON.stringify(warning)}`);
  const annotations = Object.entries(map(auditAnnotations));
  fault(auditAnnotations !== undefined && annotations.length === 0, 'audit annotations without one');
  // The API server puts the webhook's name and a slash before the key.
  for (const [key] of annotations) fault(!/^[a-z0-9]([-a-z0-9_.]{0,61}[a-z0-9])?$/i.test(key), `audit annotation ${JSON.stringify(key)}`);
  for (const [key, value] of annotations) fault(!isOneLine(value), `audit annotation ${key}: ${JSON.stringify(value)}`);
  const size = annotations.reduce((bytes, [, value]) => bytes + Buffer.byteLength(String(value)), 0);
  fault(size > MAX_ANNOTATION_BYTES, `audit annotations of ${size} bytes`);
  return faults;
}

/** The caller gets a denial's code: below 400 it would be no error, and above 599 no HTTP status. */
function faultsOfStatus(status: Doc): string[] {
  const faults: string[] = [];
  const fault = (isOne: boolean, what: string): void => void (isOne && faults.push(what));
  const { code, reason, message, details } = status;
  fault(strangers(status, STATUS_FIELDS), 'a field that no status has');
  fault(status.status !== 'Failure', `status ${JSON.stringify(status.status)}`);
  fault(typeof code !== 'number' || REASONS[code] === undefined || REASONS[code] !== reason, `code ${code} with reason ${reason}`);
  fault(typeof message !== 'string' || message === '' || Buffer.byteLength(message) > 4096, `message ${JSON.stringify(message)}`);
  for (const line of String(message).split('\n')) fault(!isOneLine(line), `line of a message ${JSON.stringify(line)}`);
  fault(strangers(map(details), ['causes']), 'a field that no details need');
  fault(details !== undefined && list(map(details).causes).length === 0, 'details without a cause');
  for (const cause of list(map(details).causes).map(map)) {
    fault(strangers(cause, CAUSE_FIELDS), 'a field that no cause has');
    for (const field of CAUSE_FIELDS) fault(!isOneLine(cause[field]), `${field} of a cause: ${JSON.stringify(cause[field])}`);
  }
  return faults;
}

function faultsOfPatch(patch: unknown, patchType: unknown, allowed: unknown, { isMutating, operation, subresource }: Asked): string[] {
  const faults: string[] = [];
  const fault = (isOne: boolean, what: string): void => void (isOne && faults.push(what));
  fault(!isMutating, 'a patch by a validating entry');
  fault(allowed !== true, 'a patch with a denial');
  fault(patchType !== 'JSONPatch', `patchType ${JSON.stringify(patchType)}`);
  const mayChange = (operation === 'CREATE' && !subresource) || (operation === 'UPDATE' && subresource === 'ephemeralcontainers');
  fault(!mayChange, `a patch on ${operation} ${subresource}`);
  fault(Buffer.from(String(patch), 'base64').toString('base64') !== patch, 'a patch that is not in base64');
  const operations = operationsOf(patch);
  fault(operations.length === 0, 'a patch without an operation');
  const paths = new Set<unknown>();
  for (const operation of operations) {
    const { op, path, value } = operation;
    const members = op === 'remove' ? ['op', 'path'] : ['op', 'path', 'value'];
    fault(!['add', 'replace', 'remove'].includes(String(op)), `operation ${op}`);
    fault(
      strangers(operation, members) || members.some((each) => !Object.hasOwn(operation, each)),
      `members of ${JSON.stringify(operation)}`,
    );
    fault(typeof path !== 'string' || !/^(\/([^~/]|~[01])*)+$/.test(path), `path ${JSON.stringify(path)}`);
    fault(paths.has(path) && !String(path).endsWith('/-'), `two operations at ${path}`);
    fault(
      numbersIn(value).some((each) => !Number.isSafeInteger(each)),
      `a number that Go reads otherwise: ${JSON.stringify(value)}`,
    );
    paths.add(path);
  }
  return faults;
}

/** Empty: it cannot be read. */
export function operationsOf(patch: unknown): Doc[] {
  return list(parsed(Buffer.from(String(patch), 'base64').toString())).map(map);
}

/** Go refuses a warning with a control character. Terminals obey these, and characters that reverse or hide text. Unpaired surrogates are replaced in transit. */
const isOneLine = (text: unknown): boolean => typeof text === 'string' && text !== '' && !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(text);

const strangers = (value: Doc, known: readonly string[]): boolean => Object.keys(value).some((key) => !known.includes(key));

function numbersIn(value: unknown): number[] {
  if (typeof value === 'number') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(numbersIn) : [];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
