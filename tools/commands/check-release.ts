import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readArguments } from './shared/arguments.ts';

/**
 * `node tools/commands/check-release.ts TAG REPOSITORY`: whether a tag may be released: it is the version of the package, the package names the
 * repository, without which npm accepts no provenance, and the changelog has a section for the version.
 */

const root = join(import.meta.dirname, '../..');
const [tag = '', repository = ''] = readArguments('usage: node tools/commands/check-release.ts TAG REPOSITORY', { least: 2, most: 2 });
const [manifestText, changelog] = await Promise.all(['package.json', 'CHANGELOG.md'].map((name) => readFile(join(root, name), 'utf8')));
const manifest = JSON.parse(manifestText ?? '') as { readonly version: string; readonly repository: { readonly url: string } };

const url = `git+https://github.com/${repository}.git`;
const problems = [
  tag === `v${manifest.version}`
    ? []
    : `the tag is ${tag}, and package.json has the version ${manifest.version}: push the tag v${manifest.version}`,
  manifest.repository.url.toLowerCase() === url.toLowerCase()
    ? []
    : `package.json has the repository ${manifest.repository.url}, and this is ${url}: change \`repository\`, \`homepage\` and \`bugs\``,
  changelog?.includes(`## [${manifest.version}]`)
    ? []
    : `CHANGELOG.md has no section for ${manifest.version}: rename the section Unreleased`,
].flat();
for (const problem of problems) process.stderr.write(`error: ${problem}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;
