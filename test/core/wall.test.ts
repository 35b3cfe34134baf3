import { describe, expect, test } from 'vitest';
import { printPath } from '../../src/core/path.ts';
import { backends } from '../../src/core/profiles/index.ts';
import type { ProfileOptions } from '../../src/core/profiles/profile.ts';
import { findWallGaps, isIsolated } from '../../src/core/wall.ts';
import { podOf, profileOf, type Sketch } from '../support/test-rule.ts';

const wallOf = (profile: string, options: ProfileOptions = {}) => profileOf({ profile, options }).requirementsFor('sudo').wall;
const gapsOf = (profile: string, pod: Sketch, options?: ProfileOptions): string[] =>
  findWallGaps(podOf(pod).pod, wallOf(profile, options)).map(({ finding }) => printPath(finding.path));
const isIsolatedBy = (profile: string, pod: Sketch, options?: ProfileOptions): boolean =>
  isIsolated(podOf(pod).pod, wallOf(profile, options));

const annotated = (value: string): Sketch => ({ metadata: { annotations: { 'io.kubernetes.cri-o.userns-mode': value } } });

describe('a pod is isolated', () => {
  test.each<[string, string, Sketch, ProfileOptions?]>([
    ['by a user namespace', 'userns', { hostUsers: false }],
    ['by a user namespace on a further class', 'userns', { hostUsers: false, runtimeClassName: 'team-b' }, { runtimeClasses: ['team-b'] }],
    ['by Sysbox', 'sysbox', { hostUsers: false, runtimeClassName: 'sysbox-runc' }],
    [
      'by the annotation of CRI-O',
      'sysbox',
      { ...annotated('auto:size=65536'), runtimeClassName: 'sysbox-runc' },
      { identity: 'crio-annotation' },
    ],
    ['by a virtual machine', 'kata-qemu', { runtimeClassName: 'kata-qemu' }],
    ['by gVisor on the class that the operator named', 'gvisor', { runtimeClassName: 'runsc' }, { runtimeClassName: 'runsc' }],
  ])('%s', (_, profile, pod, options) => {
    expect(gapsOf(profile, pod, options)).toEqual([]);
    expect(isIsolatedBy(profile, pod, options)).toBe(true);
  });
});

describe('a pod is not isolated', () => {
  test.each<[string, string, Sketch, readonly string[], ProfileOptions?]>([
    ['if it has no user namespace', 'userns', {}, ['spec.hostUsers']],
    ['if it refuses a user namespace', 'userns', { hostUsers: true }, ['spec.hostUsers']],
    ['on a foreign class', 'userns', { hostUsers: false, runtimeClassName: 'runc' }, ['spec.runtimeClassName']],
    ['without a class', 'kata-qemu', {}, ['spec.runtimeClassName']],
    ['with all of it wrong', 'sysbox', { runtimeClassName: 'runc' }, ['spec.hostUsers', 'spec.runtimeClassName']],
    [
      'with another annotation',
      'sysbox',
      { ...annotated('keep-id'), runtimeClassName: 'sysbox-runc' },
      ['metadata.annotations["io.kubernetes.cri-o.userns-mode"]'],
      { identity: 'crio-annotation' },
    ],
    [
      'if it asks a runtime with its own kernel for a user namespace',
      'kata-qemu',
      { runtimeClassName: 'kata-qemu', hostUsers: false },
      ['spec.hostUsers'],
    ],
  ])('%s', (_, profile, pod, gaps, options) => {
    expect(gapsOf(profile, pod, options)).toEqual(gaps);
    expect(isIsolatedBy(profile, pod, options)).toBe(false);
  });
});

test('hostUsers: true is reported under a runtime with its own kernel, and the pod is isolated all the same', () => {
  for (const { id } of backends.filter((backend) => backend.makeWall({}).hostUsers === undefined)) {
    const pod = { runtimeClassName: id, hostUsers: true };
    expect(gapsOf(id, pod)).toEqual(['spec.hostUsers']);
    expect(isIsolatedBy(id, pod)).toBe(true);
    expect(isIsolatedBy(id, { hostUsers: true })).toBe(false);
  }
});
