import type { Requester } from '../../core/mirror-pod.ts';
import { err, ok, type Result } from '../../core/result.ts';
import { boolean, isObject, list, object, string } from '../../core/shape.ts';
import { managedFieldsIn } from './managed-fields.ts';

/** The fields of an API server's request that Cloister reads. The objects are unchecked: check their shape before reading them. */
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

/** Why a body is no review. With a uid the answer can be an AdmissionReview; without one it is an HTTP status. */
export interface InvalidReview {
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

// Overlong and broken UTF-8 is rejected, and a byte order mark is no JSON: Cloister judges what the API server would read, or nothing.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads an AdmissionReview of admission.k8s.io/v1, with one parse and without copies.
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#request
 */
export function readReview(body: Uint8Array): Result<Review, InvalidReview> {
  return toReview(parse(body));
}

/** The same, but the object may come without its `metadata.managedFields`. */
export function readReviewWithoutManagedFields(body: Uint8Array): Result<Review, InvalidReview> {
  return toReview(parseWithoutManagedFields(body) ?? parse(body));
}

function toReview(parsed: ReturnType<typeof parse>): Result<Review, InvalidReview> {
  if (!parsed.ok) return parsed;
  const { kind: type, apiVersion, request } = parsed.value;
  if (type !== 'AdmissionReview' || apiVersion !== 'admission.k8s.io/v1' || !isObject(request)) {
    return err({ problem: 'the body is not an AdmissionReview of admission.k8s.io/v1 with a request' });
  }
  const { uid } = request;
  if (typeof uid !== 'string' || uid === '') return err({ problem: 'the request has no uid' });
  const mismatch = requestShape(request);
  if (mismatch !== undefined) return err({ uid, problem: `request.${mismatch.path.join('.')} must be ${mismatch.expected}` });

  const { kind, userInfo } = request as RequestFields;
  return ok({
    uid,
    operation: textOf(request.operation),
    group: textOf(kind?.group),
    kind: textOf(kind?.kind),
    subresource: textOf(request.subResource),
    namespace: textOf(request.namespace),
    name: textOf(request.name),
    dryRun: request.dryRun === true,
    requester: { username: textOf(userInfo?.username), groups: userInfo?.groups ?? [] },
    object: request.object,
    oldObject: request.oldObject,
  });
}

/** Checked by `requestShape`. */
interface RequestFields {
  readonly kind?: { readonly group?: string; readonly kind?: string } | null;
  readonly userInfo?: { readonly username?: string; readonly groups?: readonly string[] | null } | null;
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** @returns undefined: the body is not as expected; parse the whole */
function parseWithoutManagedFields(body: Uint8Array): ReturnType<typeof parse> | undefined {
  const cut = managedFieldsIn(body);
  if (cut === undefined) return undefined;
  const [from, to] = cut;
  try {
    const value: unknown = JSON.parse(utf8.decode(Buffer.concat([body.subarray(0, from), body.subarray(to)])));
    const object = isObject(value) && isObject(value.request) ? value.request.object : undefined;
    return isObject(value) && isObject(object) && isObject(object.spec) ? ok(value) : undefined;
  } catch {
    return undefined;
  }
}

function parse(body: Uint8Array): Result<Readonly<Record<string, unknown>>, InvalidReview> {
  try {
    const value: unknown = JSON.parse(utf8.decode(body));
    return isObject(value) ? ok(value) : err({ problem: 'the body is not a JSON object' });
  } catch {
    // The parser's own message would quote the body.
    return err({ problem: 'the body is not JSON in UTF-8' });
  }
}
