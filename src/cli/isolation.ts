import { CliError } from './errors.ts'

/** How the programs of RUN are kept from this machine: in containers of an OCI runtime, or by chroot(2) alone. */
export type Isolation = 'oci' | 'chroot'

const ISOLATIONS: readonly Isolation[] = ['oci', 'chroot']

export const ISOLATION_CHOICE = ISOLATIONS.join(' or ')

/** Undefined for what is neither. Engines on Linux know the first as `default`. */
export function asIsolation(text: string): Isolation | undefined {
  return text === 'default' ? 'oci' : ISOLATIONS.find(isolation => isolation === text)
}

/**
 * What flags and variables say, before options are read as they are for a command. The flag may stand among what is no
 * option at all: who is misled by that builds in a place with fewer rights than he could have.
 */
export function asksForChroot(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  const at = argv.findIndex(argument => /^--isolation(=|$)/.test(argument))
  const flag = argv[at]?.includes('=') ? argv[at]?.slice('--isolation='.length) : argv[at + 1]
  return (at < 0 ? env.SLIPWAY_ISOLATION : flag) === 'chroot'
}

/**
 * @param source which flag or variable it is of
 * @throws CliError `usage`
 */
export function parseIsolation(text: string, source: string): Isolation {
  const isolation = asIsolation(text)
  if (isolation !== undefined) return isolation
  throw new CliError('usage', `${source} is ${ISOLATION_CHOICE}, not ${JSON.stringify(text)}`)
}
