/**
 * A root filesystem without unpacking it: names and metadata from the tables of contents, contents from the layers'
 * tars. A compressed layer can only be read from its start, so what will be needed is read in one pass and waits in
 * a spool.
 */
import type { Readable } from 'node:stream'
import { type ByteString, displayText } from '../../oci/byte-string.ts'
import { type Digest, Digester, digestOf } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import type { TocEntry } from '../../oci/layer/toc.ts'
import type { MergedNode, MergedTree } from '../../oci/layer/tree.ts'
import type { Layers } from '../../store/layers.ts'
import type { LayerRecord } from '../../store/metadata.ts'
import type { FileTree, TreeNode } from './file-tree.ts'
import type { MergedTrees, TakenTree } from './merged-trees.ts'
import { Spool, type Spooled } from './spool.ts'

/** A tree that holds resources (a file with prepared contents) until it is disposed. */
export type OpenTree = FileTree & AsyncDisposable

export interface ImageTreeDeps {
  readonly layers: Pick<Layers, 'openTar'>
  readonly trees: MergedTrees
  /** Where `prepare` keeps the contents it has read; nothing stays there. */
  readonly temporaryDirectory: string
}

/**
 * The root filesystem that these layers make, lowest first, over their tables of contents, which are read at the
 * first question. All layers must be stored.
 */
export function createImageTree(layers: readonly LayerRecord[], deps: ImageTreeDeps): OpenTree {
  return new ImageTree(layers, deps)
}

class ImageTree implements OpenTree {
  readonly #records: readonly LayerRecord[]
  readonly #layers: ImageTreeDeps['layers']
  readonly #trees: MergedTrees
  readonly #spool: Spool
  /** By layer and place in its tar, so that hard links are read once. */
  readonly #prepared = new Map<string, Spooled>()
  #taken: TakenTree | undefined
  #preparing: Promise<void> = Promise.resolve()

  constructor(records: readonly LayerRecord[], deps: ImageTreeDeps) {
    this.#records = records
    this.#layers = deps.layers
    this.#trees = deps.trees
    this.#spool = new Spool(deps.temporaryDirectory)
  }

  async stat(path: ByteString): Promise<TreeNode | undefined> {
    const node = this.#merged().get(path)
    if (node === undefined) return undefined
    const { path: _, digest: __, offset: ___, ...rest } = node.entry
    return { ...rest, ...(node.identity !== undefined && { identity: node.identity }) }
  }

  async list(path: ByteString): Promise<readonly ByteString[]> {
    return this.#merged().children(path)
  }

  async digest(path: ByteString): Promise<Digest> {
    const { entry } = this.#file(path)
    return entry.digest ?? digestOf('')
  }

  /** @throws OciError `digest-mismatch` for a stored layer that is damaged */
  prepare(paths: readonly ByteString[], signal: AbortSignal): Promise<void> {
    this.#preparing = this.#preparing.then(() => this.#prepare(paths, signal))
    const result = this.#preparing
    this.#preparing = result.catch(() => undefined)
    return result
  }

  async open(path: ByteString): Promise<Buffer | Readable> {
    const node = this.#file(path)
    if (node.entry.size === 0) return Buffer.alloc(0)
    if (!this.#prepared.has(placeOf(node))) await this.prepare([path], new AbortController().signal)
    const spooled = this.#prepared.get(placeOf(node))
    if (spooled === undefined) throw new Error(`Cannot open ${path}: it was not prepared`)
    return this.#spool.read(spooled)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#preparing
    this.#taken?.[Symbol.dispose]()
    this.#taken = undefined
    await this.#spool[Symbol.asyncDispose]()
  }

  #merged(): MergedTree {
    this.#taken ??= this.#trees.take(this.#records)
    return this.#taken.tree
  }

  #file(path: ByteString): MergedNode {
    const node = this.#merged().get(path)
    if (node?.entry.type === 'file') return node
    throw new OciError('content-missing', `Cannot read "/${displayText(path)}": not a file of the image`)
  }

  async #prepare(paths: readonly ByteString[], signal: AbortSignal): Promise<void> {
    const wanted = new Map<number, Map<string, TocEntry>>()
    for (const path of paths) {
      const node = this.#file(path)
      const place = placeOf(node)
      if (node.entry.size === 0 || this.#prepared.has(place)) continue
      const entries = wanted.get(node.layer) ?? new Map<string, TocEntry>()
      wanted.set(node.layer, entries.set(place, node.entry))
    }
    for (const [layer, entries] of [...wanted].sort(([a], [b]) => a - b)) {
      await this.#readLayer(layer, entries, signal)
    }
  }

  async #readLayer(
    layer: number,
    entries: ReadonlyMap<string, TocEntry>,
    signal: AbortSignal,
  ): Promise<void> {
    const record = this.#records[layer]
    if (record === undefined) throw new Error(`Cannot read layer ${layer}: there is none`)
    const bytes = new Cursor(await this.#layers.openTar(record))
    try {
      const inOrder = [...entries].sort(([, a], [, b]) => (a.offset ?? 0) - (b.offset ?? 0))
      for (const [place, entry] of inOrder) {
        signal.throwIfAborted()
        const digester = new Digester()
        const spooled = await this.#spool.append(hashed(bytes.range(entry.offset ?? 0, entry.size), digester))
        if (digester.digest() !== entry.digest)
          throw new OciError(
            'digest-mismatch',
            `Cannot read "/${displayText(entry.path)}" from layer ${record.digest}: the stored layer is damaged`,
          )
        this.#prepared.set(place, spooled)
      }
    } finally {
      await bytes.close()
    }
  }
}

function placeOf({ layer, entry }: MergedNode): string {
  return `${layer}:${entry.offset}`
}

/** Reads ranges of a stream in rising order. */
class Cursor {
  readonly #chunks: AsyncIterator<Buffer>
  #chunk: Buffer = Buffer.alloc(0)
  /** Of the first byte of the chunk that is left. */
  #offset = 0

  constructor(source: AsyncIterable<Buffer>) {
    this.#chunks = source[Symbol.asyncIterator]()
  }

  /** Ends early where the stream does. */
  async *range(offset: number, size: number): AsyncGenerator<Buffer, void, undefined> {
    while (this.#offset + this.#chunk.length <= offset) if (!(await this.#advance())) return
    this.#take(offset - this.#offset)
    for (let left = size; left > 0; ) {
      if (this.#chunk.length === 0 && !(await this.#advance())) return
      const piece = this.#take(Math.min(left, this.#chunk.length))
      left -= piece.length
      yield piece
    }
  }

  async close(): Promise<void> {
    await this.#chunks.return?.()
  }

  #take(length: number): Buffer {
    const taken = this.#chunk.subarray(0, length)
    this.#chunk = this.#chunk.subarray(length)
    this.#offset += length
    return taken
  }

  async #advance(): Promise<boolean> {
    this.#offset += this.#chunk.length
    const next = await this.#chunks.next()
    this.#chunk = next.done ? Buffer.alloc(0) : next.value
    return !next.done
  }
}

async function* hashed(
  source: AsyncIterable<Buffer>,
  digester: Digester,
): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of source) {
    digester.update(chunk)
    yield chunk
  }
}
