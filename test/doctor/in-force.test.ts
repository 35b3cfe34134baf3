import { describe, expect, test } from 'vitest';
import { problemsOfNamed } from '../../src/doctor/in-force.ts';
import { contextWith, namespace } from '../support/doctor-facts.ts';

describe('namespaces that a user names', () => {
  const namespaces = ['team-a', 'team-b', 'kube-system', 'cloister-system', 'storage'].map((name) => namespace(name));
  const problemsOf = (...only: readonly string[]) =>
    problemsOfNamed(namespaces, contextWith('profiles: {userns: {}}\nexcludedNamespaces: [storage]', { only }));

  test('that exist, also without a label, have no problem', () => {
    expect(problemsOf('team-a', 'team-b')).toEqual([]);
  });

  test('that do not exist are all named', () => {
    expect(problemsOf('team-a', 'tema-b', 'x')).toEqual([
      '--namespace tema-b: the cluster has no such namespace (did you mean team-b?)',
      '--namespace x: the cluster has no such namespace',
    ]);
  });

  test.each(['kube-system', 'cloister-system', 'storage'])('that Cloister never governs are named: %s', (name) => {
    expect(problemsOf(name)).toEqual([`--namespace ${name}: Cloister never governs this namespace: name another one`]);
  });
});
