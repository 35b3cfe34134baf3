import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { issueServerCertificate } from '../../test/support/openssl.ts';
import { SecretVolume } from '../../test/support/secret-volume.ts';
import { sendLoad } from '../load/run-load.ts';
import type { Figure } from '../report/figures.ts';
import { CONFIG_FILE, PROFILES, type Recording, SMALL } from '../reviews/recordings.ts';
import { openFiles, peakMb, residentMb } from '../servers/process-stats.ts';
import { cloisterWith, type RunningServer, startServer } from '../servers/servers.ts';
import type { Environment, Section } from './section.ts';

/** Memory, sockets and open files of a server under load for a long time. */
export const soak: Section = {
  name: 'soak',
  title: 'Soak',
  introduction:
    () => `First reviews of all kinds, as fast as one replica answers them; then 200 a second over 25 kept connections, while the certificate in its
Secret volume is replaced several times. A missing or wrong answer ends the measurement, and so does an exit code other than 0 after
SIGTERM. The slope is that of a straight line through the memory values of the last two thirds of the time: over ten minutes a difference of one
megabyte is 9 MB/h.`,
  measure,
};

/** Numbers of reviews and certificates; seconds of the soak. */
const AMOUNTS = {
  quick: { reviews: 500, soak: 4, certificates: 2 },
  usual: { reviews: 100_000, soak: 60, certificates: 4 },
  full: { reviews: 100_000, soak: 600, certificates: 20 },
} as const;

const RATE = 200;

const KINDS: readonly Recording[] = [
  SMALL,
  { size: 'medium', path: `/mutate/${PROFILES.sudo}` },
  { size: 'small', path: `/validate/enforce/${PROFILES.sudo}` },
  { size: 'medium', path: `/validate/enforce/${PROFILES.sudo}` },
];

async function measure({ servers, machine, extent }: Environment): Promise<Figure[]> {
  const amounts = AMOUNTS[extent];
  const { folder } = machine.daemons;
  const volume = new SecretVolume(join(folder, 'certificates'));
  await mkdir(volume.folder);
  const renew = async () => {
    const { certFile, keyFile } = await issueServerCertificate(folder, 'renewed', servers.authority, ['IP:127.0.0.1']);
    await volume.write({ 'tls.crt': await readFile(certFile, 'base64'), 'tls.key': await readFile(keyFile, 'base64') });
  };
  await renew();
  const server = await startServer(cloisterWith(CONFIG_FILE, volume.folder), machine);

  let answered = 0;
  for (let turn = 0; answered < amounts.reviews; turn += 1) {
    const kind = KINDS[turn % KINDS.length] as Recording;
    answered += (await sendLoad(kind, server, { pace: 'full', seconds: Math.min(5, amounts.soak / 8) }, machine)).reviews;
  }
  const afterMany = residentMb(server.pid);

  const before = openFiles(server.pid);
  const [{ reviews }, memory] = await Promise.all([
    sendLoad(SMALL, server, { pace: RATE, seconds: amounts.soak }, machine),
    watch(server, amounts.soak),
    renewals(renew, amounts),
  ]);
  const after = openFiles(server.pid);
  const peak = peakMb(server.pid);
  const renewed = (await server.readLog()).match(/certificate reloaded/g)?.length ?? 0;
  const code = await server.terminate();
  if (code !== 0) throw new Error(`the server ended with exit code ${code}`);
  return [
    { label: `memory after ${thousands(answered)} reviews of all kinds`, values: [afterMany], unit: 'MB', goal: { most: 180 } },
    {
      label: `${thousands(reviews)} more in ${amounts.soak} s: certificates reloaded`,
      values: [renewed],
      unit: '',
      goal: { least: amounts.certificates },
    },
    { label: 'memory, each second', values: memory, unit: 'MB' },
    { label: 'memory, slope', values: [slopeOf(memory.slice(Math.floor(memory.length / 3))) * 3_600], unit: 'MB/h' },
    { label: 'memory, peak', values: [peak], unit: 'MB', goal: { most: 256 } },
    { label: 'open sockets, increase', values: [after.sockets - before.sockets], unit: '', goal: { most: 0 } },
    { label: 'other open files, increase', values: [after.files - before.files], unit: '', goal: { most: 0 } },
  ];
}

async function renewals(renew: () => Promise<void>, { soak, certificates }: (typeof AMOUNTS)[keyof typeof AMOUNTS]): Promise<void> {
  for (let renewed = 0; renewed < certificates; renewed += 1) {
    await sleep((soak / (certificates + 1)) * 1_000);
    await renew();
  }
}

/** Megabytes, once a second. */
async function watch({ pid }: RunningServer, seconds: number): Promise<readonly number[]> {
  const memory: number[] = [];
  while (memory.length < seconds) {
    await sleep(1_000);
    memory.push(residentMb(pid));
  }
  return memory;
}

/** The slope of the line through the values, by least squares. */
function slopeOf(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let along = 0;
  let squares = 0;
  for (const [index, value] of values.entries()) {
    along += (index - middle) * (value - mean);
    squares += (index - middle) ** 2;
  }
  return squares === 0 ? 0 : along / squares;
}

const thousands = (count: number): string => Math.round(count).toLocaleString('en');
