import { type DefaultTreeAdapterMap, parse, serializeOuter } from 'parse5';
import { describe, expect, test } from 'vitest';
import { printScanHtml } from '../../../src/report/scan/html.ts';
import type { ScanReport, ScanRow } from '../../../src/report/scan/scan-report.ts';
import { COLOURS } from '../../../src/report/scan/style.ts';
import { goldenFiles } from '../../support/golden.ts';
import { HOST_PATH, NO_CAPABILITIES, NO_USER_NAMESPACES, PRIVILEGED, ROWS, reportOf, rowOf } from '../../support/scan-reports.ts';

type Node = DefaultTreeAdapterMap['node'];
type Element = DefaultTreeAdapterMap['element'];

interface ParsedPage {
  /** What a browser would have to guess. */
  readonly errors: readonly string[];
  readonly elements: readonly Element[];
  readonly text: string;
}

function parsePage(page: string): ParsedPage {
  const errors: string[] = [];
  const elements: Element[] = [];
  let text = '';
  const walk = (node: Node): void => {
    if ('tagName' in node) elements.push(node);
    if (node.nodeName === '#text' && 'value' in node) text += node.value;
    if ('childNodes' in node) for (const child of node.childNodes) walk(child);
  };
  walk(parse(page, { onParseError: ({ code }) => errors.push(code) }));
  return { errors, elements, text };
}

const named = ({ elements }: ParsedPage, name: string): Element[] => elements.filter(({ tagName }) => tagName === name);
const attributesOf = ({ attrs }: Element): Readonly<Record<string, string>> =>
  Object.fromEntries(attrs.map(({ name, value }) => [name, value]));

/** Every element with its attributes' names, each once. */
function shapesOf({ elements }: ParsedPage): ReadonlySet<string> {
  return new Set(elements.map(({ tagName, attrs }) => [tagName, ...attrs.map(({ name }) => name)].join(' ')));
}

const usual: ScanReport = reportOf(ROWS, {
  incomplete: ['pods of namespace team-d cannot be read: "list" on "pods" is forbidden'],
  notes: ['2 mirror pods are not judged', 'events cannot be read, so that pods that do not start have no reason'],
});

test('the page equals the one that was read', async () => {
  const page = printScanHtml(usual);
  expect(await goldenFiles('scan-reports').text('report.html', page)).toBe(page);
});

test('the page is HTML without a mistake', () => {
  expect(parsePage(printScanHtml(usual)).errors).toEqual([]);
  expect(parsePage(printScanHtml(reportOf([]))).errors).toEqual([]);
});

test('the page loads nothing and runs nothing', () => {
  const page = parsePage(printScanHtml(usual));
  const policy = named(page, 'meta')
    .map(attributesOf)
    .find((each) => each['http-equiv'] === 'Content-Security-Policy');
  expect(policy?.content).toBe("default-src 'none'; style-src 'unsafe-inline'");
  const loading = ['script', 'link', 'img', 'iframe', 'object', 'embed', 'base', 'form', 'a', 'svg'];
  expect(loading.flatMap((name) => named(page, name))).toEqual([]);
  const [style, ...more] = named(page, 'style').map(({ childNodes }) =>
    childNodes.map((each) => ('value' in each ? each.value : '')).join(''),
  );
  expect(more).toEqual([]);
  expect(style).not.toMatch(/url\(|@import|@font-face|expression\(/);
});

describe('hostile texts', () => {
  const HOSTILE = [
    '<script>alert(1)</script>',
    '</td></tr></table><img src=x onerror=alert(1)>',
    '" onmouseover="alert(1)',
    "' onfocus='alert(1)' autofocus='",
    '</style><script>alert(1)</script>',
    '<!-- ',
    '&lt;script&gt; &#60;b&#62; &amp',
    '\u202Egnp.exe\u2066',
    'a\u0000b\u0008c\u001b[31md\r\ne\u2028f',
    '\ud800',
    ']]><svg/onload=alert(1)>',
  ];

  /** A report whose every text is the hostile one. */
  function hostileReport(text: string): ScanReport {
    const everywhere = (row: ScanRow): ScanRow => ({
      ...row,
      namespace: text,
      name: text,
      uid: text,
      node: text,
      runtimeClass: text,
      owner: text,
      profile: text,
      grant: text,
      findings: row.findings.map((finding) => ({
        ...finding,
        rule: text,
        container: text,
        path: ['metadata', text],
        message: text,
        remedy: text,
        exemption: text,
      })),
      exempted: row.exempted.map(() => ({ rule: text, value: text, reason: text })),
      wall: { ...row.wall, findings: row.wall.findings.map((finding) => ({ ...finding, check: text, message: text, remedy: text })) },
      notes: [text],
    });
    const cluster = { version: text, configuration: { sha256: text, matchesWebhook: false } };
    return reportOf(ROWS.map(everywhere), { cluster, incomplete: [text], notes: [text] });
  }

  test.each(HOSTILE)('%j adds no element, no attribute and no character that is not shown', (text) => {
    const page = printScanHtml(hostileReport(text));
    const parsed = parsePage(page);
    expect(parsed.errors).toEqual([]);
    expect([...shapesOf(parsed)].sort()).toEqual([...shapesOf(parsePage(printScanHtml(hostileReport('harmless'))))].sort());
    expect(page).not.toMatch(/[\p{Cf}\p{Zl}\p{Zp}]|[^\P{Cc}\n]|\p{Cs}/u);
    // Values of the attributes are ours alone.
    const values = parsed.elements.flatMap(({ attrs }) => attrs.map(({ value }) => value));
    expect(values.filter((value) => /alert|exe|&/.test(value))).toEqual([]);
  });

  test('a hostile text is shown as it was written', () => {
    expect(parsePage(printScanHtml(hostileReport('<b title="x">&amp;\u202Ey'))).text).toContain('<b title="x">&amp;\\u{202e}y');
  });
});

describe('for readers', () => {
  const page = parsePage(printScanHtml(usual));

  test('headings descend one level at a time, and begin with one h1', () => {
    const levels = page.elements.flatMap(({ tagName }) => (/^h\d$/.test(tagName) ? [Number(tagName.slice(1))] : []));
    expect(levels[0]).toBe(1);
    expect(levels.filter((level) => level === 1)).toHaveLength(1);
    for (const [index, level] of levels.entries()) expect(level).toBeLessThanOrEqual((levels[index - 1] ?? 0) + 1);
  });

  test('every header cell has a scope, every table a caption, and every row a header', () => {
    for (const cell of named(page, 'th')) expect(attributesOf(cell).scope).toMatch(/^(col|row)$/);
    expect(named(page, 'caption')).toHaveLength(named(page, 'table').length);
    const rows = named(page, 'tr').filter(({ parentNode }) => parentNode?.nodeName === 'tbody');
    expect(rows).toHaveLength(6);
    for (const { childNodes } of rows) expect(childNodes[0]?.nodeName).toBe('th');
  });

  test('the language and the width of the device are stated', () => {
    expect(named(page, 'html').map(attributesOf)).toEqual([{ lang: 'en' }]);
    expect(named(page, 'meta').map((each) => attributesOf(each).name)).toContain('viewport');
  });

  test('each namespace with something to report is a foldable of its own, the worst first', () => {
    expect(named(page, 'details')).toHaveLength(3);
    const titles = named(page, 'h3').map(({ childNodes }) => childNodes.map((each) => ('value' in each ? each.value : '')).join(''));
    expect(titles).toEqual(['team-a', 'team-b', 'team-c']);
    const folded = named(page, 'summary').map((each) => parsePage(serializeOuter(each)).text.replace(/\s+/g, ' ').trim());
    expect(folded).toEqual(['team-a 1 escape 1 wall missing', 'team-b 1 escape 1 short 1 not judged', 'team-c 1 warning']);
  });

  test('pods with nothing to say are counted and not printed', () => {
    expect(page.text).toContain('2 further rows have nothing to report.');
    expect(page.text).not.toContain('ws-4');
    expect(parsePage(printScanHtml(reportOf([rowOf()]))).text).toContain('1 row has nothing to report.');
    expect(parsePage(printScanHtml(reportOf([]))).text).toContain('No pod was judged.');
  });

  test('notes of pods that are not printed are counted, and an inconsistent list is named', () => {
    const note = 'older than the label of its namespace';
    const rows = ['a', 'b'].flatMap((name) => [rowOf({ name, notes: [note] }), rowOf({ name, mode: 'audit', notes: [note] })]);
    const { text } = parsePage(printScanHtml(reportOf(rows, { isInconsistent: true })));
    expect(text).toContain(`2 pods: ${note}.`);
    expect(text).toContain('later pages may be of a later moment');
  });

  test('notes of pods that differ without end do not hide those of the scan', () => {
    const rows = Array.from({ length: 500 }, (_, index) => rowOf({ name: `ws-${index}`, notes: [`note ${index}`] }));
    const { text } = parsePage(printScanHtml(reportOf(rows, { notes: ['The webhook is away.'] })));
    expect(text).toContain('1 pod: note 19.');
    expect(text).not.toContain('note 20.');
    expect(text).toContain('There are 480 further notes of pods');
    expect(text).toContain('The webhook is away.');
  });

  test.each(Object.entries(COLOURS))(
    'texts in the colours %s have a contrast of at least 4.5',
    (_, { page: below, card, line: __, ...texts }) => {
      for (const [name, colour] of Object.entries(texts)) {
        for (const background of [below, card])
          expect(contrast(colour, background), `${name} on ${background}`).toBeGreaterThanOrEqual(4.5);
      }
    },
  );
});

describe('large scans', () => {
  const many = (count: number, fields: (index: number) => Partial<ScanRow>): ScanRow[] =>
    Array.from({ length: count }, (_, index) =>
      rowOf({ namespace: `team-${index % 400}`, name: `workspace-${index}-abcde`, ...fields(index) }),
    );

  test('10,000 pods, a fifth of them with findings, have at most 3 MB and all of their findings', () => {
    const rows = many(10_000, (index) => (index % 5 === 0 ? { verdict: 'escapes', findings: [PRIVILEGED, HOST_PATH] } : {}));
    const page = printScanHtml(reportOf(rows));
    expect(Buffer.byteLength(page)).toBeLessThanOrEqual(3_000_000);
    expect(page.match(/workspace-\d+-abcde/g)).toHaveLength(2_000);
    expect(page).toContain('8000 further rows have nothing to report.');
  });

  test('what has no place in 3 MB is counted', () => {
    const findings = [PRIVILEGED, HOST_PATH, NO_CAPABILITIES].map((finding) => ({ ...finding, message: '<&>é'.repeat(200) }));
    const rows = many(10_000, (index) => ({
      namespace: `team-${index}`,
      verdict: 'escapes',
      findings,
      wall: { state: 'missing', findings: [NO_USER_NAMESPACES] },
    }));
    const incomplete = Array.from({ length: 5_000 }, () => '"'.repeat(5_000));
    const page = printScanHtml(reportOf(rows, { incomplete, notes: incomplete }));
    expect(Buffer.byteLength(page)).toBeLessThanOrEqual(3_000_000);
    const shown = page.match(/workspace-\d+-abcde/g)?.length ?? 0;
    expect(shown).toBeGreaterThan(100);
    expect(page).toContain(`${10_000 - shown} further rows of ${10_000 - shown} namespaces have no place in this file.`);
  });

  test('a row with many findings names the first 20 and counts the others', () => {
    const findings = Array.from({ length: 30 }, (_, index) => ({ ...PRIVILEGED, path: ['spec', 'containers', index] }));
    const page = parsePage(printScanHtml(reportOf([rowOf({ verdict: 'escapes', findings })])));
    expect(page.text).toContain('spec.containers[19]');
    expect(page.text).not.toContain('spec.containers[20]');
    expect(page.text).toContain('and 10 more');
  });
});

/** WCAG 2.2, "contrast ratio". */
function contrast(first: string, second: string): number {
  const [light = 0, dark = 0] = [luminance(first), luminance(second)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
