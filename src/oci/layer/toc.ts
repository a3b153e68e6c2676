/**
 * A layer's table of contents: what the layer does to a path, for every path it names. It is recorded when the
 * layer is ingested, so that COPY, WORKDIR or a user look-up resolve paths without unpacking anything.
 */
import type { ByteString } from '../byte-string.ts'
import { type Digest, Digester, digestOf } from '../digest.ts'
import type { TarEntry } from '../tar/entry.ts'
import { type TarLimits, TarParser } from '../tar/reader.ts'
import { changeOf } from './changeset.ts'

export { packToc, unpackToc } from './toc-codec.ts'

/** An entry with a clean path: relative, without `.` or `..`, without a trailing `/`; the root is ''. */
export interface TocEntry extends Omit<TarEntry, 'path' | 'linkPath'> {
  readonly path: ByteString
  /** A symlink's raw target, or a hard link's clean path. */
  readonly linkPath?: ByteString
  /** Of a file's content; absent for an empty file and for all but files. */
  readonly digest?: Digest
  /** Where a file's body starts in the uncompressed layer, in bytes. */
  readonly offset?: number
}

export interface LayerToc {
  /** In the order of the archive; of a path named twice, the last counts. */
  readonly entries: readonly TocEntry[]
  /** Paths that this layer removes from those below. */
  readonly whiteouts: readonly ByteString[]
  /** Directories whose content in the layers below is hidden. */
  readonly opaque: readonly ByteString[]
}

/** Records a layer's table of contents from its uncompressed tar, chunk by chunk. */
export class TocRecorder {
  readonly #parser: TarParser
  readonly #entries: TocEntry[] = []
  readonly #whiteouts: ByteString[] = []
  readonly #opaque: ByteString[] = []
  #file: OpenFile | undefined

  constructor(limits?: TarLimits) {
    this.#parser = new TarParser(limits)
  }

  /** @throws OciError `tar-invalid`, `layer-invalid`; the recorder is then of no more use */
  update(chunk: Uint8Array): void {
    for (const event of this.#parser.push(chunk)) {
      if (event.kind === 'body') this.#hash(event.chunk)
      else this.#add(changeOf(event.entry, event.bodyOffset))
    }
  }

  /** @throws OciError `tar-invalid` when the tar is cut off */
  finish(): LayerToc {
    this.#parser.finish()
    return { entries: this.#entries, whiteouts: this.#whiteouts, opaque: this.#opaque }
  }

  #add(change: ReturnType<typeof changeOf>): void {
    if (change === undefined) return
    if (change.kind === 'whiteout') this.#whiteouts.push(change.path)
    else if (change.kind === 'opaque') this.#opaque.push(change.path)
    else if (change.entry.size === 0) this.#entries.push(change.entry)
    else this.#file = { entry: change.entry, digester: undefined, left: change.entry.size }
  }

  #hash(chunk: Buffer): void {
    const file = this.#file
    if (file === undefined) return
    file.left -= chunk.length
    if (file.left > 0 || file.digester !== undefined) {
      file.digester ??= new Digester()
      file.digester.update(chunk)
    }
    if (file.left > 0) return
    const digest = file.digester?.digest() ?? digestOf(chunk)
    this.#entries.push({ ...file.entry, digest })
    this.#file = undefined
  }
}

/** A file whose body is passing. */
interface OpenFile {
  readonly entry: TocEntry
  /** Absent while the body may still turn out to be in one piece. */
  digester: Digester | undefined
  left: number
}
