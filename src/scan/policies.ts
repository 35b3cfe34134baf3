import { profilesInForce } from '../core/governance.ts';
import { PROFILE_LABEL } from '../core/labels.ts';
import { labelOf, type Pod } from '../core/pod.ts';
import { type Policy, selectPolicy } from '../core/policy.ts';
import type { ScanMode } from '../report/scan/scan-report.ts';
import type { NamespaceFacts, ScanSettings } from './types.ts';

/** A policy that is in force for a pod. */
export interface PolicyInForce {
  readonly mode: ScanMode;
  /** As a label or the configuration names it. */
  readonly profile: string;
  /** undefined: no profile of this name is configured. */
  readonly policy: Policy | undefined;
  /** Whether the label of the namespace names the profile. */
  readonly isLabelled: boolean;
}

/** Whether all pods of a namespace are judged. In other namespaces only pods count that opt in. */
export function isGoverned({ name, labels }: NamespaceFacts, { governance, preview, excluded }: ScanSettings): boolean {
  if (excluded.has(name)) return false;
  return preview !== undefined || profilesInForce(name, (key) => labels.get(key), governance).length > 0;
}

/** The policies that are in force for a pod, as the webhook entries select them. Several modes give several policies. */
export function policiesFor(pod: Pod, { name, labels }: NamespaceFacts, settings: ScanSettings): readonly PolicyInForce[] {
  const { profiles, preview, excluded, governance } = settings;
  if (excluded.has(name)) return [];
  const inForce = (mode: ScanMode, profile: string, isLabelled: boolean): PolicyInForce => {
    const found = mode === 'preview' ? preview : profiles.get(profile);
    const obeysProfileLabel = mode !== 'warn' && mode !== 'audit';
    return { mode, profile, policy: found && selectPolicy(found, pod, { profiles, obeysProfileLabel }), isLabelled };
  };
  if (preview !== undefined) return [inForce('preview', preview.id, false)];
  const ofNamespace = profilesInForce(name, (key) => labels.get(key), governance);
  const governed = ofNamespace.map(({ mode, profile, by }) => inForce(mode, profile, by === undefined));
  const label = labelOf(pod, PROFILE_LABEL);
  const optsIn = label !== undefined && !ofNamespace.some(({ mode }) => mode === 'enforce');
  return optsIn ? [inForce('opt-in', label, false), ...governed] : governed;
}
