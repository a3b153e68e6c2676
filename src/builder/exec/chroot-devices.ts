import {
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { isLinuxError } from '../../linux/errors.ts'
import { AT_FDCWD, type Linux, S_IFCHR } from '../../linux/linux.ts'
import { isErrno } from '../../oci/errors.ts'

/** Name, and the numbers of the device. */
const DEVICES = [
  ['null', 1, 3],
  ['zero', 1, 5],
  ['full', 1, 7],
  ['random', 1, 8],
  ['urandom', 1, 9],
  ['tty', 5, 0],
] as const

const LINKS = {
  fd: '/proc/self/fd',
  stdin: '/proc/self/fd/0',
  stdout: '/proc/self/fd/1',
  stderr: '/proc/self/fd/2',
  core: '/proc/kcore',
  ptmx: 'pts/ptmx',
}

/**
 * Makes what a container has in `/dev`. Who may not make device nodes, or open them here, gets an empty file for `/dev/null`, which keeps what
 * is written to it, and no others.
 * @param directory absolute path of a directory to be made
 */
export function makeDevices(linux: Linux, directory: string): void {
  mkdirSync(directory)
  chmodSync(directory, 0o755)
  for (const [name, major, minor] of DEVICES) {
    const path = `${directory}/${name}`
    if (makeDevice(linux, path, major, minor)) linux.fchmodat(AT_FDCWD, path, 0o666)
    else if (name === 'null') writeFileSync(path, '')
  }
  chmodSync(`${directory}/null`, 0o666)
  for (const [name, target] of Object.entries(LINKS)) symlinkSync(target, `${directory}/${name}`)
  for (const name of ['shm', 'mqueue', 'pts']) mkdirSync(`${directory}/${name}`)
  for (const name of ['shm', 'mqueue']) chmodSync(`${directory}/${name}`, 0o1777)
  chmodSync(`${directory}/pts`, 0o755)
}

function makeDevice(linux: Linux, path: string, major: number, minor: number): boolean {
  try {
    linux.mknodat(AT_FDCWD, path, S_IFCHR | 0o600, major, minor)
  } catch (error) {
    if (isLinuxError(error, 'EPERM')) return false
    throw error
  }
  if (canOpen(path)) return true
  unlinkSync(path)
  return false
}

/** Not on a file system that is mounted with `nodev`. */
function canOpen(device: string): boolean {
  try {
    closeSync(openSync(device, constants.O_RDONLY | constants.O_NOCTTY))
    return true
  } catch (error) {
    if (isErrno(error, 'EACCES')) return false
    // A terminal, where we have none.
    if (isErrno(error, 'ENXIO')) return true
    throw error
  }
}
