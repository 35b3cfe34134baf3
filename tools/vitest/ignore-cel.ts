import type { Ignorer } from '@stryker-mutator/api/ignore';
import { declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin';

/**
 * For `./dev mutation`: leaves out the CEL of the rules, which only an API server evaluates. test/api-server/backstop.test.ts compares it with the rules
 * there, and leaves out the CEL of each rule in turn. By convention CEL stands below these keys, or in a variable or function whose name says so.
 */
const KEYS: ReadonlySet<string> = new Set(['inTree', 'inTreeFixes']);

const ofCel: Ignorer = {
  shouldIgnore(path) {
    const { node } = path as unknown as { readonly node: SyntaxNode };
    const name = (node.key ?? node.id)?.name;
    if (name === undefined) return undefined;
    return KEYS.has(name) || /(?:Cel|(?:^|_)CEL)$/.test(name) ? 'CEL is evaluated by the API server' : undefined;
  },
};

/** As Babel makes it: a property has a key; a function or a variable that is declared has an id. */
interface SyntaxNode {
  readonly key?: { readonly name?: string } | null;
  readonly id?: { readonly name?: string } | null;
}

/** The name under which Stryker looks for plugins. */
export const strykerPlugins = [declareValuePlugin(PluginKind.Ignore, 'cel', ofCel)];
