/**
 * A build context that comes as a tar. It is unpacked into a table of names and one nameless file with all contents:
 * no name of the archive ever becomes a path on this machine. Names are resolved as if the archive's root were `/`,
 * the last part of a name is never followed, and what an entry replaces is gone.
 */
import type { Readable } from 'node:stream'
import {
  type ByteString,
  byteStringFrom,
  bytesOf,
  compareByteStrings,
  displayText,
} from '../../oci/byte-string.ts'
import { type Digest, Digester, digestHex, digestOf, parseDigest } from '../../oci/digest.ts'
import { type SniffedStream, sniffCompression } from '../../oci/layer/decompression.ts'
import { DEFAULT_LIMITS, type Limits, limitExceeded } from '../../oci/limits.ts'
import { baseName, joinPath, parentPath } from '../../oci/path.ts'
import type { TarEntry } from '../../oci/tar/entry.ts'
import { BLOCK_BYTES, decodeHeader } from '../../oci/tar/header.ts'
import { readTar, type TarRecord } from '../../oci/tar/reader.ts'
import { BuildError } from '../errors.ts'
import type { TreeNode } from '../tree/file-tree.ts'
import type { OpenTree } from '../tree/image-tree.ts'
import { resolvePath } from '../tree/resolve.ts'
import { Spool } from '../tree/spool.ts'
import { isDamaged, isProgramMissing, uncompressed } from '../tree/uncompressed.ts'
import { pathBelowRoot } from '../tree/walk.ts'

export interface ArchiveContextDeps {
  /** Where the contents wait; nothing stays there. */
  readonly temporaryDirectory: string
  readonly signal: AbortSignal
  readonly contentLimits?: Partial<Limits>
}

/** A stream that may be a context. */
export interface SniffedContext extends SniffedStream {
  /** Whether it is a tar, or compressed as a tar may be. */
  readonly isArchive: boolean
}

export async function sniffContext(source: AsyncIterable<Uint8Array>): Promise<SniffedContext> {
  const sniffed = await sniffCompression(source, BLOCK_BYTES)
  return { ...sniffed, isArchive: sniffed.compression !== 'none' || isTarHeader(sniffed.head) }
}

function isTarHeader(head: Buffer): boolean {
  if (head.length < BLOCK_BYTES) return false
  try {
    decodeHeader(head.subarray(0, BLOCK_BYTES), 0)
    return true
  } catch (error) {
    if (isDamaged(error)) return false
    throw error
  }
}

/**
 * Owners are those of the archive, and no ignore file applies, as in BuildKit. The caller disposes the tree.
 * @throws BuildError `context-invalid` for an archive that is damaged, or cannot be unpacked; OciError `limit-exceeded`
 */
export async function readArchiveContext(
  archive: SniffedStream,
  deps: ArchiveContextDeps,
): Promise<OpenTree> {
  const tree = new ArchiveTree(deps.temporaryDirectory)
  try {
    const { signal, contentLimits = {} } = deps
    const { contextEntries } = { ...DEFAULT_LIMITS, ...contentLimits }
    const bytes = await uncompressed(archive, signal, contentLimits)
    for await (const record of readTar(bytes, contentLimits)) {
      await tree.add(record)
      if (tree.size > contextEntries)
        throw limitExceeded(
          'contextEntries',
          contextEntries,
          'Cannot read build context: it has too many files',
        )
    }
    return tree
  } catch (error) {
    await tree[Symbol.asyncDispose]()
    deps.signal.throwIfAborted()
    if (!isProgramMissing(error) && !isDamaged(error)) throw error
    throw invalid(error instanceof Error ? error.message : String(error), error)
  }
}

/** A context without files. */
export function emptyContext(temporaryDirectory: string): OpenTree {
  return new ArchiveTree(temporaryDirectory)
}

/** There may be a million. */
interface Held {
  readonly node: TreeNode
  /** Of a file: where its bytes lie in the spool. */
  readonly offset?: number
  /** Of a file: the bytes of its SHA-256, as a string, which takes a third of the room of its digest. */
  readonly hash?: ByteString
}

/** Of the root, and of parents that the archive does not name. */
const IMPLIED_DIRECTORY: TreeNode = { type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0 }
const EMPTY_DIGEST = digestOf('')

class ArchiveTree implements OpenTree {
  readonly #held = new Map<ByteString, Held>([['' as ByteString, { node: IMPLIED_DIRECTORY }]])
  readonly #children = new Map<ByteString, Set<ByteString>>()
  readonly #spool: Spool
  #identities = 0

  /** Files and directories, those that were made on the way to others among them. */
  get size(): number {
    return this.#held.size - 1
  }

  constructor(temporaryDirectory: string) {
    this.#spool = new Spool(temporaryDirectory)
  }

  async add({ entry, body }: TarRecord): Promise<void> {
    const path = await this.#placeOf(entry.path)
    const { linkPath, type } = entry
    if (type === 'link') {
      if (path !== '') this.#link(path, await this.#placeOf(linkPath ?? ('' as ByteString)), entry)
      return
    }
    const node = nodeOf(entry, type)
    if (path === '') {
      if (type === 'directory') this.#held.set(path, { node })
      return
    }
    if (type !== 'file') return this.#put(path, { node })
    const digester = new Digester()
    const { offset } = await this.#spool.append(hashed(body(), digester))
    this.#put(path, { node, offset, hash: byteStringFrom(Buffer.from(digestHex(digester.digest()), 'hex')) })
  }

  async stat(path: ByteString): Promise<TreeNode | undefined> {
    return this.#held.get(path)?.node
  }

  async list(path: ByteString): Promise<readonly ByteString[]> {
    return [...(this.#children.get(path) ?? [])].sort(compareByteStrings)
  }

  async digest(path: ByteString): Promise<Digest> {
    const hash = this.#held.get(path)?.hash
    return hash === undefined ? EMPTY_DIGEST : parseDigest(`sha256:${bytesOf(hash).toString('hex')}`)
  }

  prepare(): Promise<void> {
    return Promise.resolve()
  }

  async open(path: ByteString): Promise<Buffer | Readable> {
    const { node, offset } = this.#held.get(path) ?? {}
    if (node === undefined || offset === undefined) return Buffer.alloc(0)
    return this.#spool.read({ offset, size: node.size })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#spool[Symbol.asyncDispose]()
  }

  /** Where a name of the archive leads; its parents are made. */
  async #placeOf(name: ByteString): Promise<ByteString> {
    const clean = pathBelowRoot(name) as ByteString
    if (clean === '') return clean
    const parent = await resolvePath(this, parentPath(clean))
    if (parent === undefined) throw invalid(`"${displayText(name)}" leads through a loop of symbolic links`)
    this.#makeDirectories(parent)
    // The name as it came is one string, what is joined are three.
    return parent === parentPath(clean) ? clean : joinPath(parent, baseName(clean))
  }

  #makeDirectories(path: ByteString): void {
    const missing: ByteString[] = []
    for (let at = path; this.#held.get(at)?.node.type !== 'directory'; at = parentPath(at)) missing.push(at)
    for (const directory of missing.reverse()) this.#put(directory, { node: IMPLIED_DIRECTORY })
  }

  #link(path: ByteString, target: ByteString, entry: TarEntry): void {
    if (path === target) return
    const held = this.#held.get(target)
    if (held === undefined || held.node.type === 'directory')
      throw invalid(
        `"${displayText(entry.path)}" is a hard link to "${displayText(entry.linkPath ?? ('' as ByteString))}", which is not a file`,
      )
    const linked = {
      ...held,
      node: { ...held.node, identity: held.node.identity ?? `${this.#identities++}` },
    }
    this.#held.set(target, linked)
    this.#put(path, linked)
  }

  /** The parent is a directory. */
  #put(path: ByteString, held: Held): void {
    if (held.node.type !== 'directory') this.#removeBelow(path)
    this.#held.set(path, held)
    const parent = parentPath(path)
    const siblings = this.#children.get(parent)
    if (siblings === undefined) this.#children.set(parent, new Set([baseName(path)]))
    else siblings.add(baseName(path))
  }

  #removeBelow(path: ByteString): void {
    const pending = [path]
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      for (const name of this.#children.get(at) ?? []) pending.push(joinPath(at, name))
      this.#children.delete(at)
      this.#held.delete(at)
    }
  }
}

/** Of an entry that is no link; members are named so that they lie in one object. */
function nodeOf(
  { mode, uid, gid, size, mtime, mtimeNanoseconds, linkPath, deviceMajor, deviceMinor, xattrs }: TarEntry,
  type: TreeNode['type'],
): TreeNode {
  return {
    type,
    mode,
    uid,
    gid,
    size,
    mtime,
    ...(mtimeNanoseconds !== undefined && { mtimeNanoseconds }),
    ...(type === 'symlink' && linkPath !== undefined && { linkPath }),
    ...(deviceMajor !== undefined && { deviceMajor }),
    ...(deviceMinor !== undefined && { deviceMinor }),
    ...(xattrs !== undefined && { xattrs }),
  }
}

function invalid(problem: string, cause?: unknown): BuildError {
  return new BuildError('context-invalid', `Cannot read build context: ${problem}`, { cause })
}

async function* hashed(source: AsyncIterable<Buffer>, digester: Digester): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    digester.update(chunk)
    yield chunk
  }
}
