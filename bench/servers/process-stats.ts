import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** User and system time of all threads of a process. Source: proc_pid_stat(5) */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The program's name may contain spaces and brackets: count fields after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Resident memory in MB (10^6 bytes): current and peak. Source: proc_pid_status(5) */
export const residentMb = (pid: number): number => memoryMb(pid, 'VmRSS');
export const peakMb = (pid: number): number => memoryMb(pid, 'VmHWM');

function memoryMb(pid: number, field: string): number {
  const kib = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return (Number(kib) * 1_024) / 1e6;
}

/** The numbers of open files and sockets of a process. */
export function openFiles(pid: number): { readonly files: number; readonly sockets: number } {
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return ''; // closed since the folder was read
    }
  });
  const sockets = links.filter((link) => link.startsWith('socket:')).length;
  return { sockets, files: links.length - sockets };
}
