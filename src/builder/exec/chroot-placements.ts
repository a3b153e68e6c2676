import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  truncateSync,
} from 'node:fs'
import { fdPath, type Linux, O_PATH } from '../../linux/linux.ts'
import { isErrno } from '../../oci/errors.ts'
import { fileTime } from '../snapshot/node-metadata.ts'
import type { Placement } from './chroot-plan.ts'

/** Moves what is there aside, and a file or directory into its place; the time of the directory stays. */
export function place(linux: Linux, { parent, name, aside }: Placement, source: string): void {
  const directory = openDirectory(parent)
  try {
    keepingTime(linux, directory, () => {
      renameSync(fdPath(directory, Buffer.from(name)), aside)
      renameSync(source, fdPath(directory, Buffer.from(name)))
    })
  } finally {
    closeSync(directory)
  }
}

/** Knows the directories of placements, wherever a step moves them and whatever it puts in their place. */
export interface PlacedDirectories extends Disposable {
  /** Puts all back as it was. Nobody writes to the root filesystem any more. */
  takeBack(): void
}

/** @param placements in the order in which they were made; the step does not run yet */
export function openPlacements(
  linux: Linux,
  placements: readonly Placement[],
  trash: string,
): PlacedDirectories {
  const open = placements.map(placement => ({ placement, directory: openDirectory(placement.parent) }))
  const emptied = open
    .filter(({ placement }) => placement.isEmptied)
    .map(({ placement, directory }) =>
      // Not for writing: nobody runs a script that is open so.
      openSync(fdPath(directory, Buffer.from(placement.name)), O_PATH | constants.O_NOFOLLOW),
    )
  return {
    takeBack() {
      for (const file of emptied) truncateSync(fdPath(file))
      for (const [index, { placement, directory }] of [...open.entries()].reverse())
        keepingTime(linux, directory, () => takeBack(placement, directory, `${trash}/${index}`))
    },
    [Symbol.dispose]() {
      for (const file of emptied) closeSync(file)
      for (const { directory } of open) closeSync(directory)
    },
  }
}

/** What a step has moved away or removed is not looked for. */
function takeBack({ name, aside, home }: Placement, directory: number, trash: string): void {
  // Done before: by who watches over the step, or by its owner.
  if (!existsSync(aside) && lstatSync(aside, { throwIfNoEntry: false }) === undefined) return
  const path = fdPath(directory, Buffer.from(name))
  if (home === undefined || !moved(path, home)) {
    mkdirSync(trash.slice(0, trash.lastIndexOf('/')), { recursive: true, mode: 0o700 })
    moved(path, trash)
  }
  moved(Buffer.from(aside), path)
}

function moved(from: Buffer, to: string | Buffer): boolean {
  try {
    renameSync(from, to)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'EISDIR')) return false
    throw error
  }
}

function keepingTime(linux: Linux, directory: number, change: () => void): void {
  const { mtimeNs } = lstatSync(fdPath(directory, Buffer.from('.')), { bigint: true })
  change()
  linux.utimensat(directory, '.', fileTime(mtimeNs))
}

function openDirectory(path: string): number {
  return openSync(path, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW)
}
