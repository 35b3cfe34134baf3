import type { Requester } from '../core/mirror.ts';
import type { Result } from '../core/result.ts';
import { boolean, isObject, list, object, string } from '../core/shape.ts';
import { managedFieldsIn } from './managed-fields.ts';

/** A request of the API server's, as far as we read it. Objects stay as they came; whoever judges one proves it first. */
export interface Review {
  readonly uid: string;
  readonly operation: string;
  readonly group: string;
  readonly kind: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  readonly dryRun: boolean;
  readonly requester: Requester;
  readonly object: unknown;
  readonly oldObject: unknown;
}

/** Why a body is no review. With a uid it can still be answered in the API server's own terms; without one, only by a status code. */
export interface Unreadable {
  readonly uid?: string;
  readonly problem: string;
}

const requestShape = object({
  kind: object({ group: string, kind: string }),
  subResource: string,
  operation: string,
  namespace: string,
  name: string,
  dryRun: boolean,
  userInfo: object({ username: string, groups: list(string) }),
});

// Overlong and broken UTF-8 is refused, a byte order mark is no JSON: we judge what the API server would read, or nothing.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads an AdmissionReview of admission.k8s.io/v1. One parse; nothing is copied.
 * @param isLean whether the object may come without its `metadata.managedFields`
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#request
 */
export function readReview(body: Uint8Array, isLean = false): Result<Review, Unreadable> {
  const review = (isLean ? parseLean(body) : undefined) ?? parse(body);
  if (!review.ok) return review;
  const { request } = review.value;
  if (review.value.kind !== 'AdmissionReview' || review.value.apiVersion !== 'admission.k8s.io/v1' || !isObject(request)) {
    return unreadable('the body is no AdmissionReview of admission.k8s.io/v1 with a request');
  }
  const { uid } = request;
  if (typeof uid !== 'string' || uid === '') return unreadable('the request has no uid');
  const mismatch = requestShape(request);
  if (mismatch !== undefined)
    return { ok: false, error: { uid, problem: `request.${mismatch.path.join('.')} must be ${mismatch.expected}` } };

  const { kind, userInfo } = request as Fields;
  return {
    ok: true,
    value: {
      uid,
      operation: text(request.operation),
      group: text(kind?.group),
      kind: text(kind?.kind),
      subresource: text(request.subResource),
      namespace: text(request.namespace),
      name: text(request.name),
      dryRun: request.dryRun === true,
      requester: { username: text(userInfo?.username), groups: userInfo?.groups ?? [] },
      object: request.object,
      oldObject: request.oldObject,
    },
  };
}

/** Proved by `requestShape`. */
interface Fields {
  readonly kind?: { readonly group?: string; readonly kind?: string } | null;
  readonly userInfo?: { readonly username?: string; readonly groups?: readonly string[] | null } | null;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** undefined: anything was not as expected, and the whole is to be read. */
function parseLean(body: Uint8Array): ReturnType<typeof parse> | undefined {
  const cut = managedFieldsIn(body);
  if (cut === undefined) return undefined;
  const [from, to] = cut;
  try {
    const value: unknown = JSON.parse(utf8.decode(Buffer.concat([body.subarray(0, from), body.subarray(to)])));
    const object = isObject(value) && isObject(value.request) ? value.request.object : undefined;
    return isObject(value) && isObject(object) && isObject(object.spec) ? { ok: true, value } : undefined;
  } catch {
    return undefined;
  }
}

function parse(body: Uint8Array): Result<Readonly<Record<string, unknown>>, Unreadable> {
  try {
    const value: unknown = JSON.parse(utf8.decode(body));
    return isObject(value) ? { ok: true, value } : unreadable('the body is not a JSON object');
  } catch {
    // The parser's own message quotes the body.
    return unreadable('the body is not JSON in UTF-8');
  }
}

function unreadable(problem: string): { readonly ok: false; readonly error: Unreadable } {
  return { ok: false, error: { problem } };
}
