import { expect, test } from 'vitest';
import { isBefore, kernelVersionOf, kubeletSupportOf, runtimeVersionOf, versionOf } from '../../src/live/versions.ts';

test.each([
  ['kubeadm', 'v1.33.1', [1, 33, 1]],
  ['EKS', 'v1.33.1-eks-1234567', [1, 33, 1]],
  ['GKE', 'v1.31.1-gke.1678000', [1, 31, 1]],
  ['AKS', 'v1.32.4', [1, 32, 4]],
  ['k3s', 'v1.34.1+k3s1', [1, 34, 1]],
  ['RKE2', 'v1.30.4+rke2r1', [1, 30, 4]],
  ['Talos', 'v1.33.2', [1, 33, 2]],
  ['Bottlerocket', 'v1.32.3-eks-7d6f1a4', [1, 32, 3]],
  ['OpenShift', 'v1.33.4+9c5d2b4', [1, 33, 4]],
  ['a release candidate', 'v1.36.0-rc.1', [1, 36, 0]],
  ['no patch', '1.30', [1, 30, 0]],
])('the version of %s is read', (_, text, [major, minor, patch]) => {
  expect(versionOf(text)).toEqual({ major, minor, patch });
});

test.each([undefined, '', 'v1', '1.x.2', 'latest', 'v1.33.1 ', 'version v1.33.1', '1.33.1.4', 'v1.33x', '1..2', '99999.1'])(
  'the text %j is no version',
  (text) => {
    expect(versionOf(text)).toBeUndefined();
  },
);

test.each([
  ['containerd', 'containerd://2.0.5', ['containerd', [2, 0, 5]]],
  ['containerd of k3s', 'containerd://2.1.4-k3s2', ['containerd', [2, 1, 4]]],
  ['containerd of Bottlerocket', 'containerd://1.7.27+bottlerocket', ['containerd', [1, 7, 27]]],
  ['containerd of Ubuntu', 'containerd://1.7.24~ds1', ['containerd', [1, 7, 24]]],
  ['a release candidate', 'containerd://v2.0.0-rc.1', ['containerd', [2, 0, 0]]],
  ['CRI-O', 'cri-o://1.31.2', ['cri-o', [1, 31, 2]]],
  ['a runtime without a readable version', 'containerd://Unknown', ['containerd', undefined]],
])('the runtime is read: %s', (_, text, [name, numbers]) => {
  const [major, minor, patch] = (numbers ?? []) as number[];
  expect(runtimeVersionOf(text)).toEqual({ name, version: numbers === undefined ? undefined : { major, minor, patch } });
});

test.each([undefined, '', '2.0.5', 'containerd', '://2.0.5', 'Containerd://2.0.5'])('the text %j is no runtime', (text) => {
  expect(runtimeVersionOf(text)).toBeUndefined();
});

test('versions are compared as numbers', () => {
  const version = { major: 1, minor: 9, patch: 10 };
  expect([isBefore(version, 1, 30), isBefore(version, 1, 9), isBefore(version, 1, 9, 11), isBefore(version, 1, 8)]).toEqual([
    true,
    false,
    true,
    false,
  ]);
  expect([isBefore(version, 2, 0), isBefore({ major: 2, minor: 0, patch: 0 }, 1, 30)]).toEqual([true, false]);
});

test.each([
  ['6.12.55+', [6, 12, 55]],
  ['5.14.0-427.13.1.el9_4.x86_64', [5, 14, 0]],
  ['6.12.48-talos', [6, 12, 48]],
  ['5.15.153.1-microsoft-standard-WSL2', [5, 15, 153]],
  ['6.8', [6, 8, 0]],
])('the kernel %s is read', (text, [major, minor, patch]) => {
  expect(kernelVersionOf(text)).toEqual({ major, minor, patch });
});

test.each([undefined, '', 'linux', 'v6.1', '6', '6.x', '12345.1.0'])('the text %j is no kernel', (text) => {
  expect(kernelVersionOf(text)).toBeUndefined();
});

test.each([
  ['v1.29.14', 'before'],
  ['v1.30.0', 'gated'],
  ['v1.32.9-eks-1234567', 'gated'],
  ['v1.33.0', 'since'],
  ['latest', undefined],
])('a kubelet %s knows user namespaces: %s', (kubelet, support) => {
  expect(kubeletSupportOf(kubelet)).toBe(support);
});
