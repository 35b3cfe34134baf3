import type { TLSSocket } from 'node:tls';

/**
 * @param names of which a client's certificate must bear one, as common name or DNS name, letter by letter; none: any certificate will do
 * @returns says what is wrong with the certificate that the other end has shown; undefined: it is one of those that may call
 */
export function makeClientCheck(names: readonly string[]): (socket: TLSSocket) => string | undefined {
  return (socket) => {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return 'callers must show a client certificate, and this one shows none';
    if (!socket.authorized) return `the client certificate is not trusted: ${socket.authorizationError}`;
    if (names.length === 0) return undefined;
    const common = [socket.getPeerCertificate().subject.CN].flat();
    const bears = (name: string) =>
      common.includes(name) || certificate.checkHost(name, { subject: 'never', wildcards: false }) !== undefined;
    return names.some(bears) ? undefined : 'the client certificate bears none of the names that may call';
  };
}
