import type { TLSSocket } from 'node:tls';

/**
 * @param names the client certificate must contain at least one of these, as common name or DNS name, compared exactly; empty: any certificate
 *   is accepted
 * @returns a function that says why a connection's client certificate is rejected; undefined: it is accepted
 */
export function makeClientCheck(names: readonly string[]): (socket: TLSSocket) => string | undefined {
  return (socket) => {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return 'callers must present a client certificate, and this caller presented none';
    if (!socket.authorized) return `the client certificate is not trusted: ${socket.authorizationError}`;
    if (names.length === 0) return undefined;
    const commonNames = [socket.getPeerCertificate().subject.CN].flat();
    const hasName = (name: string) =>
      commonNames.includes(name) || certificate.checkHost(name, { subject: 'never', wildcards: false }) !== undefined;
    return names.some(hasName) ? undefined : 'the client certificate has none of the allowed names';
  };
}
