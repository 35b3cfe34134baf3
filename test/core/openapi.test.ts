import { expect, test } from 'vitest';
import { judge } from '../../src/core/judge.ts';
import { rules } from '../../src/core/rules/index.ts';
import { CONTAINER_FIELDS, CONTAINER_SPEC_FIELDS, MOUNT_FIELDS, POD_FIELDS, SPEC_FIELDS } from '../../src/core/rules/unknown-fields.ts';
import { UNJUDGED_FIELDS } from '../../src/core/unjudged-fields.ts';
import { podPaths, podSchemas } from '../support/openapi.ts';
import { inputOf } from '../support/test-rule.ts';

/** A rule names the fields of all three container lists as those of `spec.containers[*]`. */
const published = new Set(['spec', ...podPaths()].map((path) => path.replace(/^spec\.(init|ephemeral)Containers\b/, 'spec.containers')));
const leaves = [...published].filter((path) => !childrenOf(path).length);

/** Rules that judge no published field: one writes promises, one limits the size of the pod, one finds unknown fields. */
const NOT_JUDGING = ['image-storage', 'pod-size', 'unknown-fields'];
const named = rules.flatMap(({ id, fields }) => fields.filter((field) => field.startsWith('spec.')).map((field) => ({ id, field })));
const judged = named
  .filter(({ id }) => !NOT_JUDGING.includes(id))
  .flatMap(({ field }) => (field === 'spec.volumes[*].*' ? refusedVolumes() : [field]));
const harmless = UNJUDGED_FIELDS.map(({ path }) => path);

test('T12, T13: every field of a pod is judged by a rule, or listed as unjudged with a reason', () => {
  const answered = [...judged, ...harmless];
  const missing = leaves.filter((path) => !answered.some((field) => isWithin(path, field)));
  expect(
    missing,
    'name the field in the `fields` of the rule that judges it, or list it with a reason in src/core/unjudged-fields.ts',
  ).toEqual([]);
});

test('the list of unjudged fields names existing fields, each once', () => {
  expect(harmless.filter((path) => !published.has(path))).toEqual([]);
  expect(harmless.filter((path, index) => harmless.some((other, place) => place !== index && isWithin(path, other)))).toEqual([]);
});

test('no field is both judged and listed as unjudged', () => {
  const both = judged.filter((field) => harmless.some((path) => isWithin(field, path)));
  expect(both, 'remove from src/core/unjudged-fields.ts what a rule judges').toEqual([]);
});

test('the reason of each unjudged field is a sentence', () => {
  for (const { path, reason } of UNJUDGED_FIELDS) expect(reason, path).toMatch(/^[A-Z`].{20,}\.$/);
});

test('every field that a rule names exists', () => {
  const known = named.filter(({ field }) => published.has(field) || (field.endsWith('.*') && published.has(field.slice(0, -2))));
  const unknown = named.filter((each) => !known.includes(each));
  expect(unknown, 'correct the `fields` of the rule: the API server has no such field').toEqual([]);
});

test('T12: the rule unknown-fields knows exactly the fields of the API server', () => {
  const schemas = podSchemas();
  expect([...CONTAINER_FIELDS].toSorted()).toEqual(Object.keys(schemas['io.k8s.api.core.v1.SecurityContext'] ?? {}).toSorted());
  expect([...POD_FIELDS].toSorted()).toEqual(Object.keys(schemas['io.k8s.api.core.v1.PodSecurityContext'] ?? {}).toSorted());
  const fieldsOf = (...kinds: string[]) => [...new Set(kinds.flatMap((kind) => Object.keys(schemas[`io.k8s.api.core.v1.${kind}`] ?? {})))];
  expect([...SPEC_FIELDS].toSorted()).toEqual(fieldsOf('PodSpec').toSorted());
  expect([...CONTAINER_SPEC_FIELDS].toSorted()).toEqual(fieldsOf('Container', 'EphemeralContainer').toSorted());
  expect([...MOUNT_FIELDS].toSorted()).toEqual(fieldsOf('VolumeMount').toSorted());
});

test('the OpenAPI document is complete', () => {
  expect(leaves.length).toBeGreaterThan(300);
  for (const path of ['spec.hostUsers', 'spec.containers[*].securityContext.procMount', 'spec.containers[*].targetContainerName'])
    expect(published).toContain(path);
});

/** The kinds of volumes that are refused as a whole. The fields of all other kinds must be judged or listed. */
function refusedVolumes(): string[] {
  const kinds = childrenOf('spec.volumes[*]').map((path) => path.slice('spec.volumes[*].'.length));
  const volumes = kinds.map((kind) => (kind === 'name' ? { name: 'x' } : { name: kind, [kind]: {} }));
  const found = judge(inputOf({ volumes })).findings.filter(({ rule }) => rule === 'volume-types');
  return ['spec.volumes[*].name', ...found.map(({ path }) => `spec.volumes[*].${path.at(-1)}`)];
}

function childrenOf(path: string): string[] {
  return [...published].filter(
    (other) => other !== path && isWithin(other, path) && !/[.[]/.test(other.slice(path.length + 1).replace('*]', '')),
  );
}

/** Whether the path is the field, or lies below it. */
function isWithin(path: string, field: string): boolean {
  return path === field || path.startsWith(`${field}.`) || path.startsWith(`${field}[`);
}
