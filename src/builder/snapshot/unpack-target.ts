import { closeSync, constants, copyFileSync, readlinkSync } from 'node:fs'
import { deviceMajor, deviceMinor } from '../../linux/device-number.ts'
import { isLinuxError } from '../../linux/errors.ts'
import { openDirectoryInRoot, pathInRoot } from '../../linux/in-root.ts'
import { fdPath, type Linux, S_IFBLK, S_IFCHR, S_IFIFO } from '../../linux/linux.ts'
import { readXattrs } from '../../linux/xattrs.ts'
import { type ByteString, bytesOf, displayText } from '../../oci/byte-string.ts'
import { OciError } from '../../oci/errors.ts'
import type { TocEntry } from '../../oci/layer/toc.ts'
import { DirectoryTimes } from './directory-times.ts'
import { isWhiteout, type LowerLayers, type LowerNode, opaqueXattr } from './lower-layers.ts'
import {
  clearXattrs,
  deviceOfEntry,
  IMPLIED_DIRECTORY,
  metadataOf,
  metadataOfEntry,
  type NodeMetadata,
  setMetadata,
  setOpenMetadata,
} from './node-metadata.ts'
import { OpenDirectories } from './open-directories.ts'
import { isSameFile, type Place, statAt, tryMakeDirectory } from './place.ts'
import type { DeviceNode } from './recorded.ts'
import { removeTree } from './remove-tree.ts'

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

const HERE = Buffer.from('.')

/** Characters of a path in an error. */
const MAX_SHOWN = 100

/** Takes note of what a layer hides of those below: paths, one character per byte. */
export interface Hiding {
  /** At the path and below. */
  hide(path: string): void
  /** Below the path. */
  hideContent(path: string): void
}

/**
 * The directory that one layer is unpacked to, in overlayfs' format, and the one door to it: a parent is resolved as
 * if the directory were `/`, the last component is never followed, and what a layer wrote is replaced, not written
 * through.
 *
 * A parent that this layer does not name comes from the layers below with its mode, owner and attributes; where
 * it is a symlink there, the symlink is copied up and followed.
 */
export class UnpackTarget implements Disposable {
  readonly #linux: Linux
  readonly #lower: LowerLayers
  readonly #root: number
  readonly #hiding: Hiding | undefined
  readonly #times: DirectoryTimes
  /** Parents. */
  readonly #open: OpenDirectories

  constructor(linux: Linux, root: number, lower: LowerLayers, hiding?: Hiding) {
    this.#linux = linux
    this.#root = root
    this.#hiding = hiding
    this.#lower = lower
    this.#times = new DirectoryTimes(linux, root)
    this.#open = new OpenDirectories(path => this.#openDirectory(Buffer.from(path, 'latin1')))
    const below = lower.find('')
    const metadata = below === undefined ? IMPLIED_DIRECTORY : this.#metadataBelow(below)
    setMetadata(linux, root, HERE, metadata)
    this.#times.remember(root, metadata.time)
  }

  [Symbol.dispose](): void {
    this.#open.forgetAll()
  }

  /** Ends the unpacking: sets the times of the directories. */
  finish(): void {
    this.#times.apply()
  }

  /** Makes an empty file and opens it for writing; `setFileMetadata` comes after its content, before it is closed. */
  async createFile(path: ByteString): Promise<number> {
    return this.#replace(path, ({ parent, name }) => this.#linux.openat(parent, name, NEW_FILE, 0o600))
  }

  /** @param file open, as `createFile` gave it */
  setFileMetadata(file: number, entry: TocEntry): void {
    const metadata = metadataOfEntry(entry)
    if (setOpenMetadata(this.#linux, file, metadata)) return
    const { parent, name } = this.#placeOf(entry.path)
    setMetadata(this.#linux, parent, name, metadata)
  }

  async makeDirectory(entry: TocEntry): Promise<void> {
    const metadata = metadataOfEntry(entry)
    if (entry.path === '') {
      this.#updateDirectory(this.#root, HERE, metadata)
      return
    }
    const place = this.#placeOf(entry.path)
    if (tryMakeDirectory(this.#linux, place)) {
      this.#dressNewDirectory(entry.path, place, metadata)
      return
    }
    if (statAt(place.parent, place.name)?.isDirectory()) {
      this.#updateDirectory(place.parent, place.name, metadata)
      return
    }
    await this.#replace(entry.path, ({ parent, name }) => {
      this.#linux.mkdirat(parent, name, 0o700)
      // The layer has already put something else here, such as a deletion: nothing from below shows any more.
      this.#markOpaque(parent, name)
      this.#updateDirectory(parent, name, metadata)
    })
  }

  /** Its content mostly comes next, so it stays open for that. */
  #dressNewDirectory(path: string, { parent, name }: Place, metadata: NodeMetadata): void {
    const directory = this.#linux.openat(parent, name, constants.O_DIRECTORY | constants.O_NOFOLLOW)
    this.#open.keep(path, directory)
    if (!setOpenMetadata(this.#linux, directory, metadata)) setMetadata(this.#linux, parent, name, metadata)
    this.#times.remember(directory, metadata.time)
  }

  /** A symlink, device or FIFO. */
  async makeSpecial(entry: TocEntry): Promise<void> {
    const metadata = metadataOfEntry(entry)
    await this.#replace(entry.path, ({ parent, name }) => {
      if (entry.type === 'symlink') {
        this.#linux.symlinkat(bytesOf(entry.linkPath ?? ('' as ByteString)), parent, name)
        setMetadata(this.#linux, parent, name, metadata)
      } else if (entry.type === 'fifo') {
        this.#linux.mknodat(parent, name, S_IFIFO | 0o600, 0, 0)
        setMetadata(this.#linux, parent, name, metadata)
      } else this.#makeDevice(parent, name, metadata, deviceOfEntry(entry))
    })
  }

  #makeDevice(parent: number, name: Buffer, metadata: NodeMetadata, device: DeviceNode): void {
    const { type, major, minor } = device
    const isPossible = this.#linux.idMaps === undefined
    if (isPossible) {
      this.#linux.mknodat(parent, name, (type === 'block' ? S_IFBLK : S_IFCHR) | 0o600, major, minor)
    } else closeSync(this.#linux.openat(parent, name, NEW_FILE, 0o600))
    setMetadata(this.#linux, parent, name, isPossible ? metadata : { ...metadata, device })
  }

  /** @throws OciError `layer-invalid` when the target is nothing, or a directory */
  async makeHardLink(entry: TocEntry): Promise<void> {
    const targetPath = entry.linkPath ?? ('' as ByteString)
    const target = this.#findLinkTarget(targetPath)
    if (target === undefined)
      throw invalid(entry.path, `it is a hard link to "${displayText(targetPath)}", which is not a file`)
    try {
      const place = this.#placeOf(entry.path)
      if (isSameFile(target, place)) return
      await this.#replace(entry.path, ({ parent, name }) =>
        this.#linux.linkat(target.parent, target.name, parent, name),
      )
    } finally {
      closeSync(target.parent)
    }
  }

  /** Hides what the layers below have at the path; what this layer has there stays. */
  hideLower(path: ByteString): void {
    if (path === '' || this.#lower.find(path) === undefined) return
    const { parent, name } = this.#placeOf(path)
    const existing = statAt(parent, name)
    if (this.#hiding !== undefined) this.#hiding.hide(path)
    else if (existing === undefined) this.#linux.mknodat(parent, name, S_IFCHR, 0, 0)
    else if (existing.isDirectory()) this.#markOpaque(parent, name)
    this.#lower.hide(path)
  }

  /** Hides the content that the layers below have in the directory. */
  hideLowerContent(path: ByteString): void {
    if (!this.#lower.find(path)?.stats.isDirectory()) return
    const place = path === '' ? { parent: this.#root, name: HERE } : this.#placeOf(path)
    if (statAt(place.parent, place.name) === undefined) this.#makeMissing(place.parent, place.name)
    if (statAt(place.parent, place.name)?.isDirectory()) this.#markOpaque(place.parent, place.name)
    this.#lower.hideContent(path)
  }

  /** Runs `make`; when something is in the way, removes that and runs it again. */
  async #replace<T>(path: ByteString, make: (place: Place) => T): Promise<T> {
    if (path === '') throw invalid(path, 'the root is not a directory')
    try {
      return make(this.#placeOf(path))
    } catch (error) {
      if (!isLinuxError(error, 'EEXIST')) throw error
    }
    const { parent, name } = this.#placeOf(path)
    await removeTree(fdPath(parent, name))
    // Any parent may have been reached through what is now gone.
    this.#open.forgetAll()
    return make(this.#placeOf(path))
  }

  #placeOf(path: string): Place {
    const slash = path.lastIndexOf('/')
    const parent = this.#open.get(path.slice(0, Math.max(0, slash)))
    return { parent, name: Buffer.from(path.slice(slash + 1), 'latin1') }
  }

  #openDirectory(path: Buffer): number {
    try {
      return openDirectoryInRoot(this.#linux, this.#root, path, (parent, name) =>
        this.#makeMissing(parent, name),
      )
    } catch (error) {
      if (!isLinuxError(error, 'EEXIST', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG')) throw error
      throw invalid(path.toString('latin1') as ByteString, `it cannot be a directory (${error.code})`, error)
    }
  }

  #pathOf(parent: number, name: Buffer): string {
    const above = pathInRoot(this.#root, parent).toString('latin1')
    if (name.equals(HERE)) return above
    return above === '' ? name.toString('latin1') : `${above}/${name.toString('latin1')}`
  }

  #makeMissing(parent: number, name: Buffer): void {
    const path = this.#pathOf(parent, name)
    const existing = statAt(parent, name)
    const isDeleted = existing !== undefined && isWhiteout(existing)
    if (isDeleted) this.#linux.unlinkat(parent, name, 'other')
    const below = this.#lower.find(path)
    if (below !== undefined && !below.stats.isDirectory()) {
      this.#copyUp(below, parent, name)
      return
    }
    this.#linux.mkdirat(parent, name, 0o700)
    const metadata = below === undefined ? IMPLIED_DIRECTORY : this.#metadataBelow(below)
    this.#updateDirectory(parent, name, metadata)
    if (isDeleted) this.#markOpaque(parent, name)
  }

  /** Of a file in this layer, or of one below that is then copied up. The caller closes `parent`. */
  #findLinkTarget(path: string): Place | undefined {
    const slash = path.lastIndexOf('/')
    const name = Buffer.from(path.slice(slash + 1), 'latin1')
    const parent = this.#openDirectory(Buffer.from(path.slice(0, Math.max(0, slash)), 'latin1'))
    try {
      if (name.length > 0 && statAt(parent, name) === undefined) this.#copyUpTarget(parent, name)
      const found = name.length > 0 ? statAt(parent, name) : undefined
      if (found !== undefined && !found.isDirectory() && !isWhiteout(found)) return { parent, name }
    } catch (error) {
      closeSync(parent)
      throw error
    }
    closeSync(parent)
    return undefined
  }

  #copyUpTarget(parent: number, name: Buffer): void {
    const below = this.#lower.find(this.#pathOf(parent, name))
    if (below !== undefined && !below.stats.isDirectory()) this.#copyUp(below, parent, name)
  }

  #copyUp(below: LowerNode, parent: number, name: Buffer): void {
    const { stats, path } = below
    if (stats.isSymbolicLink()) this.#linux.symlinkat(readlinkSync(path, 'buffer'), parent, name)
    else if (stats.isFile())
      copyFileSync(path, fdPath(parent, name), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
    else {
      const { rdev } = stats
      this.#linux.mknodat(parent, name, Number(stats.mode) & ~0o7777, deviceMajor(rdev), deviceMinor(rdev))
    }
    setMetadata(this.#linux, parent, name, this.#metadataBelow(below))
  }

  #metadataBelow(below: LowerNode): NodeMetadata {
    return metadataOf(this.#linux, below, readXattrs(this.#linux, below.path))
  }

  #updateDirectory(parent: number, name: Buffer, metadata: NodeMetadata): void {
    clearXattrs(this.#linux, fdPath(parent, name))
    setMetadata(this.#linux, parent, name, metadata)
    const directory = this.#linux.openat(parent, name, constants.O_DIRECTORY | constants.O_NOFOLLOW)
    try {
      this.#times.remember(directory, metadata.time)
    } finally {
      closeSync(directory)
    }
  }

  #markOpaque(parent: number, name: Buffer): void {
    if (this.#hiding !== undefined) this.#hiding.hideContent(this.#pathOf(parent, name))
    else this.#linux.lsetxattr(fdPath(parent, name), opaqueXattr(this.#linux), Buffer.from('y'))
  }
}

function invalid(path: ByteString, problem: string, cause?: unknown): OciError {
  const text = displayText(path)
  const shown = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text
  return new OciError('layer-invalid', `Cannot unpack "${shown}": ${problem}`, { cause })
}
