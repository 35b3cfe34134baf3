import { randomBytes } from 'node:crypto';
import type { Profile } from '../core/profiles/profile.ts';
import { workspaceNameOf } from '../core/sample-pod.ts';
import type { Namespace } from '../doctor/facts.ts';

/** What a pod of `doctor` needs of its container. */
export interface DoctorContainer {
  readonly image: string;
  readonly imagePullPolicy?: string | undefined;
  readonly args?: readonly string[];
  /** By default a hundredth of a processor, as the limit of a pod that never runs. */
  readonly cpuLimit?: string;
}

export interface PodManifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: Readonly<Record<string, unknown>> & { readonly containers: readonly object[] };
}

export const PSA_LEVEL = 'pod-security.kubernetes.io/enforce';

/** As an author writes it, with nothing about isolation: small, and as strict as the namespace asks of every author. */
export function plainPod(
  profile: Profile,
  namespace: Namespace,
  labels: Readonly<Record<string, string>> = {},
  { cpuLimit = '10m', ...container }: DoctorContainer = { image: 'cloister-doctor' },
): PodManifest {
  const memory = '256Mi';
  const isRestricted = namespace.labels[PSA_LEVEL] === 'restricted';
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `cloister-doctor-${randomBytes(4).toString('hex')}`, labels },
    spec: {
      containers: [
        {
          name: workspaceNameOf(profile),
          ...container,
          resources: { requests: { cpu: '10m', memory }, limits: { cpu: cpuLimit, memory } },
          ...(isRestricted && { securityContext: RESTRICTED }),
        },
      ],
    },
  };
}

const RESTRICTED = {
  runAsNonRoot: true,
  runAsUser: 1000,
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};
