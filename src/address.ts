export interface Address {
  readonly host: string;
  readonly port: number;
}

/** @returns the address that `HOST:PORT` or `[IPV6]:PORT` names; undefined: the text is neither */
export function addressOf(text: string): Address | undefined {
  const found = /^(?:\[([\da-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})$/.exec(text);
  const host = found?.[1] ?? found?.[2];
  const port = Number(found?.[3]);
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

/** The text that `addressOf` reads. */
export function printAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
