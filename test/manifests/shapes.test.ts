import { describe, expect, test } from 'vitest';
import { printPath } from '../../src/core/path.ts';
import { readText, type SourceDocument } from '../../src/manifests/read.ts';

function read(text: string): SourceDocument {
  const content = readText('x.yaml', text);
  const [document] = 'source' in content ? content.source.documents : [];
  if (document === undefined) throw new Error(JSON.stringify(content));
  return document;
}

/** The fields of what a custom resource contains of a pod. */
const SPEC = '{hostPID: true, containers: [{name: a, image: b}]}';

describe('pods in custom resources are found by their shape', () => {
  test.each([
    ['a Sandbox', 'apiVersion: agents.x-k8s.io/v1beta1', 'Sandbox', `{podTemplate: {spec: ${SPEC}}}`, ['spec.podTemplate.spec.hostPID']],
    ['a Rollout', 'apiVersion: argoproj.io/v1alpha1', 'Rollout', `{template: {spec: ${SPEC}}}`, ['spec.template.spec.hostPID']],
    [
      'a Knative Service, whose container has no name',
      'apiVersion: serving.knative.dev/v1',
      'Service',
      '{template: {spec: {containers: [{image: b}]}}}',
      ['spec.template.spec.hostPID'],
    ],
    ['a Notebook', 'apiVersion: kubeflow.org/v1', 'Notebook', `{template: {spec: ${SPEC}}}`, ['spec.template.spec.hostPID']],
    [
      'a RayCluster with two pods',
      'apiVersion: ray.io/v1',
      'RayCluster',
      `{headGroupSpec: {template: {spec: ${SPEC}}}, workerGroupSpecs: [{template: {spec: ${SPEC}}}]}`,
      ['spec.headGroupSpec.template.spec.hostPID', 'spec.workerGroupSpecs[0].template.spec.hostPID'],
    ],
    [
      'an InferenceService, whose pod is mixed with other fields',
      'apiVersion: serving.kserve.io/v1beta1',
      'InferenceService',
      '{predictor: {minReplicas: 1, containers: [{image: b}]}}',
      ['spec.predictor.hostPID'],
    ],
    [
      'a Deployment of an API that is gone',
      'apiVersion: extensions/v1beta1',
      'Deployment',
      `{template: {spec: ${SPEC}}}`,
      ['spec.template.spec.hostPID'],
    ],
    ['a Pod with its kind in lower case', 'apiVersion: v1', 'pod', SPEC, ['spec.hostPID']],
  ])('the pods of %s are found', (_, apiVersion, kind, spec, paths) => {
    const { pods, unjudged, withoutPod } = read(`${apiVersion}\nkind: ${kind}\nmetadata: {name: web, namespace: team-a}\nspec: ${spec}\n`);
    expect(pods.map(({ pathOf }) => printPath(pathOf(['spec', 'hostPID'])))).toEqual(paths);
    for (const { subject } of pods) expect([subject.kind, subject.name, subject.namespace]).toEqual([kind, 'web', 'team-a']);
    expect([unjudged, withoutPod]).toEqual([[], 0]);
  });

  test('the labels of the template count, and those of the custom resource do not', () => {
    const labels = (value: string) => `metadata: {name: web, labels: {cloister.dev/grant: ${value}}}`;
    const labelsIn = (text: string) => read(text).pods.map(({ subject }) => subject.pod.metadata?.labels);
    expect(
      labelsIn(`apiVersion: a.b/v1\nkind: X\n${labels('none')}\nspec:\n  template:\n    ${labels('sudo')}\n    spec: ${SPEC}\n`),
    ).toEqual([{ 'cloister.dev/grant': 'sudo' }]);
    expect(labelsIn(`apiVersion: a.b/v1\nkind: X\n${labels('none')}\nspec: ${SPEC}\n`)).toEqual([undefined]);
    expect(labelsIn(`apiVersion: v1\nkind: pod\n${labels('none')}\nspec: ${SPEC}\n`)).toEqual([{ 'cloister.dev/grant': 'none' }]);
  });
});

describe('what may have a pod and is not judged is named', () => {
  const UNKNOWN = 'may be part of a pod, and Cloister does not know this kind of object';
  test.each([
    [
      'an Argo Workflow',
      'argoproj.io/v1alpha1',
      'Workflow',
      '{templates: [{name: a, container: {image: b}}]}',
      `spec.templates[0].container.image ${UNKNOWN}`,
    ],
    ['a Tekton Task', 'tekton.dev/v1', 'Task', '{steps: [{name: a, image: b, script: c}]}', `spec.steps[0].image ${UNKNOWN}`],
    [
      'a policy with patterns',
      'kyverno.io/v1',
      'ClusterPolicy',
      '{pattern: {containers: [{image: "!*:latest"}]}}',
      `spec.pattern.containers ${UNKNOWN}`,
    ],
    ['containers without images', 'v1', 'pod', '{containers: [{name: a}]}', `spec.containers ${UNKNOWN}`],
    [
      'a pod that cannot be read',
      'a.b/v1',
      'X',
      '{template: {spec: {hostPID: maybe, containers: [{image: b}]}}}',
      'spec.template.spec.hostPID is not true or false',
    ],
    ['a part beside a pod', 'a.b/v1', 'X', `{template: {spec: ${SPEC}}, agent: {image: c}}`, `spec.agent.image ${UNKNOWN}`],
  ])('%s is named', (_, apiVersion, kind, spec, reason) => {
    const { unjudged, withoutPod } = read(`# head\napiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: web}\nspec: ${spec}\n`);
    expect(unjudged.map((each) => [each.kind, each.name, each.range.line, each.reason])).toEqual([[kind, 'web', 2, reason]]);
    expect(withoutPod).toBe(0);
  });

  test.each([
    ['a Service', 'apiVersion: v1\nkind: Service\nspec: {clusterIP: None}\n'],
    ['a ConfigMap with a key of that name', 'apiVersion: v1\nkind: ConfigMap\ndata: {image: b, containers: c}\n'],
    ['a Kustomization', 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nimages: [{name: a, newTag: b}]\n'],
    [
      'the schema of a custom resource',
      'apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {properties: {containers: {items: {image: a}}}, x: {containers: [{image: b}]}}\n',
    ],
    ['a recorded review', `apiVersion: admission.k8s.io/v1\nkind: AdmissionReview\nrequest: {object: {kind: Pod, spec: ${SPEC}}}\n`],
    ['a policy test', `apiVersion: cloister.dev/v1alpha1\nkind: PolicyTest\ntests: [{pod: {kind: Pod, spec: ${SPEC}}}]\n`],
    ['the status of an object', `apiVersion: a.b/v1\nkind: X\nstatus: {template: {spec: ${SPEC}}, image: a}\n`],
  ])('%s has no pod', (_, text) => {
    const { pods, unjudged, withoutPod } = read(text);
    expect([pods, unjudged, withoutPod]).toEqual([[], [], 1]);
  });
});
