import { type Cel, listAt, quote, text } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import { orEmpty, specOf } from '../pod.ts';
import { printable } from '../printable.ts';
import type { Subject } from '../subject.ts';
import {
  emptySourcesOf,
  holdsCertificate,
  holdsToken,
  injectedTokensOf,
  isInjected,
  isInjectedTokenCel,
  sourcesCel,
} from '../token-volumes.ts';
import { type Finding, REMOVE, type Rule } from './rule.ts';

const CERTIFICATE_REMEDY = 'remove its podCertificate source';

/**
 * RBAC decides what a workspace's token allows. Where the operator wants no token in workspaces, it is removed. A certificate of the pod's
 * identity is a credential as well. A Secret of type service-account-token holds a token too, and no pod shows the type of a Secret.
 *
 * Fields: spec.automountServiceAccountToken, the injected volume and its mounts
 * Allowed: anything, unless the profile says `serviceAccountToken: remove`
 * Fix: set false; drop volume and mounts. None for a token or a certificate that the author projects.
 * Source: https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/
 */
export const serviceAccountToken: Rule = {
  id: 'service-account-token',
  summary: 'The pod has no service account token where the profile takes it away.',
  fields: ['spec.automountServiceAccountToken', 'spec.volumes[*].projected', 'spec.containers[*].volumeMounts[*].name'],
  checkPod(pod, report, { requirements, containers }) {
    if (!requirements.removesToken) return;
    const { automountServiceAccountToken, volumes } = specOf(pod);
    if (automountServiceAccountToken !== false) {
      report({ path: ['spec', 'automountServiceAccountToken'], message: 'a service account token is mounted', fix: { set: false } });
    }
    for (const [index, volume] of orEmpty(volumes).entries()) {
      const path = ['spec', 'volumes', index];
      if (holdsCertificate(volume)) {
        const message = `volume "${excerptOf(volume.name ?? '')}" holds a certificate of the pod's identity`;
        report({ path: [...path, 'projected'], message, remedy: CERTIFICATE_REMEDY });
      }
      if (!holdsToken(volume)) continue;
      const message = `volume "${excerptOf(volume.name ?? '')}" holds a service account token`;
      report(isInjected(volume) ? { path, message, fix: REMOVE } : { path, message, remedy: 'remove its serviceAccountToken source' });
    }
    const injected = injectedTokensOf(orEmpty(volumes));
    for (const { list, index, spec } of containers) {
      for (const [mount, { name }] of orEmpty(spec.volumeMounts).entries()) {
        if (!injected.has(name)) continue;
        report({
          path: ['spec', list, index, 'volumeMounts', mount],
          message: `volume "${excerptOf(name ?? '')}" holds a service account token`,
          fix: REMOVE,
        });
      }
    }
  },
  inTree: {
    pod({ spec }, { removesToken }) {
      if (!removesToken) return [];
      const volumes = [listAt(spec, 'volumes'), 'v'] as const;
      const sources = sourcesCel('v');
      return [
        {
          where: `${spec}.?automountServiceAccountToken.orValue(true)`,
          says: quote('a service account token is mounted'),
          remedy: quote('set automountServiceAccountToken to false'),
        },
        {
          each: volumes,
          where: `${sources}.exists(s, has(s.serviceAccountToken))`,
          says: text`volume "${'v.name'}" holds a service account token`,
          remedy: quote('remove its serviceAccountToken source'),
        },
        {
          each: volumes,
          where: `${sources}.exists(s, has(s.podCertificate))`,
          says: text`volume "${'v.name'}" holds a certificate of the pod's identity`,
          remedy: quote(CERTIFICATE_REMEDY),
        },
      ];
    },
  },
  inTreeFixes: {
    pod({ spec }, { removesToken }) {
      if (!removesToken) return [];
      return [
        { path: 'spec.automountServiceAccountToken', where: `${spec}.?automountServiceAccountToken.orValue(true)`, set: () => 'false' },
        {
          path: 'spec.volumes',
          where: `${listAt(spec, 'volumes')}.exists(v, ${isInjectedTokenCel('v')})`,
          removeElements: isInjectedTokenCel,
        },
      ];
    },
    container({ spec }, { removesToken }) {
      if (!removesToken) return [];
      const isOfToken = (mount: Cel): Cel => `${listAt(spec, 'volumes')}.exists(v, v.name == ${mount}.name && ${isInjectedTokenCel('v')})`;
      return [
        {
          path: 'volumeMounts',
          where: `${listAt('c', 'volumeMounts')}.exists(m, ${isOfToken('m')})`,
          removeElements: isOfToken,
        },
      ];
    },
  },
};

/**
 * Why a new pod without any repair may have reached the validating entry, although only repairs are due: the author's podCertificate was there
 * when the mutating entry judged the pod and left it to the author, and the API server dropped it then. An empty source may also have been a
 * clusterTrustBundle, or empty when it was sent: the pod does not show which.
 * Source: dropDisabledPodCertificateProjection and dropDisabledClusterTrustBundleProjection in pkg/api/pod of Kubernetes
 */
export function findDroppedCertificates({ pod, at }: Subject): Finding[] {
  return orEmpty(specOf(pod).volumes).flatMap((volume, index) =>
    emptySourcesOf(volume).map((source): Finding => {
      const name = excerptOf(volume.name ?? '');
      const message = `source ${source} of volume "${name}" is empty: it was sent so, or the API server dropped a podCertificate or clusterTrustBundle, whose feature gate is off`;
      const path = [...at, 'spec', 'volumes', index, 'projected', 'sources', source];
      return { rule: serviceAccountToken.id, kind: 'escape', path, message: printable(message), remedy: 'remove this source' };
    }),
  );
}
