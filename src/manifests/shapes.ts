import type { Json } from '../core/json.ts';
import type { Path } from '../core/path.ts';
import { isObject } from '../core/shape.ts';

/** A pod in an object of a kind whose fields Cloister does not know: a custom resource, or a known kind in another spelling (`pod`). */
export interface ShapedPod {
  /** Path of the pod's spec in the object. */
  readonly specAt: Path;
  /** Path of the object that has the spec. */
  readonly at: Path;
  /** A pod with the metadata and the spec. */
  readonly pod: { readonly [field: string]: Json };
}

export interface Shapes {
  readonly pods: readonly ShapedPod[];
  /** The first field, outside of these pods, that looks like a part of a pod. */
  readonly unjudged: Path | undefined;
}

/** Kinds that only describe pods: history, requests and schemas. By API group and kind. */
const RECORDS: ReadonlySet<string> = new Set([
  'admission.k8s.io/AdmissionReview',
  'apiextensions.k8s.io/CustomResourceDefinition',
  'apps/ControllerRevision',
  'cloister.dev/PolicyTest',
]);

/** The groups of Kubernetes itself. Those of its subprojects, such as `agents.x-k8s.io`, have custom resources. */
const BUILT_IN = /^(?:|apps|autoscaling|batch|extensions|policy|(?:.+\.)?k8s\.io)$/;

/**
 * Finds pods by their shape: a list `containers` whose items have images. As in Knative, an item may lack its name.
 * @param object with a kind that `podPathOf` does not know
 */
export function findShapes(object: Readonly<Record<string, unknown>>, group: string, kind: string): Shapes {
  const pods: ShapedPod[] = [];
  let unjudged: Path | undefined;
  if (RECORDS.has(`${group}/${kind}`)) return { pods, unjudged };
  const isCustom = !BUILT_IN.test(group);
  for (const [name, value] of Object.entries(object)) {
    if (name !== 'status' && name !== 'metadata') search(value, [name], object);
  }
  return { pods, unjudged };

  function search(value: unknown, path: Path, parent: object): void {
    if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) search(item, [...path, index], {});
      return;
    }
    if (!isObject(value)) return;
    if (isPodSpec(value)) {
      const isNamedSpec = path.at(-1) === 'spec';
      // The labels of a custom resource are not those of its pods.
      const hasMetadata = isNamedSpec && (path.length > 1 || kind.toLowerCase() === 'pod');
      const metadata = hasMetadata && 'metadata' in parent ? { metadata: parent.metadata as Json } : {};
      pods.push({ specAt: path, at: isNamedSpec ? path.slice(0, -1) : path, pod: { ...metadata, spec: value as Json } });
      return;
    }
    if (unjudged === undefined) {
      const field = Object.entries(value).find(([name, inner]) => isPartOfPod(name, inner, isCustom))?.[0];
      if (field !== undefined) unjudged = [...path, field];
    }
    for (const [name, inner] of Object.entries(value)) search(inner, [...path, name], value);
  }
}

function isPodSpec({ containers }: Readonly<Record<string, unknown>>): boolean {
  return Array.isArray(containers) && containers.length > 0 && containers.every(isContainer);
}

/** Patterns of policies (`image: "!*:latest"`) are no containers. */
function isContainer(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { name = '', image } = value;
  return typeof image === 'string' && /^[^*?|!<>\s]+$/.test(image) && typeof name === 'string' && /^[-a-z0-9]*$/.test(name);
}

function isPartOfPod(name: string, value: unknown, isCustom: boolean): boolean {
  if (name === 'containers' || name === 'initContainers') return Array.isArray(value) && value.some(isObject);
  return isCustom && name === 'image' && typeof value === 'string';
}
