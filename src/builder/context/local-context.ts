/**
 * A build context on disk as COPY sees it. Every file is looked at once: the first look fixes its stamp, and content
 * read later must be of a file that still has it, so that the cache key and the layer tell of the same bytes.
 *
 * Nothing leads out of the context: a path is looked at only below real directories.
 */
import type { BigIntStats, Dirent } from 'node:fs'
import { lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { deviceMajor, deviceMinor } from '../../linux/device-number.ts'
import { type ByteString, byteStringFrom, byteStringOf, bytesOf } from '../../oci/byte-string.ts'
import { freed } from '../../oci/chunks.ts'
import { type Digest, Digester } from '../../oci/digest.ts'
import { isErrno } from '../../oci/errors.ts'
import { DEFAULT_LIMITS, limitExceeded } from '../../oci/limits.ts'
import { joinPath, parentPath } from '../../oci/path.ts'
import { BuildError } from '../errors.ts'
import type { FileTree, Soon, TreeNode } from '../tree/file-tree.ts'
import { nodeType } from '../tree/node-type.ts'
import type { IgnoreRules } from './ignore.ts'
import { NO_XATTRS, readPortableXattrs, type XattrReader } from './portable-xattrs.ts'
import type { FileStamp } from './remembered-files.ts'
import { readStampedFile, readStampedPieces } from './stamped-file.ts'
import type { StatCache } from './stat-cache.ts'
import { quotedPath, unreadable } from './unreadable.ts'

export interface LocalContextOptions {
  /** As the user named it. */
  readonly directory: string
  readonly ignore?: IgnoreRules
  readonly fileDigests: StatCache
  /** Called when the first file is seen whose attributes are not remembered: the reader costs time to load. */
  readonly loadXattrReader?: () => Promise<XattrReader>
  /** Files and directories that are looked at. */
  readonly contextEntries?: number
}

export interface LocalContext extends FileTree {
  /** True when the ignore rules are why the tree does not show this path. */
  isIgnored(path: ByteString): boolean
}

/**
 * Owners are 0:0, sockets do not show, modes are kept with setuid, times are whole seconds.
 * @throws BuildError `context-invalid` unless the directory is there; later from every method, when a file cannot be
 *   read or has changed since the tree first looked at it
 */
export async function openLocalContext(options: LocalContextOptions): Promise<LocalContext> {
  const root = await realpath(options.directory).catch((error: unknown) => {
    throw unreadable(`"${options.directory}"`, error)
  })
  if (!lstatSync(root).isDirectory())
    throw new BuildError(
      'context-invalid',
      `Cannot read build context "${options.directory}": not a directory`,
    )
  return new DiskContext(byteStringOf(root), options)
}

interface Seen {
  /** Without extended attributes: only `stat` tells them. */
  readonly node: TreeNode
  readonly stamp: FileStamp
  xattrs?: ReadonlyMap<string, Uint8Array>
  digest?: Digest
}

/** Nanoseconds and inode numbers are more than a number holds. */
const EXACT = { bigint: true, throwIfNoEntry: false } as const
const NOT_ASCII = /[\x80-\xff]/

/** Larger files are read in pieces. */
const WHOLE_BYTES = 1024 * 1024
/** Synchronous work after which other work gets a turn. */
const TURN_BYTES = 8 * 1024 * 1024
const TURN_CALLS = 1000

class DiskContext implements LocalContext {
  readonly #root: ByteString
  readonly #ignore: IgnoreRules | undefined
  readonly #cache: StatCache
  readonly #loadXattrReader: LocalContextOptions['loadXattrReader']
  readonly #maxEntries: number
  #entries = 0
  #xattrReader: Promise<XattrReader> | undefined
  readonly #seen = new Map<ByteString, Seen | undefined>()
  readonly #shownDirectories = new Map<ByteString, boolean>()
  #calls = 0
  #bytes = 0

  constructor(root: ByteString, options: LocalContextOptions) {
    this.#root = root
    this.#ignore = options.ignore
    this.#cache = options.fileDigests
    this.#loadXattrReader = options.loadXattrReader
    this.#maxEntries = options.contextEntries ?? DEFAULT_LIMITS.contextEntries
  }

  isIgnored(path: ByteString): boolean {
    return this.#ignore?.isIgnored(path) ?? false
  }

  stat(path: ByteString): Soon<TreeNode | undefined> {
    if (++this.#calls > TURN_CALLS) return this.#giveTurn().then(() => this.stat(path))
    const seen = this.#look(path)
    if (seen === undefined || !this.#isShown(path, seen.node)) return undefined
    if (seen.xattrs === undefined) this.#recall(path, seen)
    return seen.xattrs === undefined ? this.#readXattrs(path, seen) : withXattrs(seen.node, seen.xattrs)
  }

  list(path: ByteString): readonly ByteString[] {
    if (this.#look(path)?.node.type !== 'directory') return []
    const names = this.#names(path)
    if (this.#ignore === undefined) return names
    return names.filter(name => {
      const child = joinPath(path, name)
      if (!this.isIgnored(child)) return true
      const node = this.#look(child)?.node
      return node !== undefined && this.#isShown(child, node)
    })
  }

  digest(path: ByteString): Soon<Digest> {
    const seen = this.#file(path)
    if (seen.digest === undefined) this.#recall(path, seen)
    return seen.digest ?? this.#readDigest(path, seen)
  }

  async #readDigest(path: ByteString, seen: Seen): Promise<Digest> {
    const { stamp, node } = seen
    const content = this.#open(path)
    const digester = new Digester()
    if (content instanceof Uint8Array) {
      digester.update(content)
      this.#bytes += node.size
      if (this.#bytes > TURN_BYTES) await this.#giveTurn()
    } else for await (const chunk of freed(content)) digester.update(chunk)
    const digest = digester.digest()
    seen.digest = digest
    this.#cache.put(path, stamp, { digest })
    return digest
  }

  async prepare(): Promise<void> {
    // Files of a directory need no preparation.
  }

  async open(path: ByteString): Promise<Buffer | Readable> {
    const content = this.#open(path)
    return content instanceof Uint8Array ? content : Readable.from(content, { objectMode: false })
  }

  async #giveTurn(): Promise<void> {
    this.#calls = 0
    this.#bytes = 0
    await nextTurn()
  }

  /** Text where its bytes are those of the path: Node takes text for less. */
  #absolute(path: ByteString): string | Buffer {
    const absolute = this.#root === '/' ? (`/${path}` as ByteString) : joinPath(this.#root, path)
    return NOT_ASCII.test(absolute) ? bytesOf(absolute) : absolute
  }

  #absoluteBytes(path: ByteString): Buffer {
    return Buffer.from(this.#absolute(path))
  }

  /** Below real directories only. Sockets are not there. */
  #look(path: ByteString): Seen | undefined {
    const known = this.#seen.get(path)
    if (known !== undefined || this.#seen.has(path)) return known
    const isReachable =
      path === '' || (!path.includes('\0') && this.#look(parentPath(path))?.node.type === 'directory')
    const seen = isReachable ? this.#lookOnDisk(path) : undefined
    this.#seen.set(path, seen)
    if (seen !== undefined && path !== '' && ++this.#entries > this.#maxEntries)
      throw limitExceeded(
        'contextEntries',
        this.#maxEntries,
        'Cannot read build context: it has too many files',
      )
    return seen
  }

  #lookOnDisk(path: ByteString): Seen | undefined {
    try {
      const stat = lstatSync(this.#absolute(path), EXACT)
      if (stat === undefined || stat.isSocket()) return undefined
      const { size, mtimeNs, ctimeNs, ino, dev } = stat
      const stamp = { size, mtimeNs, ctimeNs, ino, dev }
      return { stamp, node: this.#nodeOf(path, stat) }
    } catch (error) {
      if (isErrno(error, 'ENOTDIR', 'ENAMETOOLONG')) return undefined
      throw unreadable(quotedPath(path), error)
    }
  }

  #nodeOf(path: ByteString, stat: BigIntStats): TreeNode {
    const type = nodeType(stat)
    const node = {
      type,
      mode: Number(stat.mode) & 0o7777,
      uid: 0,
      gid: 0,
      size: type === 'file' ? Number(stat.size) : 0,
      mtime: Number(stat.mtimeNs / 1_000_000_000n) - (stat.mtimeNs % 1_000_000_000n < 0n ? 1 : 0),
    }
    // Most of all.
    if (type === 'directory' || (type === 'file' && stat.nlink === 1n)) return node
    return {
      ...node,
      ...(type === 'symlink' && {
        linkPath: byteStringFrom(readlinkSync(this.#absolute(path), { encoding: 'buffer' })),
      }),
      ...((type === 'character' || type === 'block') && {
        deviceMajor: deviceMajor(stat.rdev),
        deviceMinor: deviceMinor(stat.rdev),
      }),
      ...(type === 'file' && stat.nlink > 1n && { identity: `${stat.dev}:${stat.ino}` }),
    }
  }

  /** What an earlier build read of the file. */
  #recall(path: ByteString, seen: Seen): void {
    const { digest, xattrs } = this.#cache.get(path, seen.stamp) ?? {}
    if (digest !== undefined) seen.digest = digest
    if (this.#loadXattrReader === undefined) seen.xattrs = NO_XATTRS
    else if (xattrs !== undefined) seen.xattrs = xattrs
  }

  async #readXattrs(path: ByteString, seen: Seen): Promise<TreeNode> {
    this.#xattrReader ??= this.#loadXattrReader?.() ?? Promise.resolve(() => NO_XATTRS)
    const readXattrs = await this.#xattrReader
    const xattrs = readPortableXattrs(readXattrs, this.#absoluteBytes(path))
    seen.xattrs = xattrs
    this.#cache.put(path, seen.stamp, { xattrs })
    return withXattrs(seen.node, xattrs)
  }

  #names(path: ByteString): readonly ByteString[] {
    let entries: readonly Dirent[]
    try {
      // One character for each byte.
      entries = readdirSync(this.#absolute(path), { encoding: 'latin1', withFileTypes: true })
    } catch (error) {
      throw unreadable(quotedPath(path), error)
    }
    return entries
      .filter(entry => !entry.isSocket())
      .map(entry => entry.name as ByteString)
      .sort()
  }

  /** An ignored directory shows only as the way to something that is not ignored. */
  #isShown(path: ByteString, node: TreeNode): boolean {
    if (this.#ignore === undefined || !this.#ignore.isIgnored(path)) return true
    if (node.type !== 'directory' || !this.#ignore.mayIncludeBelow(path)) return false
    const known = this.#shownDirectories.get(path)
    if (known !== undefined) return known
    const shown = this.#names(path).some(name => {
      const child = joinPath(path, name)
      const childNode = this.#look(child)?.node
      return childNode !== undefined && this.#isShown(child, childNode)
    })
    this.#shownDirectories.set(path, shown)
    return shown
  }

  #file(path: ByteString): Seen {
    const seen = this.#look(path)
    if (seen?.node.type === 'file') return seen
    throw new BuildError(
      'context-invalid',
      `Cannot read ${quotedPath(path)}: not a file of the build context`,
    )
  }

  #open(path: ByteString): Buffer | AsyncIterable<Buffer> {
    const { stamp, node } = this.#file(path)
    if (node.size === 0) return Buffer.alloc(0)
    const file = { path, absolutePath: this.#absoluteBytes(path), stamp }
    return node.size > WHOLE_BYTES ? readStampedPieces(file) : readStampedFile(file)
  }
}

function withXattrs(node: TreeNode, xattrs: ReadonlyMap<string, Uint8Array>): TreeNode {
  return xattrs.size === 0 ? node : { ...node, xattrs }
}
