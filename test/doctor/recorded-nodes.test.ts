import { describe, expect, test } from 'vitest';
import { checks } from '../../src/doctor/checks/index.ts';
import { type NodeFacts, nodeFactsOf } from '../../src/live/facts.ts';
import { kernelVersionOf, runtimeVersionOf, versionOf } from '../../src/live/versions.ts';
import { RECORDED_NODES } from '../fixtures/nodes.ts';
import { contextWith, factsWith } from '../support/doctor-facts.ts';

/** What the strings of vendors' nodes lead to. */
interface Expected {
  /** `1.27.1`; undefined: the record does not have it. */
  readonly kubelet?: string;
  readonly runtime?: readonly [name: string, version: string];
  readonly kernel: string;
  /** The answers of the checks of nodes for userns with grant containers that are not ok; unknown ones only where a string is missing. */
  readonly answers: readonly string[];
}

/** The facts that such a record lacks: handlers, and the node-profile pod. */
const SILENT = ['userns-unknown', 'seccomp-profile'];
const NODE_CHECKS = checks.filter(({ reads }) => reads.includes('nodes') && !reads.includes('serverVersion'));

const EXPECTED: Readonly<Record<keyof typeof RECORDED_NODES, Expected>> = {
  'EKS with Amazon Linux 2023': {
    kubelet: '1.27.1',
    runtime: ['containerd', '1.6.19'],
    kernel: '6.1.29',
    answers: ['kernel-userns warning', 'runtime-version error', 'kubelet-userns error'],
  },
  'EKS Anywhere with Bottlerocket': {
    kubelet: '1.24.16',
    runtime: ['containerd', '1.6.23'],
    kernel: '5.15.122',
    answers: ['kernel-userns error', 'runtime-version error', 'kubelet-userns error', 'os-bottlerocket warning'],
  },
  'GKE with Container-Optimized OS': { kubelet: '1.34.4', runtime: ['containerd', '2.1.5'], kernel: '6.12.55', answers: [] },
  'GKE with Ubuntu': { kubelet: '1.34.4', runtime: ['containerd', '2.1.5'], kernel: '6.8.0', answers: ['apparmor warning'] },
  'AKS with Ubuntu': {
    kubelet: '1.22.4',
    runtime: ['containerd', '1.5.5'],
    kernel: '5.4.0',
    answers: ['kernel-userns error', 'runtime-version error', 'kubelet-userns error', 'apparmor warning'],
  },
  'AKS with Windows': { kubelet: '1.22.4', runtime: ['docker', '20.10.9'], kernel: '10.0.17763', answers: ['no-candidate error'] },
  'k3s with SUSE Linux Enterprise': {
    kubelet: '1.30.3',
    runtime: ['containerd', '1.7.20'],
    kernel: '5.14.21',
    answers: ['kernel-userns error', 'runtime-version error', 'kubelet-userns warning'],
  },
  'k3s in a container': {
    kubelet: '1.27.10',
    runtime: ['containerd', '1.7.11'],
    kernel: '5.14.21',
    answers: ['kernel-userns error', 'runtime-version error', 'kubelet-userns error', 'os-container warning'],
  },
  Talos: {
    kubelet: '1.15.0',
    runtime: ['containerd', '1.2.7'],
    kernel: '4.19.40',
    answers: ['kernel-userns error', 'runtime-version error', 'kubelet-userns error', 'os-bottlerocket warning'],
  },
  OpenShift: {
    kubelet: '1.20.0',
    runtime: ['cri-o', '1.20.0'],
    kernel: '4.18.0',
    answers: ['kernel-userns error', 'runtime-version error', 'kubelet-userns error', 'selinux warning'],
  },
  'OpenShift 4.23': {
    kernel: '5.14.0',
    answers: ['kernel-userns error', 'runtime-version unknown', 'kubelet-userns unknown', 'selinux warning'],
  },
  kind: {
    kubelet: '1.21.1',
    runtime: ['containerd', '1.5.2'],
    kernel: '5.10.47',
    answers: ['kernel-userns error', 'runtime-version error', 'kubelet-userns error', 'os-container warning', 'apparmor warning'],
  },
};

const print = (version: ReturnType<typeof versionOf>): string | undefined =>
  version && `${version.major}.${version.minor}.${version.patch}`;

const factsOf = (name: keyof typeof RECORDED_NODES): NodeFacts => {
  const facts = nodeFactsOf(RECORDED_NODES[name].node);
  if (facts === undefined) throw new Error(name);
  return facts;
};

describe.each(Object.entries(EXPECTED) as [keyof typeof RECORDED_NODES, Expected][])(
  '%s',
  (name, { kubelet, runtime, kernel, answers }) => {
    test('its versions are read', () => {
      const node = factsOf(name);
      const { name: of, version } = runtimeVersionOf(node.runtime) ?? {};
      expect(print(versionOf(node.kubelet))).toBe(kubelet);
      expect(of && [of, print(version)]).toEqual(runtime);
      expect(print(kernelVersionOf(node.kernel))).toBe(kernel);
    });

    test('doctor answers what the record shows', () => {
      const facts = factsWith({ nodes: [factsOf(name)], governedPods: [], installerPods: [] });
      const found = NODE_CHECKS.flatMap((check) => check.run(facts, contextWith()))
        .filter(({ level, check }) => level !== 'ok' && !SILENT.includes(check))
        .map(({ check, level }) => `${check} ${level}`);
      expect(found).toEqual(answers);
    });

    test('the record has a source', () => {
      expect(RECORDED_NODES[name].source).toMatch(/^https:\/\/github\.com\//);
    });
  },
);

test('every record is expected to lead somewhere', () => {
  expect(Object.keys(EXPECTED)).toEqual(Object.keys(RECORDED_NODES));
});
