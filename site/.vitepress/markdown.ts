import { existsSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path/posix';
import type { MarkdownRenderer } from 'vitepress';
import { root } from './navigation.ts';

/** The repository on the web. */
export const REPOSITORY = 'https://github.com/cloister-dev/cloister';

/** Where a page of the repository is in the site, without its ending. undefined: it is no page of the site. */
export function pageOf(file: string): string | undefined {
  if (file === 'docs/README.md') return 'documentation';
  return /^(?:docs|site\/pages)\/(.*)\.md$/.exec(file)?.[1];
}

/**
 * Makes pages work that are written for GitHub. Links that are relative to a file of the repository lead to their page in the site, or to the file in
 * the repository. Double braces are text, and no expression of Vue.
 * @param ref branch or tag that the site is built from
 */
export function readAsOnGitHub(markdown: MarkdownRenderer, ref: string): void {
  markdown.core.ruler.push('as-on-github', ({ tokens, env, Token }) => {
    const file = relative(root, (env as { readonly realPath?: string; readonly path: string }).realPath ?? env.path);
    for (const block of tokens) {
      for (const token of block.children ?? []) {
        const href = token.type === 'link_open' ? token.attrGet('href') : null;
        if (href !== null && !/^(?:[a-z]+:|#|\/)/i.test(href)) token.attrSet('href', targetOf(file, href, ref));
        if (token.type === 'code_inline') token.attrSet('v-pre', '');
      }
      block.children = block.children?.flatMap((token) => (token.type === 'text' ? withLiteralBraces(token, Token) : token)) ?? null;
    }
  });
}

type MarkdownToken = Parameters<NonNullable<MarkdownRenderer['renderer']['rules']['text']>>[0][number];

/** The text in pieces: an element stands around each pair of braces, which Vue then leaves alone. */
function withLiteralBraces(
  token: MarkdownToken,
  Token: new (type: string, tag: string, nesting: 0) => MarkdownToken,
): MarkdownToken | MarkdownToken[] {
  if (!token.content.includes('{{')) return token;
  return token.content.split(/(\{\{)/).map((content) => {
    const isBraces = content === '{{';
    const piece = new Token(isBraces ? 'html_inline' : 'text', '', 0);
    piece.content = isBraces ? '<span v-pre>{{</span>' : content;
    return piece;
  });
}

function targetOf(file: string, href: string, ref: string): string {
  const [path = '', anchor] = href.split('#');
  const target = join(dirname(file), path);
  const page = pageOf(target);
  const suffix = anchor === undefined ? '' : `#${anchor}`;
  if (page !== undefined) return `/${page}.md${suffix}`;
  const at = join(root, target);
  if (!existsSync(at)) throw new Error(`${file}: the link to ${href} leads nowhere`);
  return `${REPOSITORY}/${statSync(at).isDirectory() ? 'tree' : 'blob'}/${ref}/${target}${suffix}`;
}

/** As GitHub makes anchors of headings, so that links work in both places. */
export function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
    .replaceAll(' ', '-');
}
