import { spawnSync } from 'node:child_process';
import { readArguments } from './shared/arguments.ts';
import { withShippedProject } from './shared/shipped.ts';

/** `./dev audit`: advisories about the bundled packages, and not about those that only build and test. Needs a registry that answers `npm audit`. */

readArguments('usage: ./dev audit', { most: 0 });

process.exitCode = await withShippedProject(
  async (project) => spawnSync('npm', ['audit', '--package-lock-only'], { cwd: project, stdio: 'inherit' }).status ?? 1,
);
