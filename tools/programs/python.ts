import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cached, lastLines, userError } from './cache.ts';

/** Programs of the tests that are Python packages, installed once, into the user's cache, where this machine has Python. */

const PYTHON_TOOLS = {
  checkov: { version: '3.3.30', command: ['bin/python', '-m', 'checkov.main'] },
  'pre-commit': { version: '4.7.0', command: ['bin/python', '-m', 'pre_commit'] },
  zizmor: { version: '1.32.0', command: ['bin/zizmor'] },
} as const;

type PythonTool = keyof typeof PYTHON_TOOLS;

/** What this machine lacks to install a Python package, in words; nothing where it can. */
export async function missingForPython(): Promise<string | undefined> {
  const [isThere, hasPip] = await Promise.all([works('-c', 'pass'), works('-c', 'import venv, ensurepip')]);
  if (!isThere) return 'python3';
  return hasPip ? undefined : 'the modules venv and ensurepip of python3 (the package python3-venv of Debian)';
}

/** The program and its first arguments. A virtual environment is moved after its installation, so its scripts are run as modules. */
export async function pythonTool(name: PythonTool): Promise<readonly [program: string, ...args: string[]]> {
  const { version, command } = PYTHON_TOOLS[name];
  const folder = await cached(`${name}-${version}`, ['environment'], async (into) => {
    process.stderr.write(`Installing ${name} ${version} with pip: the first time only.\n`);
    const environment = join(into, 'environment');
    await python('-m', 'venv', environment);
    await run(join(environment, 'bin/python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `${name}==${version}`]);
  });
  const [program, ...args] = command;
  return [join(folder, 'environment', program), ...args];
}

/** Installs everything before the tests start. */
export async function installPythonTools(): Promise<void> {
  for (const name of Object.keys(PYTHON_TOOLS) as PythonTool[]) await pythonTool(name);
}

async function python(...args: readonly string[]): Promise<void> {
  await run('python3', args);
}

function works(...args: readonly string[]): Promise<boolean> {
  return python(...args).then(
    () => true,
    () => false,
  );
}

async function run(program: string, args: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)(program, args, { maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw userError(`${program} ${args.join(' ')} failed: ${lastLines(stderr || String(error))}.`);
  }
}
