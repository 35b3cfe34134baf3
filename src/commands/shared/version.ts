import manifest from '../../../package.json' with { type: 'json' };

/** The package's version. */
export function version(): string {
  return manifest.version;
}

/** Where the repository is on the web. */
export function sources(): string {
  return manifest.homepage.replace(/#.*$/, '');
}

/** The oldest major version of Node that the package supports. */
export function oldestNode(): number {
  return Number(/\d+/.exec(manifest.engines.node));
}
