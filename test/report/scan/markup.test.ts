import { type DefaultTreeAdapterMap, parseFragment } from 'parse5';
import { expect, test } from 'vitest';
import { html } from '../../../src/report/scan/markup.ts';

test.each(['" onclick="alert(1)', "' onclick='alert(1)", '<b>', '&quot;', '>', '`'])(
  '%s stays inside an attribute, and inside an element',
  (text) => {
    const { markup } = html`<p title="${text}" lang='${text}'>${text}</p>`;
    const [first, ...others] = parseFragment(markup).childNodes as DefaultTreeAdapterMap['element'][];
    expect(others).toEqual([]);
    expect(first?.attrs).toEqual([
      { name: 'title', value: text },
      { name: 'lang', value: text },
    ]);
    expect(first?.childNodes).toMatchObject([{ nodeName: '#text', value: text }]);
  },
);

test('a template inside a template is not escaped again, and a long text is cut', () => {
  expect(html`<p>${[html`<b>${'<'}</b>`, html`${1}`]}</p>`.markup).toBe('<p><b>&lt;</b>1</p>');
  expect(html`${'x'.repeat(5_000)}`.markup).toBe(`${'x'.repeat(999)}…`);
});
