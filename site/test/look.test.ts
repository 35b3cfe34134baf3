import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeUnless } from '../../test/support/needs.ts';
import { missingForBrowser, openPage, openPlayground, startBrowser, WAIT_MS } from './browser.ts';

const PICTURE = join(import.meta.dirname, '../../docs/images/playground.png');
const PICTURE_SIZE = { width: 1280, height: 860 };
const PHONE = { width: 390, height: 844 };

/** A folder for the screenshots, for a person to look at them; without it none is kept. */
const kept = process.env.CLOISTER_SCREENSHOTS;

describeUnless(missingForBrowser(), 'the pages in Chromium', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser();
  }, 120_000);
  afterAll(() => browser?.close());

  test.each(['index.html', 'quickstart.html', 'rules/privileged.html', 'rules/index.html', 'threat-model.html', 'playground.html'])(
    '%s fits into the width of a phone and of a screen, in both themes',
    async (path) => {
      for (const [name, viewport] of Object.entries({ phone: PHONE, screen: { width: 1280, height: 900 } })) {
        for (const colorScheme of ['light', 'dark'] as const) {
          const page = await openPage(browser, path, { viewport, colorScheme });
          await page.waitForLoadState('networkidle');
          const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          expect(overflow, `${name} ${colorScheme}`).toBe(0);
          const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
          const [brightness = 0] = /\d+/.exec(background)?.map(Number) ?? [];
          expect(brightness > 128, `${name} ${colorScheme} ${background}`).toBe(colorScheme === 'light');
          if (kept !== undefined) await page.screenshot({ path: join(kept, `${path.replaceAll('/', '-')}.${name}.${colorScheme}.png`) });
          await page.context().close();
        }
      }
    },
    300_000,
  );

  test('the search finds a rule without a request to another address', async () => {
    const page = await openPage(browser, 'documentation.html');
    const elsewhere: string[] = [];
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== new URL(page.url()).origin) elsewhere.push(request.url());
    });
    await page.waitForLoadState('networkidle');
    // The key works from the moment on at which the scripts of the page run.
    const box = page.locator('#localsearch-input');
    await expect
      .poll(async () => (await box.isVisible()) || void (await page.keyboard.press('Control+k')), { timeout: WAIT_MS, interval: 3_000 })
      .toBe(true);
    await box.fill('hostPath exempted');
    await page.locator('#localsearch-list a').first().waitFor();
    expect(await page.locator('#localsearch-list').textContent()).toContain('A hostPath is exempted only by its path');
    expect(elsewhere).toEqual([]);
    await page.context().close();
  });

  test('the edit link leads to the source of the page', async () => {
    const page = await openPage(browser, 'rules/privileged.html');
    const link = await page.locator('.edit-link-button').getAttribute('href');
    expect(link).toBe('https://github.com/cloister-dev/cloister/edit/main/docs/rules/privileged.md');
    await page.context().close();
  });

  test('README.md has a picture of the playground, of the size of a new one; UPDATE_GOLDEN=1 writes a new one', async () => {
    const page = await openPlayground(browser, '', { viewport: PICTURE_SIZE });
    const taken = await page.screenshot();
    await page.context().close();
    if (process.env.UPDATE_GOLDEN === '1') await writeFile(PICTURE, taken);
    const picture = await readFile(PICTURE);
    expect(sizeOf(picture)).toEqual(sizeOf(taken));
    expect(await readFile(join(import.meta.dirname, '../../README.md'), 'utf8')).toContain('](docs/images/playground.png)');
  });
});

/** Width and height in the header of a PNG. */
const sizeOf = (png: Buffer): readonly number[] => [png.readUInt32BE(16), png.readUInt32BE(20)];
