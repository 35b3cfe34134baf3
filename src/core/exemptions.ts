import { matchesAny, type NamePattern } from './name-pattern.ts';

/** Values that an operator lets through for some namespaces and service accounts, with a reason and an expiry. No pod can write one. */
export interface Exemption {
  readonly reason: string;
  readonly expires: Date;
  readonly namespaces: readonly NamePattern[];
  readonly serviceAccounts: readonly NamePattern[];
  /** The containers that have a value; absent: every container, and the pod itself. */
  readonly containers?: readonly NamePattern[] | undefined;
  /** By rule id. */
  readonly allow: ReadonlyMap<string, ReadonlySet<string>>;
}

/** A value that an exemption let through. */
export interface ExemptionUse {
  readonly rule: string;
  readonly value: string;
  readonly reason: string;
}

/** The exemptions in force for one pod. */
export interface ActiveExemptions {
  /** @param container the name of the container that has the value; absent: the pod has it */
  exempts(rule: string, value: string, container?: string): boolean;
  /** The values that were let through so far, each once. */
  readonly used: readonly ExemptionUse[];
}

const NO_EXEMPTIONS: ActiveExemptions = { exempts: () => false, used: [] };

/** The exemptions in force for a pod's namespace and service account. `expires` is exclusive. */
export function findActiveExemptions(
  exemptions: readonly Exemption[],
  namespace: string,
  serviceAccount: string,
  now: Date,
): ActiveExemptions {
  if (exemptions.length === 0) return NO_EXEMPTIONS;
  const inForce = exemptions.filter(
    (each) => now < each.expires && matchesAny(each.namespaces, namespace) && matchesAny(each.serviceAccounts, serviceAccount),
  );
  const used: ExemptionUse[] = [];
  return {
    used,
    exempts(rule, value, container) {
      const found = inForce.find((each) => each.allow.get(rule)?.has(value) && reaches(each, container));
      if (found === undefined) return false;
      const isKnown = used.some((each) => each.rule === rule && each.value === value);
      if (!isKnown) used.push({ rule, value, reason: found.reason });
      return true;
    },
  };
}

/** A value of the pod applies to all its containers, so an exemption for some containers does not let it through. */
function reaches({ containers }: Exemption, container: string | undefined): boolean {
  return containers === undefined || (container !== undefined && matchesAny(containers, container));
}
