/**
 * A user namespace in which we are root over our own files, with a mount namespace that belongs to it. A process with
 * threads, as Node is one, can neither make nor enter one. So
 *
 * 1. a child (`unshare`) makes both and waits, while
 * 2. we write its maps of ids, or have `newuidmap` and `newgidmap` (package uidmap) write them, which may hand out the
 *    ids of /etc/subuid and /etc/subgid,
 * 3. we open the two and let the child go: they live as long as they are open, and
 * 4. who wants in becomes `nsenter`, which enters them and becomes our program.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { openSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { findProgram } from './find-program.ts'
import { type IDMap, parseIDMap } from './id-map.ts'
import { fdPath, loadLinux } from './linux.ts'
import type { SubordinateIDs, SubordinateRange } from './subordinate-ids.ts'
import { readSystemFile } from './system-file.ts'

export interface NamespaceOptions {
  readonly uid: number
  readonly gid: number
  readonly subordinate: SubordinateIDs
  /** Where to look for programs: directories separated by `:`. */
  readonly path: string
}

export interface OpenNamespace {
  /** `user:[4026532555]` */
  readonly name: string
  /** Program and arguments that enter it and then become the command given to them. */
  readonly enter: readonly [program: string, ...args: string[]]
  /** Its descriptors, which stay open in that command. */
  readonly descriptors: readonly number[]
  /** Why it has a single user and group id, where it has. */
  readonly singleIDReason?: string
}

/** `program-missing`; or `namespace-refused`: the kernel, or who watches over it, does not let us have one. */
export class NamespaceError extends Error {
  readonly code: 'program-missing' | 'namespace-refused'

  constructor(code: NamespaceError['code'], message: string) {
    super(message)
    this.name = 'NamespaceError'
    this.code = code
  }
}

/** @throws NamespaceError */
export async function openUserNamespace(options: NamespaceOptions): Promise<OpenNamespace> {
  const nsenter = requireProgram('nsenter', options.path)
  const unshare = requireProgram('unshare', options.path)
  try {
    return await open(unshare, nsenter, child => mapManyIDs(child, options))
  } catch (error) {
    if (!(error instanceof MappingError)) throw error
    const opened = await open(unshare, nsenter, async child => mapOneID(child, options))
    return { ...opened, singleIDReason: error.message }
  }
}

/** Whether we lack what root has, and so need a namespace to mount. */
export function needsUserNamespace(uid: number): boolean {
  return uid !== 0 || !mayMount(readFileSync('/proc/self/status', 'latin1'))
}

const CAP_SYS_ADMIN = 21n

function mayMount(status: string): boolean {
  const [, mask = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(status) ?? []
  return ((BigInt(`0x${mask}`) >> CAP_SYS_ADMIN) & 1n) === 1n
}

async function open(
  unshare: string,
  nsenter: string,
  mapIDs: (child: number) => Promise<void>,
): Promise<OpenNamespace> {
  const linux = await loadLinux()
  // It says that it is in them, and waits to be ended.
  const child = spawn(unshare, ['-U', '-m', '/bin/sh', '-c', 'echo; read -r _'])
  const ended = new Promise(resolve => child.once('close', resolve).once('error', resolve))
  try {
    await waitUntilMade(child)
    const directory = `/proc/${child.pid}/ns`
    await mapIDs(child.pid ?? 0)
    requireMapped(child.pid ?? 0)
    const user = openSync(`${directory}/user`, 'r')
    const mount = openSync(`${directory}/mnt`, 'r')
    for (const descriptor of [user, mount]) linux.keepOnExec(descriptor)
    return {
      name: readlinkSync(`${directory}/user`),
      // Short options are those that all implementations have.
      enter: [nsenter, `-U${fdPath(user)}`, `-m${fdPath(mount)}`, '--preserve-credentials', '--'],
      descriptors: [user, mount],
    }
  } finally {
    child.kill('SIGKILL')
    await ended
  }
}

/** @throws MappingError where who was to write the maps said that he did, and did not */
function requireMapped(child: number): void {
  for (const kind of ['uid', 'gid'] as const)
    if (parseIDMap(readFileSync(`/proc/${child}/${kind}_map`, 'latin1')).length === 0)
      throw new MappingError(`new${kind}map handed out no ids`)
}

function waitUntilMade(child: ChildProcessWithoutNullStreams): Promise<void> {
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    if (said.length < MAX_SAID) said += chunk.toString()
  })
  return new Promise((resolve, reject) => {
    child.stdout.once('data', resolve)
    child.once('error', reject)
    child.once('close', () => reject(new NamespaceError('namespace-refused', refusal(said))))
  })
}

const MAX_SAID = 500
/** They look users up, maybe over a network. */
const PATIENCE_MS = 30_000

/** Who keeps ordinary users from it, as far as that can be seen. */
function refusal(said: string): string {
  const problem = said.trim().split('\n')[0] || 'unshare failed'
  const [cause] = SWITCHES.filter(({ file, off }) => readSystemFile(file)?.trim() === off)
  return cause === undefined ? problem : `${problem} (${cause.file} is ${cause.off})`
}

const SWITCHES = [
  { file: '/proc/sys/kernel/unprivileged_userns_clone', off: '0' },
  { file: '/proc/sys/user/max_user_namespaces', off: '0' },
  { file: '/proc/sys/kernel/apparmor_restrict_unprivileged_userns', off: '1' },
] as const

/** Why there can be no more than one id. */
class MappingError extends Error {}

/**
 * Ourselves become 0, and 1 and on the ids that we may hand out: for root those that he has himself.
 * @throws MappingError
 */
async function mapManyIDs(child: number, { uid, gid, subordinate, path }: NamespaceOptions): Promise<void> {
  if (uid === 0) {
    mapOwnIDs(child)
    return
  }
  for (const kind of ['uid', 'gid'] as const) {
    const ranges = subordinate[`${kind}s`]
    if (ranges.length === 0) throw new MappingError(`this user has no line in /etc/sub${kind}`)
    const program = findProgram(`new${kind}map`, path)
    if (program === undefined) throw new MappingError(`new${kind}map (package uidmap) is not installed`)
    const problem = await runToEnd(program, [child, ...mapArguments(kind === 'uid' ? uid : gid, ranges)])
    if (problem !== undefined) throw new MappingError(problem)
  }
}

/** `INSIDE OUTSIDE COUNT` for each range, one after the other inside. */
export function mapArguments(id: number, ranges: readonly SubordinateRange[]): readonly number[] {
  const args = [0, id, 1]
  let inside = 1
  const taken: SubordinateRange[] = [{ start: id, count: 1 }]
  for (const range of ranges) {
    // A user may have the same range by name and by number.
    const isTaken = taken.some(
      other => range.start < other.start + other.count && other.start < range.start + range.count,
    )
    if (isTaken) continue
    taken.push(range)
    args.push(inside, range.start, range.count)
    inside += range.count
  }
  return args
}

function mapOwnIDs(child: number): void {
  for (const kind of ['uid', 'gid']) {
    const map = mapOfOwnIDs(parseIDMap(readFileSync(`/proc/self/${kind}_map`, 'latin1')))
    try {
      writeFileSync(`/proc/${child}/${kind}_map`, map)
    } catch (error) {
      throw new MappingError(`root here may not hand out ids: ${describe(error)}`)
    }
  }
}

/** One that maps every id of the machine is what runtimes (and we) know its first namespace by: there the last is left out. */
const ALL_IDS = 2 ** 32 - 1

/** Those that we have, each as itself. @returns as the kernel takes it */
export function mapOfOwnIDs(own: IDMap): string {
  return own
    .map(({ inside, count }) => `${inside} ${inside} ${count === ALL_IDS ? ALL_IDS - 1 : count}\n`)
    .join('')
}

/** The kernel lets everybody map himself, who then has to give up the right to drop groups. */
function mapOneID(child: number, { uid, gid }: NamespaceOptions): void {
  try {
    writeFileSync(`/proc/${child}/setgroups`, 'deny')
    writeFileSync(`/proc/${child}/uid_map`, `0 ${uid} 1`)
    writeFileSync(`/proc/${child}/gid_map`, `0 ${gid} 1`)
  } catch (error) {
    throw new NamespaceError('namespace-refused', refusal(`no ids for it: ${describe(error)}`))
  }
}

/** Undefined when it ended well, else what it said. */
function runToEnd(program: string, args: readonly (string | number)[]): Promise<string | undefined> {
  const child = spawn(program, args.map(String), { timeout: PATIENCE_MS, killSignal: 'SIGKILL' })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    if (said.length < MAX_SAID) said += chunk.toString()
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code =>
      resolve(code === 0 ? undefined : said.trim().split('\n')[0] || `${program} failed`),
    )
  })
}

function requireProgram(name: string, path: string): string {
  const found = findProgram(name, path)
  if (found !== undefined) return found
  throw new NamespaceError('program-missing', `the program ${name} (package util-linux) is not installed`)
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
