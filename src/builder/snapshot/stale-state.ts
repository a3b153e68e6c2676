import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, constants, existsSync, openSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { BARE_ENVIRONMENT } from '../../linux/bare-environment.ts'
import { ownIDMaps } from '../../linux/id-map.ts'
import { type Linux, loadLinux } from '../../linux/linux.ts'
import { isErrno } from '../../oci/errors.ts'
import { BuildError } from '../errors.ts'
import { removeControlGroup } from '../exec/control-group.ts'
import { endProcessesIn } from '../exec/descendants.ts'
import { unmountOrDetach } from './mounting.ts'
import { removeAbandoned } from './owned-directory.ts'
import { readIfThere } from './read-if-there.ts'
import { removeTree } from './remove-tree.ts'

/**
 * Where snapshots of this boot of the machine live. In a user namespace files belong to others than they seem to, and
 * overlays have another format: snapshots are for namespaces alone with the same ids.
 */
export async function bootDirectory(storeRoot: string): Promise<string> {
  const ids = ownIDMaps()
  const boot = await bootID()
  if (ids === undefined) return `${storeRoot}/snapshots/${boot}`
  const hex = createHash('sha256').update(JSON.stringify(ids)).digest('hex')
  return `${storeRoot}/snapshots/${boot}-${hex.slice(0, 12)}`
}

async function bootID(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
}

/** Where containers that run have their directories, one each, named as the container. */
export function runDirectory(storeRoot: string): string {
  return `${storeRoot}/run`
}

/** Where directories for cache mounts live, which stay between builds. */
export function cacheMountDirectory(storeRoot: string): string {
  return `${storeRoot}/cache-mounts`
}

/**
 * Removes what processes that were killed have left behind: containers that still run, their mounts and files,
 * snapshots half written, and snapshots of an earlier boot. What belongs to a living process stays.
 */
export async function removeStaleState(storeRoot: string): Promise<void> {
  const linux = await loadLinux()
  const current = await bootDirectory(storeRoot)
  await removeAbandoned(linux, runDirectory(storeRoot), async path => {
    await deleteContainer(path)
    await removeControlGroup(`${path}/cgroup`)
    unmountBelow(linux, path)
  })
  await removeAbandoned(linux, current, async path => {
    // A step by chroot that has killed everybody who could end it.
    if (existsSync(path)) await endProcessesIn(realpathSync(path))
    unmountBelow(linux, path)
  })
  await removeAbandoned(linux, cacheMountDirectory(storeRoot), async () => undefined)
  await removeOtherBoots(linux, `${storeRoot}/snapshots`, await bootID())
}

async function removeOtherBoots(linux: Linux, snapshots: string, boot: string): Promise<void> {
  if (!existsSync(snapshots)) return
  const directory = openSync(snapshots, constants.O_DIRECTORY)
  try {
    // Another process may be at it already.
    if (!linux.tryLock(directory)) return
    for (const name of readdirSync(snapshots)) {
      if (!name.startsWith(boot)) await removeTree(`${snapshots}/${name}`).catch(leaveToOthers)
    }
  } finally {
    closeSync(directory)
  }
}

/** Files of ids that were ours in another namespace: what is left of it takes a place on the disk, and no more. */
function leaveToOthers(error: unknown): void {
  if (!isErrno(error, 'EACCES', 'EPERM')) throw error
}

/**
 * Ends a container with all its processes and the runtime's state of it; none there is success.
 * @param directory its run directory; the file `runtime` in it holds the path of the runtime
 */
export async function deleteContainer(directory: string): Promise<void> {
  const runtime = readIfThere(`${directory}/runtime`)
  // Empty: who made the file was killed before it wrote the path, so before it started the runtime.
  if (runtime === undefined || runtime === '') return
  const id = directory.slice(directory.lastIndexOf('/') + 1)
  const child = spawn(runtime, ['--root', `${directory}/private/state`, 'delete', '--force', id], {
    env: BARE_ENVIRONMENT,
    stdio: 'ignore',
  })
  await new Promise<void>((resolve, reject) => {
    child.once('close', () => resolve())
    child.once('error', error => (isErrno(error, 'ENOENT') ? resolve() : reject(error)))
  })
}

/** @throws BuildError `run-failed` when a mount stays: nothing below may be deleted then */
function unmountBelow(linux: Linux, directory: string): void {
  if (!existsSync(directory)) return
  // The kernel lists mounts by their real paths.
  const prefix = `${realpathSync(directory)}/`
  for (const point of mountPoints().reverse()) if (point.startsWith(prefix)) unmountOrDetach(linux, point)
  const left = mountPoints().find(point => point.startsWith(prefix))
  if (left !== undefined) throw new BuildError('run-failed', `Cannot clean up: "${left}" is still mounted`)
}

/** In the order in which they were mounted. */
function mountPoints(): string[] {
  return readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .flatMap(line => line.split(' ')[4] ?? [])
    .map(unescapeMountPoint)
}

/** The kernel writes space, tab, newline and backslash as octal escapes. */
function unescapeMountPoint(text: string): string {
  const bytes = text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
  return Buffer.from(bytes, 'latin1').toString()
}
