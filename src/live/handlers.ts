/**
 * What the name of a handler says. A name is all that a cluster publishes of a handler: what its configuration runs is not known. Sources: the
 * installers of the runtimes.
 */

/** Handlers that run ordinary containers, as containerd and CRI-O call them. */
const ORDINARY: ReadonlySet<string> = new Set(['', 'runc', 'crun', 'youki', 'io.containerd.runc.v2']);

export const isOrdinary = (handler: string): boolean => ORDINARY.has(handler);

/** The handlers of the backends that are not Kata, as their installers name them. */
const NAMES: ReadonlyMap<string, RegExp> = new Map([
  ['gvisor', /^runsc/],
  ['sysbox', /^sysbox-runc$/],
]);
const KATA_NAMES = /^kata/;

/** Whether the name is one that the installers of a backend give its handlers. */
export const isHandlerOf = (backend: string, handler: string): boolean => (NAMES.get(backend) ?? KATA_NAMES).test(handler);

/** Whether the handler is one of Kata's, as its name says. */
export const isKataHandler = (handler: string): boolean => KATA_NAMES.test(handler);

/** The names of Kata's hypervisors, as handlers contain them, by the backend that means each. */
export const HYPERVISORS: ReadonlyMap<string, string> = new Map([
  ['kata-qemu', 'qemu'],
  ['kata-clh', 'clh'],
  ['kata-fc', 'fc'],
  ['kata-acrn', 'acrn'],
]);

/** Whether the handler has the name of another hypervisor than the backend, and not that of the backend. */
export function isOfOtherHypervisor(backend: string, handler: string): boolean {
  const wanted = HYPERVISORS.get(backend);
  const words = handler.split(/[-_.]/);
  return wanted !== undefined && !words.includes(wanted) && HYPERVISORS.values().some((name) => words.includes(name));
}
