import { boolean, list, number, object, string, type Typed } from '../core/shape.ts';

/** The files of /proc that `cloister probe` reads, by their paths. A file that the kernel of the pod does not have is absent. */
export const PROBED_FILES = [
  '/proc/self/uid_map',
  '/proc/self/gid_map',
  '/proc/self/status',
  '/proc/self/mountinfo',
  '/proc/version',
  '/proc/sys/kernel/osrelease',
  '/proc/sys/kernel/random/boot_id',
  '/proc/sys/user/max_user_namespaces',
] as const;

export type ProbedFiles = { readonly [Path in (typeof PROBED_FILES)[number]]?: string | undefined };

const range = object({ inside: number, outside: number, length: number });

const probeReport = object({
  kind: string,
  /** Of the image. */
  version: string,
  /** Ids of the pod, and those outside of its user namespace that they are. */
  uidRanges: list(range),
  gidRanges: list(range),
  noNewPrivileges: boolean,
  /** 0: no filter, 2: a filter. Source: https://man7.org/linux/man-pages/man5/proc_pid_status.5.html */
  seccompMode: number,
  /** The capabilities that a process can have, as the hexadecimal mask of the kernel. */
  boundingCapabilities: string,
  /** `6.12.0-generic`. */
  kernelRelease: string,
  /** All of /proc/version. */
  kernelVersion: string,
  bootId: string,
  /** What is mounted below /proc, other than by Sysbox. */
  procMounts: list(string),
  /** What Sysbox emulates. */
  sysboxMounts: list(string),
  maxUserNamespaces: number,
});

/** What a process in a pod reads about its isolation, in JSON. A field that the kernel of the pod does not show is absent. */
export type ProbeReport = Typed<typeof probeReport>;
export type IdRange = { readonly inside: number; readonly outside: number; readonly length: number };

const KIND = 'ProbeReport';

export function makeProbeReport(files: ProbedFiles, version: string): ProbeReport {
  const status = fieldsOf(files['/proc/self/status']);
  const mounts = mountsIn(files['/proc/self/mountinfo']);
  const report = {
    version,
    uidRanges: rangesIn(files['/proc/self/uid_map']),
    gidRanges: rangesIn(files['/proc/self/gid_map']),
    noNewPrivileges: status.has('NoNewPrivs') ? status.get('NoNewPrivs') === '1' : undefined,
    seccompMode: numberIn(status.get('Seccomp')),
    boundingCapabilities: status.get('CapBnd'),
    kernelRelease: files['/proc/sys/kernel/osrelease']?.trim(),
    kernelVersion: files['/proc/version']?.trim(),
    bootId: files['/proc/sys/kernel/random/boot_id']?.trim(),
    procMounts: mounts?.filter(({ path, source }) => path.startsWith('/proc/') && source !== SYSBOX_FS).map(({ path }) => path),
    sysboxMounts: mounts?.filter(({ source }) => source === SYSBOX_FS).map(({ path }) => path),
    maxUserNamespaces: numberIn(files['/proc/sys/user/max_user_namespaces']?.trim()),
  };
  const known = Object.entries(report).filter(([, value]) => value !== undefined);
  return { kind: KIND, ...Object.fromEntries(known) };
}

/** The source of the mounts of sysbox-fs. Source: https://github.com/nestybox/sysbox/blob/master/docs/user-guide/design.md */
const SYSBOX_FS = 'sysboxfs';

/** @returns undefined: the text has no line with the report of a probe */
export function findProbeReport(log: string): ProbeReport | undefined {
  for (const line of log.split('\n')) {
    const value = parseLine(line);
    if (probeReport(value) === undefined && (value as ProbeReport).kind === KIND) return value as ProbeReport;
  }
  return undefined;
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

export function rangesOf(ranges: ProbeReport['uidRanges']): readonly IdRange[] | undefined {
  return ranges?.map(({ inside, outside, length }) => ({ inside: inside ?? 0, outside: outside ?? 0, length: length ?? 0 }));
}

/** Lines of three numbers. Source: https://man7.org/linux/man-pages/man7/user_namespaces.7.html */
function rangesIn(text: string | undefined): readonly IdRange[] | undefined {
  return text
    ?.trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [inside = 0, outside = 0, length = 0] = line.trim().split(/\s+/).map(Number);
      return { inside, outside, length };
    });
}

/** Lines of `Name:\tvalue`. */
function fieldsOf(text: string | undefined): ReadonlyMap<string, string> {
  return new Map((text ?? '').split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]));
}

const numberIn = (text: string | undefined): number | undefined => (text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined);

interface MountPoint {
  readonly path: string;
  readonly source: string;
}

/** Source: https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html */
function mountsIn(text: string | undefined): readonly MountPoint[] | undefined {
  return text
    ?.split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [before = '', after = ''] = line.split(' - ');
      return { path: before.split(' ')[4] ?? '', source: after.split(' ')[1] ?? '' };
    });
}

const CAPABILITY_BITS = { SETGID: 6, SETUID: 7 } as const;

/** @returns undefined: the capabilities are not known */
export function mayHaveCapability({ boundingCapabilities }: ProbeReport, name: keyof typeof CAPABILITY_BITS): boolean | undefined {
  if (!boundingCapabilities || !/^[0-9a-f]{1,16}$/.test(boundingCapabilities)) return undefined;
  return ((BigInt(`0x${boundingCapabilities}`) >> BigInt(CAPABILITY_BITS[name])) & 1n) === 1n;
}

/** gVisor calls its kernel so, and did not before; the date is that of both. Source: pkg/sentry/kernel/version of gvisor.dev/gvisor. */
const GVISOR_KERNEL = /gvisor|#1 SMP Sun Jan 10 15:06:54 PST 2016$/i;

/** @returns undefined: the version of the kernel is not known */
export function isGvisor({ kernelVersion }: ProbeReport): boolean | undefined {
  return kernelVersion ? GVISOR_KERNEL.test(kernelVersion) : undefined;
}
