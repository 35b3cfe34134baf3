import { expect, test } from 'vitest';
import { type Attempt, judgeFromNode, SETTINGS } from '../node/fixture/attempts.ts';
import { wayOut } from '../node/fixture/report.ts';

/** When a successful attempt is an escape: for a pod with the node's kernel, and for a pod with its own kernel. */

const UID = '6f1c9a52-0d5c-4a53-8d0c-2f1d5ab6f0a1';
const [setting] = SETTINGS;
const raised: Attempt = { name: `raise ${setting}`, ofKernel: true, through: true, detail: 'raised, and put back' };
const grouped: Attempt = { name: 'make a control group', ofKernel: true, through: true, detail: 'made, and removed' };
const nothing = { changed: [], groups: [] };

const shared = { map: [0, 65536, 65536], onNode: [65536], kernel: 'x', hasNodesKernel: true };
const separate = { ...shared, hasNodesKernel: false };
const isEscape = (attempt: Attempt): readonly boolean[] => [shared, separate].map((root) => wayOut(attempt, root));

test('an attempt that changes a setting of the node is an escape, whatever kernel the pod has', () => {
  const attempt = judgeFromNode(raised, { ...nothing, changed: [setting] }, UID);
  expect(attempt).toEqual({ ...raised, own: false, detail: 'raised on the node, and put back' });
  expect(isEscape(attempt)).toEqual([true, true]);
});

test('an attempt that changes a setting of the node is an escape, even if the pod does not see the change', () => {
  const attempt = judgeFromNode({ ...raised, through: false, detail: 'took 11, and says 10' }, { ...nothing, changed: [setting] }, UID);
  expect(isEscape(attempt)).toEqual([true, true]);
});

test('a value that changes in the pod only is not a way out', () => {
  const attempt = judgeFromNode(raised, { ...nothing, changed: [SETTINGS[1]] }, UID);
  expect(attempt).toEqual({ ...raised, own: true, detail: 'its own value only' });
  expect(isEscape(attempt)).toEqual([false, false]);
});

const own = `/sys/fs/cgroup/memory/node/kubepods/besteffort/pod${UID}/container/probe`;

test('a control group below the pod’s own is not a way out', () => {
  const attempt = judgeFromNode(grouped, { ...nothing, groups: [own, own.replace('memory', 'pids')] }, UID);
  expect(attempt).toEqual({ ...grouped, own: true, detail: 'its own subtree only' });
  expect(isEscape(attempt)).toEqual([false, false]);
});

test.each([
  ['at the root', '/sys/fs/cgroup/pids/probe'],
  ['beside that of the pod', '/sys/fs/cgroup/pids/node/kubepods/besteffort/probe'],
  ['in another pod', own.replace(UID, `${UID.slice(0, -1)}2`)],
])('a control group %s is an escape, even if others are below that of the pod', (_, elsewhere) => {
  const attempt = judgeFromNode(grouped, { ...nothing, groups: [own, elsewhere] }, UID);
  expect(attempt).toEqual({ ...grouped, own: false, detail: "made outside the pod's own, and removed" });
  expect(isEscape(attempt)).toEqual([true, true]);
});

test('a control group that is not visible on this machine counts as a change of the pod’s own kernel, if it has one', () => {
  const attempt = judgeFromNode(grouped, nothing, UID);
  expect(attempt).toEqual(grouped);
  expect(isEscape(attempt)).toEqual([true, false]);
});

test('a failed attempt is not changed', () => {
  const refused = { ...raised, through: false, detail: 'read-only file system' };
  expect(judgeFromNode(refused, { ...nothing, changed: [SETTINGS[1]] }, UID)).toEqual(refused);
  expect(isEscape(refused)).toEqual([false, false]);
});

test('an attempt that no kernel decides is a way out from both kinds of kernel', () => {
  expect(isEscape({ name: 'read a file', ofKernel: false, through: true, detail: 'read' })).toEqual([true, true]);
});
