import { MISSING_POLICY } from '../core/object-names.ts';
import { userns } from '../core/profiles/userns.ts';
import { err, ok, type Result } from '../core/result.ts';
import type { Target } from '../manifests/entries.ts';
import { MANAGER } from '../manifests/labels.ts';
import { type Manifest, policies } from '../manifests/policies.ts';
import { userRoles } from '../manifests/rbac.ts';
import { type BackstopConfig, backstop } from './backstop.ts';
import { repairPolicies } from './repair.ts';
import { unknownProfile } from './unknown.ts';

/** Nothing is called, and no namespace is Cloister's own. */
const NO_SERVER: Target = { url: '' };

/**
 * All objects with which API servers of Kubernetes 1.36 and later repair and refuse pods by themselves: no webhook is called. They must not be
 * combined with the webhook configurations: the webhook would find only repaired pods, and report nothing to their authors.
 * @returns or each part of the configuration for which a webhook is needed
 */
export function inTreeObjects(config: BackstopConfig, now: Date): Result<readonly Manifest[], readonly string[]> {
  const problems = [
    ...[...config.profiles.values()].flatMap(({ id, backend }) =>
      backend.id === userns.id ? [] : [`profiles.${id}: is a profile of ${backend.id}, whose pods only a webhook can repair: leave it out`],
    ),
    ...watchedBy(config.governance.byName.map(({ profiles }) => profiles)).map(
      ([index, mode]) => `governs[${index}].${mode}: ${NEEDS_WEBHOOK}`,
    ),
    ...watchedBy([config.governance.otherwise]).map(([, mode]) => `default.${mode}: ${NEEDS_WEBHOOK}`),
  ];
  if (problems.length > 0) return err(problems);
  return ok([
    ...repairPolicies(config, NO_SERVER, now),
    ...backstop(config, NO_SERVER),
    ...unknownProfile(config, NO_SERVER),
    ...policies({ ...config, guard: false, backstop: false }, NO_SERVER),
    ...userRoles().filter(({ metadata }) => metadata.name !== MANAGER),
  ]);
}

const NEEDS_WEBHOOK = 'only a webhook can warn and audit: leave it out';

function watchedBy(profiles: readonly { readonly warn?: string; readonly audit?: string }[]): readonly (readonly [number, string])[] {
  return profiles.flatMap((each, index) =>
    (['warn', 'audit'] as const).flatMap((mode) => (each[mode] === undefined ? [] : [[index, mode] as const])),
  );
}

/** What both renderings have in common. */
export interface PrintedObject {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec?: unknown;
}

export const STATIC_KINDS = ['validating', 'mutating'] as const;
export type StaticKind = (typeof STATIC_KINDS)[number];

/** Names that end so are reserved for objects that the API server reads from files: no request can create, change or delete them. Source: KEP-5793. */
const STATIC_SUFFIX = '.static.k8s.io';

/**
 * The policies and bindings of one kind under names for files. A directory of an API server holds objects of one kind. Policies in files have no
 * parameters, so the one whose parameter is another policy is left out: a file cannot be missing in part.
 */
export function staticObjects(objects: readonly PrintedObject[], kind: StaticKind): readonly PrintedObject[] {
  const prefix = kind === 'validating' ? 'ValidatingAdmissionPolicy' : 'MutatingAdmissionPolicy';
  return objects
    .filter(({ kind: each, metadata }) => each.startsWith(prefix) && !metadata.name.startsWith(MISSING_POLICY))
    .map((each) => {
      const spec = each.spec as { readonly policyName?: string }; // of a policy or a binding
      return {
        ...each,
        metadata: { ...each.metadata, name: each.metadata.name + STATIC_SUFFIX },
        spec: spec.policyName === undefined ? spec : { ...spec, policyName: spec.policyName + STATIC_SUFFIX },
      };
    });
}
