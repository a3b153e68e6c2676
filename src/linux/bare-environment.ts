/**
 * For programs that need nothing of ours: what we have may be a secret (`--secret id=NAME,env=NAME`), and whoever may
 * look at a process sees its environment.
 */
export const BARE_ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
}
