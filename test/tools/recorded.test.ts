import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WORKSPACE_IMAGE } from '../../tools/programs/workspace-image.ts';
import type { Kept } from '../node/fixture/keep.ts';
import { type Offer, offersWith } from '../node/fixture/offers.ts';
import { type Origin, type Recorded, readRecorded, writeRecorded } from '../node/fixture/recorded.ts';
import { pageOf, type Run, withRecorded } from '../node/fixture/report.ts';
import { STEPS } from '../node/fixture/steps.ts';

/** Recorded runs: their files, and their parts of the page. */

const offers = offersWith([]);
const [sysbox, sysboxContainers, kata] = ['sysbox', 'sysbox-containers', 'kata-qemu'].map((id) =>
  offers.stored.find((offer) => offer.id === id),
) as [Offer, Offer, Offer];

const origin: Origin = {
  date: '2030-01-02',
  project: { version: '1.2.3', commit: 'abc1234', committed: '2030-01-01' },
  versions: { Kubernetes: '9.9.9', Sysbox: '8.8.8' },
};
const kept = (offer: Offer, kind: Kept['kind'], failing: readonly string[] = []): Kept => ({
  offer,
  kind,
  outcomes: STEPS.filter(({ promise }) => offer.grant === 'containers' || promise === 'sudo').map((step) => ({
    step,
    ok: !failing.includes(step.name),
    said: failing.includes(step.name) ? `no ${step.name} today` : '',
    tookMs: 10,
  })),
  root: { map: [0, 70000, 65536], onNode: [70000], kernel: 'Linux 9', hasNodesKernel: true },
  attempts: [
    { name: 'set the clock', ofKernel: true, through: false, detail: 'operation not permitted' },
    { name: 'make a control group', ofKernel: true, through: true, own: true, detail: 'its own subtree only' },
  ],
});

describe('a file of a recorded run', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cloister-recorded-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  test('a file contains the results, the date and the versions of its run, and no expectations', async () => {
    const seen = kept(sysboxContainers, 'plain', ['podman run']);
    const file = await writeRecorded(join(folder, 'new'), seen, origin);
    expect(file).toBe(join(folder, 'new/sysbox-containers.plain.json'));
    const { fails: _, attempts: __, ...offer } = sysboxContainers;
    const written = { ...origin, ...seen, offer };
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(written);
    expect(await readRecorded(join(folder, 'new'))).toEqual([written]);
  });

  test.each([
    ['is not JSON', '{', 'x.json is no JSON: '],
    ['lacks a field that the page needs', '{}', '✖ Invalid input: expected array, received undefined\n  → at attempts'],
    ['has a name that differs from its content', undefined, 'x.json records sysbox in a pod plain: rename it to sysbox.plain.json.'],
  ])('the error for a file that %s contains the name of the file', async (_, content, message) => {
    await writeFile(join(folder, 'x.json'), content ?? JSON.stringify({ ...origin, ...kept(sysbox, 'plain') }));
    await expect(readRecorded(folder)).rejects.toThrow(message);
  });
});

describe('the page', () => {
  const run: Run = { offers, kept: [], unasked: [], missed: {}, versions: { Kubernetes: '1.1.1' }, recorded: [] };
  const recordOf = (seen: Kept, more: Partial<Recorded> = {}): Recorded => ({ ...origin, ...seen, ...more });
  const rowOf = (page: string, offer: Offer): string => page.split('\n').find((line) => line.startsWith(`| \`${offer.id}\` |`)) ?? '';
  const sectionOf = (page: string): string => /^## Recorded runs\n(.*?)^## /ms.exec(page)?.[1] ?? '';

  test('a row of the page counts both pods of a recorded offer and is marked as recorded', () => {
    const failing = STEPS.filter(({ promise }) => promise === 'run').map(({ name }) => name);
    const page = pageOf({
      ...run,
      recorded: [
        recordOf(kept(sysboxContainers, 'plain', failing)),
        recordOf(kept(sysboxContainers, 'docker-in-docker', ['podman load, Debian'])),
      ],
    });
    const [build, ran] = (['build', 'run'] as const).map((promise) => 2 * STEPS.filter((step) => step.promise === promise).length);
    expect(rowOf(page, sysboxContainers)).toBe(
      `| \`sysbox-containers\` | \`containers\` | kept: 4 of 4 | in part: ${(build ?? 0) - 1} of ${build} | in part: ${(ran ?? 0) / 2} of ${ran} | kept: 0 of 4 got out | *recorded* |`,
    );
    expect(rowOf(page, sysbox)).toMatch(/\| stored, not run here \| not run \|$/);
  });

  test('the page lists failed steps, users of root, attempts, origins and remarks of recorded runs', () => {
    const page = pageOf({
      ...run,
      recorded: [
        recordOf(kept(sysbox, 'plain', ['sudo id']), { remarks: ['It rained.'] }),
        recordOf(kept(sysbox, 'docker-in-docker'), { remarks: ['It rained.', 'It snowed.'] }),
        recordOf(kept(kata, 'docker-in-docker')),
      ],
    });
    expect(rowOf(page, sysbox)).toMatch(/\| in part: 3 of 4 \|.*\| \*recorded\*, with \[remarks\]\(#recorded-runs\) \|$/);
    const section = sectionOf(page);
    for (const line of [
      '| `sysbox` | plain, docker-in-docker | 1.2.3 (abc1234 of 2030-01-01), recorded 2030-01-02 | Kubernetes 9.9.9, Sysbox 8.8.8 |',
      '| `kata-qemu` | docker-in-docker | 1.2.3 (abc1234 of 2030-01-01), recorded 2030-01-02 | Kubernetes 9.9.9, Sysbox 8.8.8 |',
      '- `sysbox`, plain, docker-in-docker: It rained.',
      '- `sysbox`, docker-in-docker: It snowed.',
      '- `sysbox`, plain: `no sudo id today`',
      '  - sudo id',
      '| `kata-qemu` | docker-in-docker | 0 70000 65536 | 70000 | the node’s |',
      '| Attempt | `sysbox` | `kata-qemu` |',
      '| make a control group | its own subtree only | its own subtree only |',
    ])
      expect(section.split('\n')).toContain(line);
  });

  test.each([
    [{}, '1.2.3 (abc1234 of 2030-01-01), recorded 2030-01-02'],
    [{ project: { version: '1.2.3' } }, '1.2.3, recorded 2030-01-02'],
  ])('the page gives the known details of the version of a recorded run: %o', (more, says) => {
    const page = pageOf({ ...run, recorded: [recordOf(kept(sysbox, 'plain'), more)] });
    expect(sectionOf(page)).toContain(`| \`sysbox\` | plain | ${says} |`);
  });

  test('a recorded run does not appear on the page if the same offer was run', () => {
    const here = { ...offers, run: [sysbox], stored: offers.stored.filter(({ id }) => id !== 'sysbox') };
    const page = pageOf({ ...run, offers: here, kept: [kept(sysbox, 'plain', ['sudo id'])], recorded: [recordOf(kept(sysbox, 'plain'))] });
    expect(rowOf(page, sysbox)).toMatch(/\| in part: 1 of 2 \|.*\| this run \|$/);
    expect(sectionOf(page)).toBe('\nNone.\n\n');
  });

  test('only the recorded parts of the page change when other runs are recorded', () => {
    const before = pageOf({ ...run, recorded: [recordOf(kept(sysbox, 'plain')), recordOf(kept(kata, 'plain'))] });
    const recorded = [recordOf(kept(sysbox, 'plain', ['sudo id']))];
    expect(withRecorded(before, { offers, recorded })).toBe(pageOf({ ...run, recorded }));
    expect(withRecorded(before, { offers, recorded: [] })).toBe(pageOf(run));
  });

  test('the page lists and counts attempts that are known to succeed', () => {
    const attempts = [
      { name: 'set the clock', ofKernel: true, through: true, detail: 'set as it was' },
      { name: 'swap to a file', ofKernel: true, through: true, detail: 'done' },
    ];
    const offer = { ...sysbox, attempts: { 'set the clock': 'it is right already' } };
    const here = { ...offers, run: [offer] };
    const pageWith = (count: number): string =>
      pageOf({ ...run, offers: here, kept: [{ ...kept(offer, 'plain'), attempts: attempts.slice(0, count) }] });
    expect(rowOf(pageWith(1), offer)).toContain('| in part: 1 of 1 got out, all of them known |');
    expect(rowOf(pageWith(2), offer)).toContain('| broken: 2 of 2 got out |');
    expect(pageWith(1)).toContain('\nAttempts that are known to succeed:\n\n- `sysbox`, set the clock: it is right already\n');
  });

  test('the page says "not tried" where no step was run', () => {
    const offer = { ...sysboxContainers, id: 'odd', image: WORKSPACE_IMAGE };
    const here = { ...offers, run: [offer] };
    const { outcomes, ...rest } = kept(offer, 'plain');
    const loads = outcomes.filter(({ step }) => step.promise === 'build').map((outcome) => ({ ...outcome, ok: false }));
    const page = pageOf({ ...run, offers: here, kept: [{ ...rest, outcomes: loads }] });
    expect(rowOf(page, offer)).toMatch(new RegExp(`\\| not tried \\| not kept: 0 of ${loads.length} \\| not tried \\|`));
  });
});
