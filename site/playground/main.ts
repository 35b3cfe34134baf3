import { GRANTS } from '../../src/core/requirements.ts';
import type { Editor, Mark } from './editor.ts';
import { EXAMPLES } from './examples.ts';
import { type Judged, makeJudge } from './judge.ts';
import type { JudgeRequest, ShownFinding, ShownPod } from './judge-text.ts';
import { fragmentOf, stateOf } from './link.ts';

/** The page: it reads the fields, asks the worker, and shows the reply. Everything is written as text, so that nothing in a manifest becomes markup. */

const byId = <T extends HTMLElement = HTMLElement>(id: string): T => document.getElementById(id) as T;

const area = byId<HTMLTextAreaElement>('manifest');
const config = byId<HTMLTextAreaElement>('config');
const fields = {
  example: byId<HTMLSelectElement>('example'),
  profile: byId<HTMLSelectElement>('profile'),
  grant: byId<HTMLSelectElement>('grant'),
  mode: byId<HTMLSelectElement>('mode'),
} as const;

const FIRST = EXAMPLES[0] as (typeof EXAMPLES)[number];
const START: JudgeRequest = { file: FIRST.file, text: FIRST.text, config: '', profile: 'userns', grant: 'containers', mode: 'enforce' };

/** Name of a manifest that is no example. */
const OWN_FILE = 'manifest.yaml';
/** More entries would make the page slow, and no reader reads them. */
const MAX_SHOWN = 200;
const MAX_SHOWN_LINES = 3_000;
const MAX_SHOWN_CHARS = 500_000;
/** A link is made when the author pauses. */
const LINK_DELAY_MS = 300;

let file = START.file;
let editor: Editor = plainEditor();
let linkTimer: ReturnType<typeof setTimeout> | undefined;
/** What was asked last. Until it is shown, the result is that of an older state. */
let asked: JudgeRequest | undefined;
/** The fragment that this page wrote last: a change to it is no new link. */
let ownFragment = '';

const judge = makeJudge(show);

fill(fields.example, [...EXAMPLES.map((example) => [example.file, example.title] as const), [OWN_FILE, 'Your own']]);
fill(fields.grant, [['', 'of the profile'], ...GRANTS.map((grant) => [grant, grant] as const)]);
fill(
  fields.mode,
  ['enforce', 'warn', 'audit'].map((mode) => [mode, mode] as const),
);

area.addEventListener('input', update);
config.addEventListener('input', update);
for (const field of [fields.profile, fields.grant, fields.mode]) field.addEventListener('change', update);
fields.example.addEventListener('change', chooseExample);
addEventListener('hashchange', () => {
  if (location.hash !== ownFragment) void open();
});
byId('share').addEventListener('click', () => void share());
byId('choices').addEventListener('submit', (event) => event.preventDefault());
startTheme();
await open();
await loadEditor();
document.documentElement.dataset.ready = 'true';

/** Shows the state of the link, or the first example. */
async function open(): Promise<void> {
  const linked = await stateOf(location.hash);
  write(linked ?? START);
  update();
}

function write(state: JudgeRequest): void {
  file = state.file;
  editor.setText(state.text);
  config.value = state.config;
  if (state.config !== '') byId<HTMLDetailsElement>('configuration').open = true;
  setProfiles(state.profile === '' ? [] : [state.profile], state.profile);
  fields.grant.value = state.grant;
  fields.mode.value = state.mode;
  fields.example.value = EXAMPLES.some((each) => each.file === file) ? file : OWN_FILE;
}

function read(): JudgeRequest {
  return {
    file,
    text: editor.text(),
    config: config.value,
    profile: fields.profile.value,
    grant: fields.grant.value as JudgeRequest['grant'],
    mode: fields.mode.value as JudgeRequest['mode'],
  };
}

function chooseExample(): void {
  const example = EXAMPLES.find((each) => each.file === fields.example.value);
  file = example?.file ?? OWN_FILE;
  editor.setText(example?.text ?? '');
  update();
}

function update(): void {
  asked = read();
  fields.mode.disabled = asked.profile === '';
  byId('result').setAttribute('aria-busy', 'true');
  judge(asked);
  clearTimeout(linkTimer);
  linkTimer = setTimeout(() => void writeLink(), LINK_DELAY_MS);
}

/** @returns whether the state fits into a link */
async function writeLink(): Promise<boolean> {
  const fragment = await fragmentOf(read());
  ownFragment = fragment ?? '';
  history.replaceState(null, '', fragment ?? location.pathname + location.search);
  return fragment !== undefined;
}

async function share(): Promise<void> {
  const note = byId('shared');
  if (!(await writeLink())) {
    note.textContent = 'The manifest is too long for a link.';
    return;
  }
  try {
    await navigator.clipboard.writeText(location.href);
    note.textContent = 'The link is copied.';
  } catch {
    note.textContent = 'The link is in the address bar.';
  }
}

async function loadEditor(): Promise<void> {
  const { makeEditor } = await import('./editor.ts');
  editor = makeEditor(area, update);
  update();
}

/** The text area, until CodeMirror is loaded. It shows no marks. */
function plainEditor(): Editor {
  return {
    text: () => area.value,
    setText: (text) => {
      area.value = text;
    },
    setMarks: () => {},
    goTo: () => area.focus(),
  };
}

function show(reply: Judged, request: JudgeRequest): void {
  if (reply.profiles.length > 0) setProfiles(reply.profiles, request.profile);
  const { pods, problems } = reply;
  byId('verdict').replaceChildren(...(pods.length === 0 ? [line('No pod is judged.', 'dim')] : few(pods, verdictOf, 'p')));
  byId('problems').replaceChildren(list(few(problems, ({ text, line: at }) => element('li', 'problem', text, ...jumpTo(at)), 'li')));
  const findings = pods.flatMap((pod) => pod.findings.map((finding) => ({ pod, finding })));
  byId('findings').replaceChildren(
    findings.length === 0 ? line('None.', 'dim') : list(few(findings, ({ finding }) => findingOf(finding), 'li')),
  );
  byId('author').replaceChildren(...(pods.length === 0 ? [line('Nothing is judged.', 'dim')] : few(pods, authorOf, 'p')));
  showDiff(reply.diff);
  for (const [id, text] of Object.entries({ fixed: reply.fixed, patch: reply.patch, check: reply.check }))
    byId(id).textContent = shorten(text ?? '');
  byId('command').replaceChildren('The same in a shell: ', element('code', '', commandOf(request)));
  editor.setMarks([...problems.flatMap(markOfProblem), ...findings.map(({ finding }) => markOf(finding))].slice(0, MAX_SHOWN));
  byId('result').dataset.milliseconds = String(reply.milliseconds);
  if (request === asked) byId('result').setAttribute('aria-busy', 'false');
}

function verdictOf({ title, verdict, profile, grant, mode }: ShownPod): HTMLElement {
  const meaning = { clean: 'admitted unchanged', repairable: 'repaired and admitted', refused: 'its author must change it' }[verdict];
  const inMode = mode === 'enforce' ? '' : `; the mode ${mode} admits it unchanged`;
  return element(
    'p',
    'verdict',
    `${title}: `,
    element('span', verdict, verdict),
    ` (${meaning}${inMode}), profile ${profile}, grant ${grant}`,
  );
}

function findingOf(finding: ShownFinding): HTMLElement {
  const { rule, summary, kind, isFixable, place, message, remedy } = finding;
  const link = element('a', '', rule);
  link.setAttribute('href', `rules/${rule}.html`);
  return element(
    'li',
    '',
    element('p', '', element('span', kind, kind), ' ', link, ' ', ...jumpTo(finding.line)),
    element('p', '', element('code', '', place)),
    element('p', '', `${message}; ${remedy}`),
    element('p', 'dim', `${summary}${isFixable ? '' : ' No repair ends this finding.'}`),
  );
}

function jumpTo(at: number | undefined): readonly (string | HTMLElement)[] {
  if (at === undefined) return [];
  const button = element('button', '', `line ${at}`);
  button.setAttribute('type', 'button');
  button.addEventListener('click', () => editor.goTo(at));
  return [' ', button];
}

function authorOf({ title, mode, author }: ShownPod): HTMLElement {
  const { warnings, denial, audit, isCalled } = author;
  if (!isCalled)
    return line(`${title}: Cloister is not called for this kind; the pods that it creates are judged when they are created.`, 'dim');
  const annotations = Object.entries(audit);
  return element(
    'div',
    '',
    line(denial === undefined ? `${title} is created.` : `${title} is refused.`, denial === undefined ? '' : 'denial'),
    list([
      ...(denial === undefined ? [] : [element('li', 'denial', `denied: ${denial}`)]),
      ...warnings.map((text) => element('li', '', `Warning: ${text}`)),
      ...(mode === 'audit' ? annotations.map(([key, text]) => element('li', 'dim', `audit annotation ${key}: ${text}`)) : []),
    ]),
  );
}

function showDiff(diff: string | undefined): void {
  const lines = (diff ?? '').split('\n').slice(0, -1);
  const shown = lines
    .slice(0, MAX_SHOWN_LINES)
    .map((text, index) => element('span', index < 2 ? 'at' : classOf(text), text === '' ? ' ' : text));
  const rest = lines.length - shown.length;
  if (lines.length === 0) shown.push(element('span', 'at', diff === undefined ? 'Nothing is judged.' : 'Nothing changes.'));
  if (rest > 0) shown.push(element('span', 'at', `… and ${rest} more lines`));
  byId('diff').replaceChildren(...shown);
}

const classOf = (text: string): string => ({ '+': 'added', '-': 'removed', '@': 'at' })[text[0] ?? ''] ?? '';

function commandOf({ file, config: configuration, profile, grant }: JudgeRequest): string {
  const flags = [
    ...(profile === '' ? [] : ['--profile', profile]),
    ...(grant === '' ? [] : ['--grant', grant]),
    ...(configuration.trim() === '' ? [] : ['--config', 'config.yaml']),
  ];
  return ['cloister', 'check', file, ...flags].join(' ');
}

function markOf({ line: at, column, endLine, endColumn, kind, rule, message, remedy }: ShownFinding): Mark {
  // The field, not everything below it: a mark of many lines hides the others.
  const end = endLine > at ? { endLine: at, endColumn: Number.MAX_SAFE_INTEGER } : { endLine, endColumn };
  return { line: at, column, ...end, severity: kind === 'escape' ? 'error' : 'warning', text: `${rule}: ${message}; ${remedy}` };
}

function markOfProblem({ text, line: at }: Judged['problems'][number]): readonly Mark[] {
  return at === undefined ? [] : [{ line: at, column: 1, endLine: at, endColumn: Number.MAX_SAFE_INTEGER, severity: 'error', text }];
}

function setProfiles(ids: readonly string[], chosen: string): void {
  const known = chosen === '' || ids.includes(chosen) ? ids : [...ids, chosen];
  fill(fields.profile, [['', 'from labels and configuration'], ...known.map((id) => [id, id] as const)]);
  fields.profile.value = chosen;
}

function fill(select: HTMLSelectElement, options: readonly (readonly [value: string, text: string])[]): void {
  const isSame = options.length === select.options.length && options.every(([value], index) => select.options[index]?.value === value);
  if (!isSame) select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
}

/** The first of many, and an element that counts the others. */
function few<T>(all: readonly T[], make: (each: T) => HTMLElement, countIn: 'li' | 'p'): HTMLElement[] {
  const shown = all.slice(0, MAX_SHOWN).map(make);
  return all.length > MAX_SHOWN ? [...shown, element(countIn, 'dim', `and ${all.length - MAX_SHOWN} more`)] : shown;
}

const shorten = (text: string): string =>
  text.length <= MAX_SHOWN_CHARS ? text : `${text.slice(0, MAX_SHOWN_CHARS)}\n… the rest is left out: use the command line`;

function list(items: readonly HTMLElement[]): HTMLElement {
  return items.length === 0 ? element('div', '') : element('ul', '', ...items);
}

const line = (text: string, className: string): HTMLElement => element('p', className, text);

function element(name: string, className: string, ...children: readonly (string | HTMLElement)[]): HTMLElement {
  const made = document.createElement(name);
  if (className !== '') made.className = className;
  made.append(...children);
  return made;
}

/** The documentation pages keep the choice under the same key. */
function startTheme(): void {
  const KEY = 'vitepress-theme-appearance';
  const button = byId('theme');
  const chosen = localStorage.getItem(KEY);
  const isDark = chosen === 'dark' || (chosen !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  set(isDark);
  button.addEventListener('click', () => {
    const next = !document.documentElement.classList.contains('dark');
    localStorage.setItem(KEY, next ? 'dark' : 'light');
    set(next);
  });

  function set(dark: boolean): void {
    document.documentElement.classList.toggle('dark', dark);
    button.textContent = dark ? 'Light theme' : 'Dark theme';
  }
}
