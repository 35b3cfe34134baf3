import { describe, expect, test } from 'vitest';
import { causeOf, eventCauses, explainEvents } from '../../src/live/events.ts';
import type { EventFacts } from '../../src/live/facts.ts';

/** Messages as kubelets and controllers write them, shortened; each is in the public report that the entry names, or in the source. */
const MESSAGES: Readonly<Record<string, readonly [reason: string, message: string]>> = {
  'idmap-storage': [
    'FailedCreatePodSandBox',
    'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to mount container: create mapped mount to /var/lib/containers: invalid argument',
  ],
  'idmap-volume': [
    'Failed',
    "Error: failed to start container: failed to fulfil mount request: failed to set MOUNT_ATTR_IDMAP on /var/lib/kubelet/pods/x/volumes/home: invalid argument (maybe the filesystem used doesn't support idmap mounts on this kernel?)",
  ],
  'old-kernel': [
    'FailedCreatePodSandBox',
    'snapshotter "overlayfs" doesn\'t support idmap mounts on this host, configure `slow_chown` to allow a slower and expensive fallback',
  ],
  'no-user-namespaces': [
    'FailedCreatePodSandBox',
    'failed to start noop process for unshare: fork/exec /proc/self/exe: no space left on device',
  ],
  'id-range-end': ['FailedCreatePodSandBox', 'failed to start noop process for unshare: fork/exec /proc/self/exe: invalid argument'],
  'id-range-full': ['FailedCreatePodSandBox', 'could not find an empty slot to allocate a user namespace'],
  'image-ids': ['Failed', 'failed to prepare layer: container ID 70000 cannot be mapped to a host ID'],
  'unknown-handler': ['FailedCreatePodSandBox', 'failed to get sandbox runtime: no runtime for "kata-qemu" is configured'],
  'runtime-without-userns': [
    'FailedCreatePodSandBox',
    'can\'t set `spec.hostUsers: false`, RuntimeClass handler "sysbox-runc" does not support user namespaces',
  ],
  'no-seccomp-profile': [
    'Failed',
    'Error: cannot load seccomp profile "/var/lib/kubelet/seccomp/cloister/workspace.json": open: no such file or directory',
  ],
  'nested-node': ['Failed', 'runc create failed: error mounting "proc" to rootfs at "/proc": operation not permitted'],
  'sysbox-mapping': ['FailedCreatePodSandBox', 'reading ID mappings from "/proc/0/uid_map": no such file'],
  'sysbox-sysfs': ['Failed', 'error mounting "sysfs" to rootfs at "/sys": mounting "sysfs": operation not permitted'],
  'no-kvm': ['FailedCreatePodSandBox', 'failed to create shim task: failed to add any hypervisor device to devices cgroup'],
  'critical-quota': [
    'FailedCreate',
    'pods "a" is forbidden: insufficient quota to match these scopes: [{PriorityClass In [system-cluster-critical]}]',
  ],
  'pod-security': ['FailedCreate', 'pods "a" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false'],
};

const event = (reason: string, message: string): EventFacts => ({
  namespace: 'team-a',
  kind: 'Pod',
  object: 'workspace',
  uid: 'u',
  reason,
  message,
  time: undefined,
});

describe('the dictionary', () => {
  test('every entry has a message, and no message is of an unknown entry', () => {
    expect(Object.keys(MESSAGES)).toEqual(eventCauses.map(({ id }) => id));
  });

  test.each(Object.entries(MESSAGES))('%s is recognized', (id, [reason, message]) => {
    expect(causeOf(event(reason, message))?.id).toBe(id);
  });

  test('a handler that the kubelet does not know is not one without user namespaces', () => {
    const message = `can't set \`spec.hostUsers: false\`, RuntimeClass handler "sysbox-runc" does not support user namespaces: the handler "sysbox-runc" is not known`;
    expect(causeOf(event('FailedCreatePodSandBox', message))?.id).toBe('unknown-handler');
  });

  test('an entry does not count for other reasons', () => {
    for (const [, message] of Object.values(MESSAGES)) expect(causeOf(event('Unhealthy', message))).toBeUndefined();
  });

  test.each(eventCauses)('$id names a source that a reader can open', ({ source }) => {
    expect(source).toMatch(/^https:\/\/github\.com\/[\w.-]+\/[\w.-]+\/(?:issues\/\d+|blob\/\S+)$/);
  });
});

describe('explainEvents', () => {
  test('without an event there is nothing to say', () => {
    expect([explainEvents(undefined), explainEvents([])]).toEqual([undefined, undefined]);
  });

  test('a known cause counts more than a newer event without one', () => {
    const known = event('FailedCreatePodSandBox', 'unknown handler');
    expect(explainEvents([event('BackOff', 'Back-off restarting'), known])?.message).toBe('the node has no handler of the RuntimeClass');
  });

  test('an unknown event is quoted, at most 200 characters of it and printable', () => {
    const message = explainEvents([event('Odd', `line\nnext \u202e${'x'.repeat(500)}`)])?.message ?? '';
    expect(message).toMatch(/^event Odd: line\\u\{a\}next \\u\{202e\}x+…$/);
    expect(message.length).toBeLessThan(230);
  });
});
