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
 * What flags, variables and the configuration say, before options are read as they are for a command. The flag may stand
 * among what is no option at all: who is misled by that builds in a place with fewer rights than he could have.
 * @param configured what the configuration says: the file of that name, else the one that is found
 */
export async function asksForChroot(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  configured: (namedFile: string | undefined) => Promise<Isolation>,
): Promise<boolean> {
  const asked = flagOf(argv, '--isolation') ?? env.SLIPWAY_ISOLATION
  if (asked !== undefined && asked !== '') return asked === 'chroot'
  return (await configured(flagOf(argv, '--config'))) === 'chroot'
}

function flagOf(argv: readonly string[], flag: string): string | undefined {
  const at = argv.findIndex(argument => argument === flag || argument.startsWith(`${flag}=`))
  if (at < 0) return undefined
  return argv[at] === flag ? argv[at + 1] : argv[at]?.slice(flag.length + 1)
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
