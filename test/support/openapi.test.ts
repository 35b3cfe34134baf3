import { expect, test } from 'vitest';
import { podPaths } from './openapi.ts';

test('fields, lists and maps have paths, inner ones and leaves', () => {
  expect(podPaths()).toEqual(
    expect.arrayContaining([
      'spec.hostNetwork',
      'spec.containers',
      'spec.containers[*]',
      'spec.containers[*].securityContext.capabilities.add[*]',
      'spec.initContainers[*].securityContext.procMount',
      'spec.ephemeralContainers[*].securityContext.privileged',
      'spec.volumes[*].hostPath.path',
      'spec.nodeSelector',
      'spec.nodeSelector.*',
      'spec.overhead.*',
    ]),
  );
});

test('no path is listed twice', () => {
  expect(new Set(podPaths()).size).toBe(podPaths().length);
});
