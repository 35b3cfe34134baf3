import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { answerHelp } from '../tools/commands/shared/arguments.ts';
import { installSite, siteFolder } from '../tools/commands/shared/site.ts';
import type { SiteSettings, SiteVersion } from './.vitepress/settings.ts';

const USAGE = `usage: ./dev site [--port NUMBER]
       ./dev site --build [--folder FOLDER] [--url URL] [--releases]

Serves the documentation site and the playground on this machine, or writes them as static files.

  --port       port to serve on; default: 5173
  --build      write static files instead of serving
  --folder     where to write them; default: site/dist. It is emptied first
  --url        the address that the files will have, with a slash at the end; default: the root of an address
  --releases   also build each release, from its tag, into a folder of its own below; needs --url`;

/** Releases with a site. The version of a release is its tag. */
function releasesIn(root: string): readonly string[] {
  const tags = git(root, 'tag', '--list', 'v[0-9]*', '--sort=-version:refname').split('\n').filter(Boolean);
  return tags.filter((tag) => git(root, 'ls-tree', '--name-only', tag, 'site/package.json') !== '');
}

const git = (cwd: string, ...args: readonly string[]): string => execFileSync('git', args, { cwd, encoding: 'utf8' }).trim();

answerHelp(USAGE);
const { values } = parse();
const root = join(siteFolder, '..');
const VERSIONS = 'CLOISTER_SITE_VERSIONS';

try {
  await installSite();
  // The packages of the site are there only now.
  const { buildSite, serveSite } = await import('./build/pages.ts');
  if (!values.build) {
    process.stdout.write(`The site is served at ${await serveSite(Number(values.port))}. Stop it with Ctrl-C.\n`);
  } else {
    const folder = resolve(root, values.folder);
    const settings = settingsOf(values.url, process.env[VERSIONS]);
    await buildSite(folder, settings);
    for (const { ref, url } of values.releases ? settings.versions.slice(1) : []) buildRelease(ref, url, folder, settings.versions);
    process.stdout.write(`The site is in ${folder}.\n`);
  }
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exit(1);
}

function parse() {
  try {
    const parsed = parseArgs({
      options: {
        port: { type: 'string', default: '5173' },
        build: { type: 'boolean', default: false },
        folder: { type: 'string', default: 'site/dist' },
        url: { type: 'string' },
        releases: { type: 'boolean', default: false },
      },
    });
    const { url, releases } = parsed.values;
    if (releases && url === undefined) throw new Error('--releases needs --url: the menu of the versions has whole addresses');
    if (url !== undefined && !(URL.canParse(url) && url.endsWith('/'))) throw new Error('--url must be an address with a slash at the end');
    return parsed;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}\n`);
    process.exit(2);
  }
}

/** @param given the versions, for the build of a release: its own repository may not have the tags of later releases */
function settingsOf(url: string | undefined, given: string | undefined): SiteSettings {
  const versions = given === undefined ? versionsAt(url) : (JSON.parse(given) as readonly SiteVersion[]);
  return { url, ref: versions.find((each) => each.url === url)?.ref ?? 'main', versions };
}

function versionsAt(url: string | undefined): readonly SiteVersion[] {
  if (url === undefined) return [];
  return [{ ref: 'main', url }, ...(values.releases ? releasesIn(root) : []).map((ref) => ({ ref, url: `${url}${ref}/` }))];
}

/** Builds a release from its tag, with its own tools, so that its pages are those of its day. */
function buildRelease(ref: string, url: string, folder: string, versions: readonly SiteVersion[]): void {
  const tree = mkdtempSync(join(tmpdir(), 'cloister-site-'));
  try {
    git(root, 'worktree', 'add', '--detach', '--force', tree, ref);
    const { status } = spawnSync(join(tree, 'dev'), ['site', '--build', '--folder', join(folder, ref), '--url', url], {
      stdio: 'inherit',
      // The build of the first site has set NODE_ENV, with which npm installs no tools.
      env: { ...process.env, NODE_ENV: undefined, [VERSIONS]: JSON.stringify(versions) },
    });
    if (status !== 0) throw new Error(`The site of ${ref} cannot be built.`);
  } finally {
    git(root, 'worktree', 'remove', '--force', tree);
    rmSync(tree, { recursive: true, force: true });
  }
}
