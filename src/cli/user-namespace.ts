/**
 * Whoever is not root becomes root over his own files in a user namespace before he builds: there he may unpack layers
 * with their owners, and mount. The process stays the same one, so that its terminal, signals and exit code are.
 */
import { closeSync, readlinkSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { homedir, userInfo } from 'node:os'
import { BuildError } from '../builder/errors.ts'
import { isJsonObject, parseJson } from '../oci/json.ts'
import { asksForChroot, type Isolation } from './isolation.ts'
import type { NamespaceState } from './terminal.ts'

/** Tells the program that it is inside, and who it was before. */
const VARIABLE = 'SLIPWAY_USER_NAMESPACE'

/** Commands that unpack layers, remove what was unpacked, or tell whether that can be. */
const UNPACKING: ReadonlySet<string> = new Set(['build', 'prune', 'doctor'])

const LAST_STREAM = 2

interface Inside {
  /** The namespace that is meant: the variable may have come elsewhere. */
  readonly name: string
  readonly uid: number
  readonly workingDirectory: string
  readonly descriptors: readonly number[]
  readonly singleIDReason?: string
}

export interface Privileges {
  /** Of who started us. */
  readonly uid: number
  readonly namespace?: NamespaceState
}

/**
 * Starts the program anew inside a user namespace when the command needs one: then this does not return. To be called
 * before anything else is done.
 * @param argv all that was typed
 */
export async function becomeRoot(command: string | undefined, argv: readonly string[]): Promise<Privileges> {
  const entered = enteredNamespace()
  if (entered !== undefined) return entered
  const uid = process.getuid?.() ?? -1
  if (process.platform !== 'linux' || command === undefined || !UNPACKING.has(command)) return { uid }
  const { LinuxMissingError } = await import('../linux/errors.ts')
  const { NamespaceError, needsUserNamespace } = await import('../linux/user-namespace.ts')
  if (!needsUserNamespace(uid)) return { uid }
  // Root of a container may make device nodes and files of every owner there, and no namespace gives that.
  if (uid === 0 && (await asksForChroot(argv, process.env, configured))) return { uid }
  try {
    return await enterNamespace(uid)
  } catch (error) {
    if (error instanceof NamespaceError || error instanceof LinuxMissingError)
      return { uid, namespace: { kind: 'refused', problem: error.message } }
    throw error
  }
}

async function configured(namedFile: string | undefined): Promise<Isolation> {
  const { configuredIsolation } = await import('./config/config.ts')
  const { env } = process
  return configuredIsolation(namedFile, {
    env,
    homeDirectory: homedir(),
    workingDirectory: process.cwd(),
  })
}

/** @throws BuildError `privilege-missing` for who is neither root nor could become it */
export function requireNamespace(state: NamespaceState | undefined, userID: number): void {
  if (state?.kind !== 'refused') return
  if (userID === 0)
    throw new BuildError(
      'privilege-missing',
      `Cannot run: root here may neither mount nor make a user namespace: ${state.problem}`,
      {
        hint: "use --isolation=chroot, which needs neither and has fewer walls, or run the container with --privileged; 'slipway doctor' tells more",
      },
    )
  throw new BuildError(
    'privilege-missing',
    `Cannot run: RUN needs root, or a user namespace, which this machine refuses: ${state.problem}`,
    {
      hint: "'slipway doctor' tells what would mend it; or build as root, for example with sudo; a build without RUN needs neither",
    },
  )
}

export function describeSingleID(reason: string): string {
  return `RUN knows one user alone, as ${reason}: files of others keep their owners, but no step can become another user`
}

/** Who we were before we entered the namespace in which we are; undefined when we have entered none. */
function enteredNamespace(): Privileges | undefined {
  const text = process.env[VARIABLE]
  if (text === undefined) return undefined
  // What we start is inside as well, but it has not been us before.
  delete process.env[VARIABLE]
  const inside = parseJson(Buffer.from(text))
  if (!isInside(inside) || readlinkSync('/proc/self/ns/user') !== inside.name) return undefined
  for (const descriptor of inside.descriptors) closeSync(descriptor)
  process.chdir(inside.workingDirectory)
  const { uid, singleIDReason } = inside
  return { uid, namespace: { kind: 'entered', ...(singleIDReason !== undefined && { singleIDReason }) } }
}

/** @throws NamespaceError */
async function enterNamespace(uid: number): Promise<never> {
  const { NamespaceError, openUserNamespace } = await import('../linux/user-namespace.ts')
  const { subordinateIDs } = await import('../linux/subordinate-ids.ts')
  const { enter, ...opened } = await openUserNamespace({
    uid,
    gid: process.getgid?.() ?? uid,
    subordinate: subordinateIDs({ name: userName(), uid }),
    path: process.env.PATH ?? '',
  })
  const inside: Inside = { ...opened, uid, workingDirectory: process.cwd() }
  flushCompileCache()
  if (process.execve === undefined)
    throw new NamespaceError('program-missing', 'this Node.js cannot become another program')
  const [program] = enter
  return process.execve(
    program,
    [...enter, process.execPath, ...process.execArgv, ...process.argv.slice(1)],
    {
      ...process.env,
      // Inside, the system takes us for root, and root's home for ours.
      HOME: homedir(),
      [VARIABLE]: JSON.stringify(inside),
    },
  )
}

/** Users of containers may have a number alone. */
function userName(): string | undefined {
  try {
    return userInfo().username
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_SYSTEM_ERROR') return undefined
    throw error
  }
}

function isInside(value: unknown): value is Inside {
  return (
    isJsonObject(value) &&
    typeof value.name === 'string' &&
    typeof value.uid === 'number' &&
    typeof value.workingDirectory === 'string' &&
    Array.isArray(value.descriptors) &&
    value.descriptors.every(descriptor => Number.isInteger(descriptor) && descriptor > LAST_STREAM)
  )
}
