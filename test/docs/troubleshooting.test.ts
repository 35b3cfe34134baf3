import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { USER_NAMESPACES_SINCE } from '../../src/core/kubernetes.ts';
import { HTTP_ERRORS } from '../../src/webhook/http/errors.ts';
import { INVALID_REVIEW } from '../../src/webhook/review/respond.ts';
import { readPage, root } from './page.ts';

const page = readPage('docs/troubleshooting.md');
const sources = [...globSync('src/**/*.ts', { cwd: root }), 'charts/cloister/templates/_config.tpl'].map(readSource).join('\n');

/** Our own words: what headings quote, and what the tables quote, but for what is the API server's, the kubelet's or helm's. */
const headings = [...page.text.matchAll(/^###.*?"([^"…]+)"$/gm)].map(([, text = '']) => text);
const cells = [...page.text.matchAll(/^\| (`.*`.*?) \| /gm)].flatMap(([, cell = '']) =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text),
);
const FOREIGN =
  /no endpoints|deadline|timeout|x509|requested resource|seccomp profile|user namespaces|host ID|untolerated taint|RuntimeClass|effective uid|secret key|additional properties|reuse a name|ownership|conflict with|violates|insufficient quota|^cloister (ensure|explain)|^no serving|sudo|none/;

test.each([...headings, ...cells.filter((text) => !FOREIGN.test(text))])('Cloister’s source contains the message "%s"', (text) => {
  expect(text.split('…').filter((part) => !sources.includes(part.trim()))).toEqual([]);
});

/** Source files with Cloister's error messages for operators, each with the code in front of a message. */
const SPOKEN: Readonly<Record<string, RegExp>> = {
  'telemetry/recorder.ts': /logger\.error\(\{[^}]*\},/,
  'webhook/review/review.ts': /problem:/,
  'webhook/review/answer.ts': /const message =|profile === undefined\s*\?/,
  'core/policy.ts': /return(?= .profile )/,
  'webhook/review/respond.ts': /makeFailure\(route,/,
  'manifests/policies.ts': /messageExpression:/,
  'tls/files.ts': /err\(|return/,
  'tls/certificate-policy.ts': /return/,
  'tls/client-auth.ts': /return|undefined :/,
  'cluster/client.ts': /ClusterError\(|err\(|\[40[13],/,
  'cluster/serving.ts': /problem:/,
  'ensure/plan.ts': /return \[?(?=\s*.(?:\$\{address\}|no |does not cover ))|\? undefined :/,
  'ensure/reconcile.ts': /contested\(|logger\.\w+\(\{[^}]*\},/,
  'ensure/kept-fields.ts': /warn\(/,
  'commands/ensure.ts': /logger\.(?:warn|error)\(\{[^}]*\},/,
  'commands/node-profile.ts': /err\(|Error\(|(?:whole|torn|broken|none):|problem:|return|\? /,
  'commands/serve.ts': /error:|return|logger\.(?:error|fatal)\(\{[^}]*\},|const (?:folder|names) =/,
};

/** What one finds by searching the page: whatever it quotes that is more than a word. */
const quoted = [...headings, ...page.text.matchAll(/`([^`\n]+)`/g).map(([, text = '']) => text)]
  .flatMap((text) => text.split('…'))
  .map((text) => text.replace(/^[\s,:;]+|[\s,:;]+$/g, ''))
  .filter((text) => /\w \w/.test(text));

const LITERAL = /\s*(?:'((?:[^'\\]|\\.)+)'|"((?:[^"\\]|\\.)+)"|`((?:[^`\\]|\\.)+)`)/;

/** What of a text is always the same, and more than a word. */
function phrasesOf(text: string): readonly string[] {
  const parts = text.replaceAll(/\\(.)/g, '$1').split(/\$\{[^}]*\}|variables\.\w+\.join\(', '\) \+ '/);
  return parts.filter((part) => /\w \w/.test(part));
}

const spoken = Object.entries(SPOKEN).map(([file, before]) => {
  const source = readSource(join('src', file));
  const found = source.matchAll(new RegExp(`(?:${before.source})${LITERAL.source}`, 'g'));
  const texts = [...found].map((match) => phrasesOf(match.slice(1).find((each) => each !== undefined) ?? ''));
  return [file, texts.filter((phrases) => phrases.length > 0)] as const;
});

test.each(spoken)('the page contains the error messages of %s', (_, texts) => {
  expect(texts.length).toBeGreaterThan(0);
  expect(texts.filter((phrases) => !quoted.some((each) => phrases.some((phrase) => phrase.includes(each))))).toEqual([]);
});

test('the page lists every error code of the review port', () => {
  const codes = [INVALID_REVIEW, ...Object.keys(HTTP_ERRORS)];
  expect(codes.filter((code) => !page.text.includes(`\`${code}\``))).toEqual([]);
});

/** With the version that a message takes from a constant. */
function readSource(file: string): string {
  return readFileSync(join(root, file), 'utf8').replaceAll(/\$\{USER_NAMESPACES_SINCE\}/g, String(USER_NAMESPACES_SINCE));
}

test('this test finds headings and tables', () => {
  expect(headings.length).toBeGreaterThanOrEqual(6);
  expect(cells.length).toBeGreaterThan(30);
});
