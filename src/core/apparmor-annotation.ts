import { type AppArmorProfile, annotationOf, type Pod } from './pod.ts';

/** The prefix of the annotations that set AppArmor before Kubernetes 1.30; the container's name follows. Container runtimes still obey them. */
export const APPARMOR_ANNOTATION = 'container.apparmor.security.beta.kubernetes.io/';

/** The profile that an annotation of the pod sets for a container; undefined: there is no such annotation. */
export function annotatedProfileOf(pod: Pod, container: string): AppArmorProfile | undefined {
  const value = annotationOf(pod, APPARMOR_ANNOTATION + container);
  return value === undefined ? undefined : parseAppArmorAnnotation(value);
}

/** The value as the field `appArmorProfile` would hold it. An unknown value counts as Unconfined, the weakest setting. */
export function parseAppArmorAnnotation(value: string): AppArmorProfile {
  if (value === 'runtime/default') return { type: 'RuntimeDefault' };
  if (value.startsWith('localhost/')) return { type: 'Localhost', localhostProfile: value.slice('localhost/'.length) };
  return { type: 'Unconfined' };
}

/** The annotation that says the same as the field. */
export function printAppArmorAnnotation({ type, localhostProfile }: AppArmorProfile): string {
  if (type === 'RuntimeDefault') return 'runtime/default';
  return type === 'Localhost' ? `localhost/${localhostProfile}` : 'unconfined';
}
