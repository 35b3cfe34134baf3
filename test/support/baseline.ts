/**
 * The capabilities that Pod Security's baseline lets a container have, written out so that it is not Cloister that says what Cloister should do.
 * Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
 */
export const BASELINE: readonly string[] =
  'AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT'.split(' ');
