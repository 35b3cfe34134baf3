import { GRANTS } from '../../src/core/requirements.ts';
import type { JudgeRequest } from './judge-text.ts';

/**
 * The state of the page as the fragment of its address: JSON, compressed and in base64url. A browser sends no fragment to a server.
 *
 * The number in front is the version of the form.
 */
const PREFIX = '#1.';

/** Browsers accept longer addresses; chats and trackers cut them. */
export const MAX_LINK_CHARS = 32_000;

/** The most characters that a link may unpack to. */
const MAX_STATE_CHARS = 4_000_000;

const MODES = ['enforce', 'warn', 'audit'] as const;

/** @returns undefined: the state is too long for a link */
export async function fragmentOf(state: JudgeRequest): Promise<string | undefined> {
  const packed = await new Response(
    streamOf(new TextEncoder().encode(JSON.stringify(state))).pipeThrough(new CompressionStream('deflate-raw')),
  ).arrayBuffer();
  const text = btoa(Array.from(new Uint8Array(packed), (byte) => String.fromCharCode(byte)).join(''));
  const fragment = PREFIX + text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
  return fragment.length <= MAX_LINK_CHARS ? fragment : undefined;
}

/** @returns undefined: the fragment is no state. A link may come from anyone, so each field is checked. */
export async function stateOf(fragment: string): Promise<JudgeRequest | undefined> {
  if (!fragment.startsWith(PREFIX) || fragment.length > MAX_LINK_CHARS) return undefined;
  try {
    const packed = atob(fragment.slice(PREFIX.length).replaceAll('-', '+').replaceAll('_', '/'));
    const bytes = Uint8Array.from(packed, (char) => char.charCodeAt(0));
    return checked(JSON.parse(await unpack(bytes)));
  } catch {
    return undefined;
  }
}

async function unpack(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const reader = streamOf(bytes).pipeThrough(new DecompressionStream('deflate-raw')).pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += value;
    if (text.length <= MAX_STATE_CHARS) continue;
    // The rest is not waited for.
    reader.cancel().catch(() => {});
    throw new Error('the state is too long');
  }
}

const streamOf = (bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> => new Blob([bytes]).stream();

function checked(value: Partial<Record<keyof JudgeRequest, unknown>>): JudgeRequest | undefined {
  const { file, text, config, profile, grant, mode } = value;
  if (![file, text, config, profile, grant].every((each) => typeof each === 'string')) return undefined;
  if (grant !== '' && !GRANTS.some((each) => each === grant)) return undefined;
  if (!MODES.some((each) => each === mode)) return undefined;
  return { file, text, config, profile, grant, mode } as JudgeRequest;
}
