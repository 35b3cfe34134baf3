import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { issueServerCertificate } from '../../test/support/openssl.ts';
import { SecretVolume } from '../../test/support/secret-volume.ts';
import { begin, put, SMALL } from '../load/run-load.ts';
import type { Figure } from '../report/figures.ts';
import { CONFIG_FILE, PROFILES, type Recording } from '../reviews/recordings.ts';
import { openFiles, peakMb, residentMb } from '../servers/process-stats.ts';
import { cloisterWith, type Running } from '../servers/servers.ts';
import type { Ground, Section } from './section.ts';

/** Whether a server is after a long time what it was before. */
export const soak: Section = {
  name: 'soak',
  title: 'Soak',
  about:
    () => `One replica first gets reviews of all kinds as fast as it answers them, then 200 a second over 25 kept connections, while the certificate
in its Secret volume is replaced repeatedly. The measurement fails if an answer is missing or wrong, or if the replica does not exit with 0. The
slope is that of a line through the memory of each second of the last two thirds. In a run of ten minutes, one megabyte more or less is 9 MB/h.`,
  measure,
};

/** Seconds, and how many. */
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

async function measure({ field, stage, extent }: Ground): Promise<Figure[]> {
  const amounts = AMOUNTS[extent];
  const { folder } = stage.daemons;
  const volume = new SecretVolume(join(folder, 'certificates'));
  await mkdir(volume.folder);
  const renew = async () => {
    const { certFile, keyFile } = await issueServerCertificate(folder, 'renewed', field.authority, ['IP:127.0.0.1']);
    await volume.write({ 'tls.crt': await readFile(certFile, 'base64'), 'tls.key': await readFile(keyFile, 'base64') });
  };
  await renew();
  const server = await begin(cloisterWith(CONFIG_FILE, volume.folder), stage);

  let answered = 0;
  for (let turn = 0; answered < amounts.reviews; turn += 1) {
    const kind = KINDS[turn % KINDS.length] as Recording;
    answered += (await put(kind, server, { pace: 'full', seconds: Math.min(5, amounts.soak / 8) }, stage)).reviews;
  }
  const afterMany = residentMb(server.pid);

  const before = openFiles(server.pid);
  const [{ reviews }, memory] = await Promise.all([
    put(SMALL, server, { pace: RATE, seconds: amounts.soak }, stage),
    watch(server, amounts.soak),
    renewals(renew, amounts),
  ]);
  const after = openFiles(server.pid);
  const peak = peakMb(server.pid);
  const renewed = (await server.said()).match(/certificate reloaded/g)?.length ?? 0;
  const code = await server.end();
  if (code !== 0) throw new Error(`the server ended with exit code ${code}`);
  return [
    { what: `memory after ${thousands(answered)} reviews of all kinds`, values: [afterMany], unit: 'MB', must: { most: 180 } },
    {
      what: `${thousands(reviews)} more in ${amounts.soak} s: certificates reloaded`,
      values: [renewed],
      unit: '',
      must: { least: amounts.certificates },
    },
    { what: 'memory, each second', values: memory, unit: 'MB' },
    { what: 'slope of the memory', values: [slopeOf(memory.slice(Math.floor(memory.length / 3))) * 3_600], unit: 'MB/h' },
    { what: 'peak memory', values: [peak], unit: 'MB', must: { most: 256 } },
    { what: 'additional open sockets', values: [after.sockets - before.sockets], unit: '', must: { most: 0 } },
    { what: 'additional open files of other kinds', values: [after.files - before.files], unit: '', must: { most: 0 } },
  ];
}

async function renewals(renew: () => Promise<void>, { soak, certificates }: (typeof AMOUNTS)[keyof typeof AMOUNTS]): Promise<void> {
  for (let renewed = 0; renewed < certificates; renewed += 1) {
    await sleep((soak / (certificates + 1)) * 1_000);
    await renew();
  }
}

/** Megabytes, once a second. */
async function watch({ pid }: Running, seconds: number): Promise<readonly number[]> {
  const memory: number[] = [];
  while (memory.length < seconds) {
    await sleep(1_000);
    memory.push(residentMb(pid));
  }
  return memory;
}

/** By how much a value is greater than the one before, by least squares. */
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
