import type { ByteString } from '../byte-string.ts'
import { Digester, digestOf } from '../digest.ts'
import { type TarLimits, TarParser } from '../tar/reader.ts'
import { changeOf } from './changeset.ts'
import type { LayerToc, TocEntry } from './toc.ts'

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
