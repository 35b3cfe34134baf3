import { type ContainerSpec, orEmpty } from './pod.ts';

/** A program that runs containers, and that a container starts: its image, command or arguments show it. */
export interface Engine {
  /** Its name, for messages. */
  readonly program: string;
  /** Where it is named, within the container. */
  readonly path: readonly (string | number)[];
  readonly isRootless: boolean;
  /** Whether it is a node of a cluster. A workspace image cannot contain a rootless replacement for a node. */
  readonly isNode: boolean;
}

/**
 * What /etc/subuid and /etc/subgid list in the rootless images of Docker and BuildKit.
 * Sources: https://github.com/docker-library/docker (Dockerfile-dind-rootless.template), https://github.com/moby/buildkit (Dockerfile)
 */
export const SUBORDINATE_IDS = { first: 100_000, last: 165_535 } as const;
const WITH_SUBORDINATE_IDS = /(?:^|\/)(?:docker|moby\/buildkit):[^/]*rootless/;

/** Whether the image is one of those whose rootless engine maps `SUBORDINATE_IDS`. */
export const hasSubordinateIds = ({ image }: ContainerSpec): boolean => WITH_SUBORDINATE_IDS.test(cut(image ?? ''));

interface Program {
  readonly isNode?: true;
  /** The subcommands with which the program is a daemon; absent: it always is one. */
  readonly subcommands?: readonly string[];
}

/** The daemons, and the scripts of their images that start them. */
const PROGRAMS: ReadonlyMap<string, Program> = new Map([
  ['dockerd', {}],
  ['dockerd-entrypoint.sh', {}],
  ['dockerd-rootless.sh', {}],
  ['buildkitd', {}],
  ['buildctl-daemonless.sh', {}],
  ['containerd', {}],
  ['kubelet', { isNode: true }],
  ['k3s', { isNode: true, subcommands: ['server', 'agent'] }],
  ['rke2', { isNode: true, subcommands: ['server', 'agent'] }],
  ['k0s', { isNode: true, subcommands: ['controller', 'worker'] }],
] satisfies [string, Program][]);

interface Image {
  readonly pattern: RegExp;
  readonly program: string;
  /** The first argument with which the image starts the program: one of these words, an option, or no argument. Absent: any argument. */
  readonly firstArgs?: readonly string[];
}

/** Images whose entry point is one of these programs. */
const IMAGES: readonly Image[] = [
  { pattern: /(?:^|\/)docker:[^/]*dind/, program: 'dockerd', firstArgs: [] },
  { pattern: /(?:^|\/)moby\/buildkit(?:[:@]|$)/, program: 'buildkitd' },
  { pattern: /(?:^|\/)kindest\/node(?:[:@]|$)/, program: 'kubelet' },
  { pattern: /(?:^|\/)rancher\/k3s(?:[:@]|$)/, program: 'k3s', firstArgs: ['server', 'agent'] },
];

/** Every image of the list is named by one of these words. */
const IMAGE_NAMES = /docker|buildkit|kindest|k3s/;

/** Every program is named by one of these words, also in a script and in `service docker start`. */
const NAMES = new RegExp([...PROGRAMS.keys(), 'docker'].map(RegExp.escape).join('|'));

/** Characters of a word that are searched. */
const MAX_WORD_CHARS = 4_096;

/** The engine that a container starts; undefined: none that is known. */
export function findEngine({ image, command, args }: ContainerSpec): Engine | undefined {
  const name = cut(image ?? '');
  // Fast path: most containers have no command, and an image of another name.
  if (command == null && args == null && !IMAGE_NAMES.test(name)) return undefined;
  const [commands, options] = [orEmpty(command).map(cut), orEmpty(args).map(cut)];
  const words = [...commands, ...options];
  // A command replaces the entry point of the image.
  const found = findInWords(words, commands.length) ?? (commands.length === 0 ? findInImage(name, options) : undefined);
  if (found === undefined) return undefined;
  const isRootless = [name, ...words].some((word) => word.includes('rootless'));
  const isNode = PROGRAMS.get(found.program)?.isNode === true;
  return { ...found, isRootless, isNode };
}

type Found = Pick<Engine, 'program' | 'path'>;

/** @param commands how many of the words are the container's command; the others are its arguments */
function findInWords(words: readonly string[], commands: number): Found | undefined {
  // Fast path: most commands name no engine.
  if (!words.some((word) => NAMES.test(word))) return undefined;
  const start = startOf(words);
  const word = words[start];
  if (word === undefined) return undefined;
  const program = /\s/.test(word) ? programOfScript(word) : programAt(words, start);
  if (program === undefined) return undefined;
  return { program, path: start < commands ? ['command', start] : ['args', start - commands] };
}

/** What the entry point of an image starts. */
function findInImage(name: string, [first]: readonly string[]): Found | undefined {
  const starts = ({ pattern, firstArgs }: Image): boolean =>
    pattern.test(name) && (firstArgs === undefined || first === undefined || first.startsWith('-') || firstArgs.includes(first));
  const program = IMAGES.find(starts)?.program;
  return program === undefined ? undefined : { program, path: ['image'] };
}

const cut = (word: string): string => word.slice(0, MAX_WORD_CHARS);
const baseOf = (word: string): string => word.slice(word.lastIndexOf('/') + 1);

/** Words before a command that are not the command: words of a shell, shells, and programs that start another program. */
const PREFIXES: ReadonlySet<string> = new Set([
  ...['!', 'command', 'do', 'else', 'exec', 'if', 'then', 'time', 'until', 'while'],
  ...['ash', 'bash', 'dash', 'sh', 'zsh'],
  ...['catatonit', 'docker-init', 'dumb-init', 'env', 'nohup', 'rootlesskit', 'setsid', 'sudo', 'tini'],
]);

/** The index of the word that is the command, after prefixes, their options, variables and scripts. If there is no command: the number of words. */
function startOf(words: readonly string[]): number {
  const isBefore = (word: string): boolean =>
    word.startsWith('-') || /^\w+=/.test(word) || PREFIXES.has(baseOf(word)) || (/^\S+\.sh$/.test(word) && !PROGRAMS.has(baseOf(word)));
  const start = words.findIndex((word) => !isBefore(word));
  return start === -1 ? words.length : start;
}

/** The program that the word at the index starts. */
function programAt(words: readonly string[], index: number): string | undefined {
  const program = baseOf(words[index] ?? '');
  const found = PROGRAMS.get(program);
  if (found === undefined) return undefined;
  return found.subcommands === undefined || found.subcommands.includes(words[index + 1] ?? '') ? program : undefined;
}

/** Patterns for a shell script: comments, separators of commands, quotes. */
const COMMENT = /(?:^|\s)#[^\n]*/g;
const SEPARATORS = /[;&|(){}`\n]+/;
const QUOTES = /["']/g;
const SERVICE = /^(?:(?:rc-)?service docker (?:re)?start|systemctl (?:re)?start docker(?:\.service)?)$/;

/** A script starts only what is a command in it: `pgrep dockerd` and a comment about dockerd start none. */
function programOfScript(script: string): string | undefined {
  for (const command of script.replaceAll(COMMENT, '').replaceAll(QUOTES, ' ').split(SEPARATORS)) {
    const words = command.split(/\s+/).filter((word) => word !== '');
    const start = startOf(words);
    if (SERVICE.test(words.slice(start).join(' '))) return 'dockerd';
    const program = programAt(words, start);
    if (program !== undefined) return program;
  }
  return undefined;
}
