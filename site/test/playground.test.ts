import { execFile } from 'node:child_process';
import { cpSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Browser, CDPSession, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { describeUnless } from '../../test/support/needs.ts';
import { judgeText } from '../playground/judge-text.ts';
import { judgedAfter, missingForBrowser, openPlayground, paste, startBrowser } from './browser.ts';

const root = join(import.meta.dirname, '../..');
const run = promisify(execFile);

const EXAMPLES = [
  'workspace',
  'platforms/gitlab',
  'platforms/che',
  'platforms/coder',
  'platforms/coder-envbox',
  'platforms/devpod',
  'platforms/jupyterhub',
  'platforms/arc',
  'platforms/openshift',
  'plain-pod',
  'podman',
  'docker-in-docker',
  'containers',
  'cronjob',
  'statefulset',
  'list',
  'multi-document',
  'refused/hostpath',
  'refused/control-plane',
].map((name) => `examples/${name}.yaml`);

/** The most CPU time that a manifest may cost the thread of the page. While a script runs there, the page answers nothing. */
const FROZEN_SECONDS = 5;

const CONFIG = `apiVersion: cloister.dev/v1alpha1
kind: Config
profiles:
  userns: {grant: containers, grantTo: ['tooling-*', workspace]}
  team: {extends: kata-qemu, runtimeClassName: kata-team}
`;

describeUnless(missingForBrowser(), 'the playground in Chromium', () => {
  let browser: Browser;
  let page: Page;
  /** The built command line, which starts ten times as fast as the sources. */
  let built: string;
  beforeAll(async () => {
    built = await mkdtemp(join(tmpdir(), 'cloister-built-'));
    await run(process.execPath, [join(root, 'tools/commands/build.ts'), join(built, 'dist')]);
    cpSync(join(root, 'package.json'), join(built, 'package.json'));
    browser = await startBrowser();
    page = await openPlayground(browser);
  }, 300_000);
  afterAll(async () => {
    await browser?.close();
    await rm(built, { recursive: true, force: true });
  });

  /** What the command line prints on standard output, whatever its status is. */
  const cloister = async (args: readonly string[], cwd = root): Promise<string> => {
    const { stdout } = await run(process.execPath, [join(built, 'dist/main.js'), ...args], { cwd }).catch(
      (error: { stdout: string }) => error,
    );
    return stdout;
  };

  const textOf = (id: string): Promise<string> => page.locator(`#${id}`).evaluate((element) => element.textContent ?? '');
  /** Only the lines: each is an element, without an end of line. */
  const diffOf = (): Promise<string> =>
    page
      .locator('#diff span')
      .evaluateAll((lines) => lines.map((each) => `${each.textContent === ' ' ? '' : each.textContent}\n`).join(''));
  const choose = (id: string, value: string): Promise<void> =>
    page.locator(`#${id}`).evaluate((element, wanted) => {
      const select = element as HTMLSelectElement;
      if (select.value === wanted) select.dispatchEvent(new Event('change'));
      else {
        select.value = wanted;
        select.dispatchEvent(new Event('change'));
      }
    }, value);

  test('the menu has every example of the platforms and of what is refused', async () => {
    expect(await page.locator('#example option').evaluateAll((all) => all.map((each) => (each as HTMLOptionElement).value))).toEqual([
      ...EXAMPLES,
      'manifest.yaml',
    ]);
  });

  test.each(EXAMPLES)(
    '%s is judged and fixed as by the command line, byte for byte',
    async (file) => {
      await choose('profile', 'userns');
      await choose('grant', 'containers');
      await judgedAfter(page, () => choose('example', file));
      const flags = [file, '--profile', 'userns', '--grant', 'containers'];
      const [check, fix, patch, diff] = await Promise.all([
        cloister(['check', ...flags, '-o', 'json']),
        cloister(['fix', ...flags]),
        cloister(['fix', ...flags, '-o', 'json-patch']),
        cloister(['fix', ...flags, '--diff']),
      ]);
      expect(check).toContain('"kind": "CheckReport"');
      expect(await textOf('check')).toBe(check);
      expect(await textOf('fixed')).toBe(fix);
      expect(await textOf('patch')).toBe(patch);
      expect(await diffOf()).toBe(diff === '' ? 'Nothing changes.\n' : diff.replaceAll(/^ $/gm, ''));

      // Another wall, and the grant of the profile.
      await choose('grant', '');
      await judgedAfter(page, () => choose('profile', 'kata-qemu'));
      expect(await textOf('check')).toBe(await cloister(['check', file, '--profile', 'kata-qemu', '-o', 'json']));
    },
    300_000,
  );

  test('a configuration is used as by the command line, and its problems are shown', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cloister-playground-'));
    try {
      const file = 'examples/platforms/gitlab.yaml';
      cpSync(join(root, 'examples'), join(folder, 'examples'), { recursive: true });
      await writeFile(join(folder, 'config.yaml'), CONFIG);
      await choose('grant', '');
      await judgedAfter(page, () => choose('example', file));
      await page.locator('#configuration summary').click();
      await judgedAfter(page, () => page.locator('#config').fill(CONFIG));
      await judgedAfter(page, () => choose('profile', 'team'));
      const stdout = await cloister(['check', file, '--profile', 'team', '--config', 'config.yaml', '-o', 'json'], folder);
      expect(stdout).toContain('"profile": "team"');
      expect(await textOf('check')).toBe(stdout);
      await judgedAfter(page, () => page.locator('#config').fill(CONFIG.replace('grantTo', 'grantsTo')));
      expect(await textOf('problems')).toContain('grantsTo: is unknown (did you mean grantTo?)');
    } finally {
      await judgedAfter(page, () => page.locator('#config').fill(''));
      await choose('profile', 'userns');
      await rm(folder, { recursive: true });
    }
  }, 120_000);

  test('a fault that is typed is shown at its line', async () => {
    const own = await openPlayground(browser);
    await paste(own, 'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n    - name: a\n      image: a\n');
    expect(await own.locator('#findings').textContent()).not.toContain('host-namespaces');
    await own.keyboard.press('Control+End');
    await judgedAfter(own, () => own.keyboard.type('  hostPID: true'));
    await own.locator('#findings a', { hasText: 'host-namespaces' }).waitFor();
    const finding = own.locator('#findings li', { hasText: 'hostPID is true' });
    expect(await finding.textContent()).toContain('line 8');
    expect(await finding.textContent()).toMatch(
      /escape host-namespaces .*spec\.hostPID.*hostPID is true; remove it.*The pod shares no namespace with its node\./,
    );
    // The marker of the gutter is beside the eighth line.
    const [marker, line] = await Promise.all([
      own.locator('.cm-lint-marker-error').last().boundingBox(),
      own.locator('.cm-line').nth(7).boundingBox(),
    ]);
    expect(Math.abs((marker?.y ?? 0) - (line?.y ?? -100))).toBeLessThan(12);
    await own.context().close();
  });

  test('broken YAML is shown at its line', async () => {
    const own = await openPlayground(browser);
    await paste(own, 'apiVersion: v1\nkind: Pod\nmetadata: {name: "a\n');
    expect(await own.locator('#problems').textContent()).toMatch(/manifest|examples\/workspace\.yaml:\d+:\d+: .*line \d/);
    expect(await own.locator('#verdict').textContent()).toBe('No pod is judged.');
    await own.context().close();
  });

  test('the author sees what the webhook answers in each mode', async () => {
    await choose('profile', 'userns');
    await judgedAfter(page, () => choose('example', 'examples/refused/hostpath.yaml'));
    await judgedAfter(page, () => choose('mode', 'warn'));
    expect(await textOf('author')).toMatch(/Pod docker-socket is created\..*Warning: .*volume "docker" is the node's/);
    await judgedAfter(page, () => choose('mode', 'audit'));
    expect(await textOf('author')).not.toContain('Warning:');
    expect(await textOf('author')).toContain('audit annotation verdict: refused');
    await judgedAfter(page, () => choose('mode', 'enforce'));
    expect(await textOf('author')).toMatch(/Pod docker-socket is refused\.denied: profile userns.*volume "docker" is the node's/s);
    await judgedAfter(page, () => choose('example', 'examples/plain-pod.yaml'));
    expect(await textOf('author')).toMatch(/is created\.Warning: cloister userns: the repair/);
  });

  test('a shared link restores the state in another browser', async () => {
    const own = await openPlayground(browser, '', { permissions: ['clipboard-read', 'clipboard-write'] });
    await paste(own, 'apiVersion: v1\nkind: Pod\nmetadata: {name: ünïcode-🚪}\nspec: {containers: [{name: a, image: a}]}\n');
    await own.locator('#profile').selectOption('gvisor');
    await own.locator('#grant').selectOption('none');
    await own.locator('#mode').selectOption('audit');
    await own.locator('#share').click();
    await own.locator('#shared', { hasText: 'The link is copied.' }).waitFor();
    const link = await own.evaluate(() => navigator.clipboard.readText());
    const other = await openPlayground(browser, new URL(link).hash);
    for (const id of ['profile', 'grant', 'mode', 'config'])
      expect(await other.locator(`#${id}`).inputValue(), id).toBe(await own.locator(`#${id}`).inputValue());
    expect(await other.locator('#check').textContent()).toBe(await own.locator('#check').textContent());
    expect(await other.locator('#verdict').textContent()).toContain('profile gvisor, grant none');
    await Promise.all([own.context().close(), other.context().close()]);
  });

  test('a link that is no state, or that unpacks to more than a browser can hold, shows the first example', async () => {
    const { deflateRawSync } = await import('node:zlib');
    const bomb = deflateRawSync(
      JSON.stringify({ file: 'a', text: 'a'.repeat(8_000_000), config: '', profile: '', grant: '', mode: 'enforce' }),
    );
    for (const fragment of ['#1.AAAA', '#1.', '#rules', `#1.${bomb.toString('base64url')}`]) {
      const own = await openPlayground(browser, fragment);
      expect(await own.locator('#verdict').textContent(), fragment.slice(0, 20)).toContain('Pod workspace');
      await own.context().close();
    }
  });

  test('no request leaves the page after it is loaded', async () => {
    const own = await openPlayground(browser);
    const requests: string[] = [];
    own.context().on('request', (request) => requests.push(request.url()));
    await paste(
      own,
      'apiVersion: v1\nkind: Pod\nmetadata: {name: secret-name}\nspec: {hostPID: true, containers: [{name: a, image: a}]}\n',
    );
    for (const file of ['examples/platforms/jupyterhub.yaml', 'examples/list.yaml'])
      await judgedAfter(own, () => own.locator('#example').selectOption(file));
    await own.locator('#share').click();
    await own.locator('#theme').click();
    for (const summary of await own.locator('summary').all()) await summary.click();
    await own.waitForTimeout(1_000);
    expect(requests).toEqual([]);
    // The policy of the page refuses what a script could try.
    expect(
      await own.evaluate(() =>
        fetch('index.html').then(
          () => 'sent',
          () => 'refused',
        ),
      ),
    ).toBe('refused');
    expect(requests).toEqual([]);
    await own.context().close();
  });

  test('the keyboard alone suffices', async () => {
    const own = await openPlayground(browser);
    const focused = (): Promise<string> => own.evaluate(() => document.activeElement?.id || document.activeElement?.className || '');
    const tabTo = async (wanted: RegExp): Promise<void> => {
      for (let presses = 0; presses < 60; presses += 1) {
        await own.keyboard.press('Tab');
        if (wanted.test(await focused())) return;
      }
      throw new Error(`Tab does not reach ${wanted}`);
    };
    await tabTo(/^example$/);
    await judgedAfter(own, () => own.keyboard.press('ArrowDown'));
    expect(await own.locator('#verdict').textContent()).toContain('Deployment workspace-');
    await tabTo(/^profile$/);
    await judgedAfter(own, () => own.keyboard.press('ArrowDown'));
    expect(await own.locator('#verdict').textContent()).toContain('profile sysbox');
    await tabTo(/cm-content/);
    await own.keyboard.press('Control+A');
    await judgedAfter(own, () => own.keyboard.type('apiVersion: v1'));
    await judgedAfter(own, () => own.keyboard.press('Control+Z'));
    // Tab leaves the editor; the next button that names a line brings the cursor there.
    await tabTo(/^$/);
    await own.locator('#findings button').first().focus();
    await own.keyboard.press('Enter');
    expect(await focused()).toContain('cm-content');
    await tabTo(/^diff$/);
    expect(await own.evaluate(() => getComputedStyle(document.activeElement as Element).outlineStyle)).not.toBe('none');
    await own.context().close();
  });

  describe.each(['light', 'dark'] as const)('in the %s theme', (colorScheme) => {
    test('axe finds nothing serious, with findings, with a problem and on a phone', async () => {
      for (const viewport of [
        { width: 1280, height: 900 },
        { width: 390, height: 844 },
      ]) {
        const own = await openPlayground(browser, '', { colorScheme, viewport });
        for (const text of [undefined, 'kind: Pod\n']) {
          if (text !== undefined) await paste(own, text);
          for (const details of await own.locator('details').all())
            await details.evaluate((each) => ((each as HTMLDetailsElement).open = true));
          expect(await seriousIn(own), `${viewport.width} ${text}`).toEqual([]);
        }
        await own.context().close();
      }
    });
  });

  describe('a hostile manifest', () => {
    let own: Page;
    let session: CDPSession;
    /** CPU time of the thread of the page so far, in seconds. */
    const usedByPage = async (): Promise<number> =>
      (await session.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN;
    beforeAll(async () => {
      own = await openPlayground(browser);
      await own.evaluate(() => Object.assign(window, { ran: false }));
      session = await own.context().newCDPSession(own);
      await session.send('Performance.enable', { timeDomain: 'threadTicks' });
    });
    afterAll(() => own.context().close());
    /** Sets the text at once: a browser takes long to paste megabytes. */
    const set = (text: string): Promise<void> =>
      judgedAfter(own, () =>
        own.evaluate((given) => {
          const content = document.querySelector('.cm-content') as Element & {
            cmTile?: { view: { dispatch(spec: object): void; state: { doc: { length: number } } } };
            cmView?: { view: { dispatch(spec: object): void; state: { doc: { length: number } } } };
          };
          const view = (content.cmTile ?? content.cmView)?.view;
          view?.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: given } });
        }, text),
      );

    test('markup in names and values is shown as text', async () => {
      const markup = '<img src=x onerror="window.ran=true"><script>window.ran=true</script>';
      await set(
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: markup, labels: { 'cloister.dev/grant': markup }, annotations: { [markup]: markup } },
          spec: {
            hostPID: true,
            nodeName: markup,
            volumes: [{ name: markup, hostPath: { path: markup } }],
            containers: [{ name: markup, image: markup, securityContext: { privileged: true } }],
          },
        }),
      );
      expect(await own.locator('#verdict').textContent()).toContain('<img src=x');
      expect(await own.locator('.output img, .output script, .output iframe').count()).toBe(0);
      expect(await own.evaluate(() => (window as unknown as { ran: boolean }).ran)).toBe(false);
    });

    test.each([
      ['5 MB of text', `apiVersion: v1\nkind: Pod\nmetadata: {name: ${'a'.repeat(5_000_000)}}\n`, /more than 2,000,000 characters/],
      ['deep nesting', `${'['.repeat(100_000)}`, /nested too deeply|not judged|more than/],
      [
        'aliases that expand without end',
        `a: &a [x]\n${Array.from({ length: 30 }, (_, i) => `b${i}: &b${i} [*${i === 0 ? 'a' : `b${i - 1}`}, *${i === 0 ? 'a' : `b${i - 1}`}]`).join('\n')}\n`,
        /./,
      ],
      ['broken YAML', 'a: [b\n  c: "\n\t- {{', /./],
      [
        'a pod in every line',
        'kind: Pod\napiVersion: v1\nspec: {containers: [{name: a, image: a}]}\n---\n'.repeat(25_000),
        /took more than 10 s|Pod \(no name\)/,
      ],
    ])('%s neither runs nor freezes the page', async (_, text, expected) => {
      const before = await usedByPage();
      await set(text);
      const used = (await usedByPage()) - before;
      expect(`${await own.locator('#problems').textContent()} ${await own.locator('#verdict').textContent()}`).toMatch(expected);
      expect(await own.evaluate(() => (window as unknown as { ran: boolean }).ran)).toBe(false);
      process.stdout.write(`CPU time of the thread of the page: ${Math.round(used * 1_000)} ms\n`);
      expect(used).toBeLessThan(FROZEN_SECONDS);
      // Another manifest is judged as before.
      await set('apiVersion: v1\nkind: Pod\nmetadata: {name: after}\nspec: {containers: [{name: a, image: a}]}\n');
      expect(await own.locator('#verdict').textContent()).toContain('Pod after');
    });
  });

  test('a pod of ten containers is judged after a keystroke: the time in the browser beside that in Node', async () => {
    const container = (index: number): string =>
      `    - name: c${index}\n      image: registry.example.com/c:${index}\n      securityContext: {privileged: true}\n      ports: [{containerPort: ${8_000 + index}, hostPort: ${8_000 + index}}]\n`;
    const text = `apiVersion: v1\nkind: Pod\nmetadata: {name: ten}\nspec:\n  containers:\n${Array.from({ length: 10 }, (_, index) => container(index)).join('')}`;
    const own = await openPlayground(browser);
    await paste(own, text);
    await own.keyboard.press('Control+End');
    const [inWorker, untilShown]: [number[], number[]] = [[], []];
    for (let round = 0; round < 40; round += 1) {
      const shown = await own.evaluate(
        () =>
          new Promise<number>((resolve) => {
            const start = performance.now();
            const result = document.getElementById('result') as HTMLElement;
            const observer = new MutationObserver(() => {
              if (result.getAttribute('aria-busy') === 'true') return;
              observer.disconnect();
              resolve(performance.now() - start);
            });
            observer.observe(result, { attributes: true });
            document.execCommand('insertText', false, '#');
          }),
      );
      untilShown.push(shown);
      inWorker.push(await own.evaluate(() => Number(document.getElementById('result')?.dataset.milliseconds)));
    }
    expect(await own.locator('#verdict').textContent()).toContain('Pod ten: repairable');
    const inNode = Array.from({ length: 40 }, () => {
      const start = performance.now();
      judgeText({ file: 'ten.yaml', text, config: '', profile: 'userns', grant: 'containers', mode: 'enforce' }, new Date());
      return performance.now() - start;
    });
    const median = (all: number[]): string => `${(all.toSorted((a, b) => a - b)[20] ?? 0).toFixed(1)} ms`;
    process.stdout.write(
      `a pod of ten containers, medians of 40: judged in Node ${median(inNode)}, in the worker of Chromium ${median(inWorker)}, shown after the keystroke ${median(untilShown)}\n`,
    );
    await own.context().close();
  });
});

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** Serious and critical violations. The script of axe is evaluated by the debugger, which the policy of the page does not restrict. */
async function seriousIn(page: Page): Promise<readonly string[]> {
  await page.evaluate(await readFile(axe, 'utf8'));
  const violations = await page.evaluate(async () => {
    const { axe } = window as unknown as {
      axe: { run(): Promise<{ violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[] }> };
    };
    return (await axe.run()).violations;
  });
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)}: ${failureSummary}`));
}

test('the site is served to the tests', () => expect(inject('siteUrl')).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/cloister\/$/));
