import { applyToCopy } from '../../src/apply-patch.ts';
import type { PatchOp } from '../../src/core/patch.ts';
import type { PolicyConfig } from '../../src/core/policy.ts';
import type { Mode } from '../../src/core/request-record.ts';
import { podPathOf } from '../../src/core/subject.ts';
import type { JudgedPod } from '../../src/judging/judge-source.ts';
import { makeRespond, type Respond } from '../../src/webhook/review/respond.ts';

/** What the author of an object sees when the object is created in a cluster, and what the audit log gets. */
export interface AuthorView {
  /** Each is printed by kubectl after `Warning: `. */
  readonly warnings: readonly string[];
  /** Why the object is not created; undefined: it is created. */
  readonly denial?: string | undefined;
  /** The annotations of the audit event, by name. */
  readonly audit: Readonly<Record<string, string>>;
  /** Whether Cloister is called for this object. Without a call, the pods that the object creates are judged when they are created. */
  readonly isCalled: boolean;
}

/** The fields of a response of the webhook that a person sees. */
interface ShownResponse {
  readonly allowed: boolean;
  readonly patch?: string;
  readonly warnings?: readonly string[];
  readonly auditAnnotations?: Readonly<Record<string, string>>;
  readonly status?: { readonly message: string };
}

interface ViewContext {
  readonly settings: PolicyConfig;
  readonly mode: Mode;
  readonly now: Date;
}

/** Calls the code of the webhook with the reviews that an API server would send: pods under enforce first to be repaired, and then to be judged. */
export function authorViewOf({ found, choice, input }: JudgedPod, { settings, mode, now }: ViewContext): AuthorView {
  const { group, kind, name, document } = found.subject;
  if (podPathOf(group, kind) === undefined) return { warnings: [], audit: {}, isCalled: false };
  const respond = makeRespond({ profiles: settings.profiles, exemptions: settings.exemptions }, { apply: applyToCopy, now: () => now });
  const profile = choice.profile.id;
  const review = (path: string, object: object): ShownResponse =>
    call(respond, path, { group, kind, name, namespace: input.namespace, object });

  const isPod = kind === 'Pod';
  const mutated = isPod && mode === 'enforce' ? review(`/mutate/${profile}`, document) : undefined;
  const object = mutated?.patch === undefined ? document : applyToCopy(document, patchIn(mutated.patch));
  const judged = review(`/${isPod ? 'validate' : 'advise'}/${mode}/${profile}`, object);
  return {
    // The API server drops a warning that it has already.
    warnings: [...new Set([...(mutated?.warnings ?? []), ...(judged.warnings ?? [])])],
    denial: judged.allowed ? undefined : judged.status?.message,
    audit: { ...mutated?.auditAnnotations, ...judged.auditAnnotations },
    isCalled: true,
  };
}

interface ReviewedObject {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
  readonly object: object;
}

function call(respond: Respond, path: string, { group, kind, name, namespace, object }: ReviewedObject): ShownResponse {
  const request = {
    uid: 'playground',
    kind: { group, version: 'v1', kind },
    operation: 'CREATE',
    name,
    namespace,
    userInfo: { username: 'author', groups: ['system:authenticated'] },
    object,
  };
  const body = new TextEncoder().encode(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request }));
  return (JSON.parse(respond(path, body).body) as { readonly response: ShownResponse }).response;
}

const patchIn = (base64: string): PatchOp[] =>
  JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)))) as PatchOp[];
