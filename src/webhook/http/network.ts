/** An IPv4 address as a socket prints it that accepts both families. */
const MAPPED = /^::ffff:(?=\d+\.)/;

/** How many groups of 16 bits name the network in an IPv6 address. */
const NETWORK_GROUPS = 4;

/**
 * The network that one caller has for itself at most: an IPv4 address, or the first 64 bits of an IPv6 address, because a machine may use every
 * address of its /64 (RFC 4291, section 2.5.1).
 * @param address the remote address of a socket
 */
export function networkOf(address: string): string {
  const plain = address.replace(MAPPED, '');
  if (!plain.includes(':')) return plain;
  const [start = '', end] = plain.split('::');
  const first = groupsOf(start);
  const last = groupsOf(end ?? '');
  const groups = end === undefined ? first : [...first, ...Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0'), ...last];
  return `${groups.slice(0, NETWORK_GROUPS).join(':')}::/64`;
}

function groupsOf(text: string): string[] {
  return text === '' ? [] : text.split(':');
}
