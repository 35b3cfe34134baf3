import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { inject } from 'vitest';

/** A machine that runs other work is slow; a page that never answers is a fault after this time. */
export const WAIT_MS = 60_000;

export async function startBrowser(): Promise<Browser> {
  const found = inject('chromium');
  if ('missing' in found) throw new Error(`this machine lacks ${found.missing}`);
  return chromium.launch({ executablePath: found.program, chromiumSandbox: false, timeout: WAIT_MS });
}

export const missingForBrowser = (): string | undefined => {
  const found = inject('chromium');
  return 'missing' in found ? found.missing : undefined;
};

/** A page of the site in a profile of its own. */
export async function openPage(browser: Browser, path: string, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: 'light', ...options });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  await page.goto(new URL(path, inject('siteUrl')).href);
  return page;
}

/** The playground, with CodeMirror, and with the first manifest judged. */
export async function openPlayground(browser: Browser, fragment = '', options: BrowserContextOptions = {}): Promise<Page> {
  const page = await openPage(browser, `playground.html${fragment}`, options);
  await page.waitForFunction(() => document.documentElement.dataset.ready === 'true');
  await waitUntilJudged(page);
  return page;
}

/** Does something, and waits until its result is shown. */
export async function judgedAfter(page: Page, act: () => Promise<unknown>): Promise<void> {
  await act();
  await waitUntilJudged(page);
}

async function waitUntilJudged(page: Page): Promise<void> {
  await page.waitForFunction(() => document.getElementById('result')?.getAttribute('aria-busy') === 'false');
}

/** Replaces the manifest, as a person who pastes does. */
export async function paste(page: Page, text: string): Promise<void> {
  await page.locator('.cm-content').click();
  await page.keyboard.press('Control+A');
  await judgedAfter(page, () => page.keyboard.insertText(text));
}
