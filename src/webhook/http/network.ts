/** The prefix of an IPv4 address, as a socket for both families prints it. */
const MAPPED = /^::ffff:(?=\d+\.)/;

/** The number of 16-bit groups of an IPv6 address that identify the network. */
const NETWORK_GROUPS = 4;

/**
 * The largest range of addresses that one caller may have: an IPv4 address, or the first 64 bits of an IPv6 address, because a machine may use every
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
