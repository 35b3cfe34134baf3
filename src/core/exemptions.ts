import { matches, type NamePattern } from './name-pattern.ts';

/** An operator's reasoned, expiring leave for some values, for some namespaces and service accounts. No pod can write one. */
export interface Exemption {
  readonly reason: string;
  readonly expires: Date;
  readonly namespaces: readonly NamePattern[];
  readonly serviceAccounts: readonly NamePattern[];
  /** By rule id. */
  readonly allow: ReadonlyMap<string, ReadonlySet<string>>;
}

export interface ExemptionUse {
  readonly rule: string;
  readonly value: string;
  readonly reason: string;
}

export interface Leave {
  exempts(rule: string, value: string): boolean;
  /** What was let through so far, each value once. */
  readonly used: readonly ExemptionUse[];
}

const NO_LEAVE: Leave = { exempts: () => false, used: [] };

/** The leave a pod has by where it lives and whom it runs as. Expired exemptions give none: the hour they name is the first without them. */
export function leaveFor(exemptions: readonly Exemption[], namespace: string, serviceAccount: string, now: Date): Leave {
  if (exemptions.length === 0) return NO_LEAVE;
  const inForce = exemptions.filter(
    (each) => now < each.expires && matches(each.namespaces, namespace) && matches(each.serviceAccounts, serviceAccount),
  );
  const used: ExemptionUse[] = [];
  return {
    used,
    exempts(rule, value) {
      const found = inForce.find((each) => each.allow.get(rule)?.has(value));
      if (found === undefined) return false;
      const isTold = used.some((each) => each.rule === rule && each.value === value);
      if (!isTold) used.push({ rule, value, reason: found.reason });
      return true;
    },
  };
}
