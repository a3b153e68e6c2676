import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { type Linux, O_PATH } from '../../linux/linux.ts'
import { displayText } from '../../oci/byte-string.ts'
import { isErrno, OciError } from '../../oci/errors.ts'
import { type Change, readChangeset } from '../../oci/layer/changeset.ts'
import type { TocEntry } from '../../oci/layer/toc.ts'
import { CHECKED_BEFORE } from '../../oci/limits.ts'
import { type LowerLayers, openLowerLayers } from './lower-layers.ts'
import { type Hiding, UnpackTarget } from './unpack-target.ts'

export interface ApplyOptions {
  readonly linux: Linux
  /** Existing, empty. Afterwards it holds the layer. */
  readonly directory: string
  /** Such directories of the layers below as overlayfs takes them, topmost first; or what they make up. */
  readonly lower: readonly string[] | LowerLayers
  /** Is told what the layer hides of those below; by default the directory says it as overlayfs takes it. */
  readonly hiding?: Hiding
  readonly signal: AbortSignal
}

const CHANGES_PER_TURN = 100
const BYTES_PER_TURN = 4 * 1024 * 1024

/**
 * Unpacks one layer tar, whose limits were checked when it was stored, and reads its source to the very end, so that a source that verifies itself has done so.
 * @throws OciError `layer-invalid`, the source's error, or the signal's reason; the directory is then half written
 */
export async function applyLayer(tar: AsyncIterable<Buffer>, options: ApplyOptions): Promise<void> {
  const { linux, directory, signal } = options
  const lower = 'hide' in options.lower ? options.lower : openLowerLayers(linux, options.lower)
  const root = openSync(directory, O_PATH | constants.O_DIRECTORY)
  const source = tar[Symbol.asyncIterator]()
  try {
    using target = new UnpackTarget(linux, root, lower, options.hiding)
    const turns = new Turns(signal)
    for await (const change of readChangeset(withoutReturn(source), CHECKED_BEFORE)) {
      await applyChange(target, change, turns).catch(error => explain(change, error))
      await turns.did(0)
    }
    target.finish()
    while ((await source.next()).done !== true) signal.throwIfAborted()
  } catch (error) {
    await source.return?.()
    throw error
  } finally {
    closeSync(root)
  }
}

async function applyChange(target: UnpackTarget, change: Change, turns: Turns): Promise<void> {
  if (change.kind === 'whiteout') target.hideLower(change.path)
  else if (change.kind === 'opaque') target.hideLowerContent(change.path)
  else if (change.entry.type === 'directory') await target.makeDirectory(change.entry)
  else if (change.entry.type === 'link') await target.makeHardLink(change.entry)
  else if (change.entry.type === 'file') await writeFile(target, change.entry, change.body(), turns)
  else await target.makeSpecial(change.entry)
}

async function writeFile(
  target: UnpackTarget,
  entry: TocEntry,
  body: AsyncIterable<Buffer>,
  turns: Turns,
): Promise<void> {
  const file = await target.createFile(entry.path)
  try {
    if (entry.size > 0) {
      for await (const chunk of body) {
        writeWhole(file, chunk)
        await turns.did(chunk.length)
      }
    }
    target.setFileMetadata(file, entry)
  } finally {
    closeSync(file)
  }
}

/** A name may be legal and its place still too deep for the kernel, reached through symlinks. */
function explain(change: Change, error: unknown): never {
  if (!isErrno(error, 'ENAMETOOLONG')) throw error
  const path = displayText(change.kind === 'add' ? change.entry.path : change.path)
  throw new OciError('layer-invalid', `Cannot unpack "${path.slice(0, 80)}": the path is too long`, {
    cause: error,
  })
}

/** File calls are synchronous, as one promise per call would cost more than the call: this lets others run between. */
class Turns {
  readonly #signal: AbortSignal
  #changes = 0
  #bytes = 0

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  async did(bytes: number): Promise<void> {
    this.#bytes += bytes
    if (bytes === 0) this.#changes++
    if (this.#bytes < BYTES_PER_TURN && this.#changes < CHANGES_PER_TURN) return
    this.#bytes = 0
    this.#changes = 0
    await setImmediate()
    this.#signal.throwIfAborted()
  }
}

function writeWhole(file: number, chunk: Buffer): void {
  for (let written = 0; written < chunk.length; ) written += writeSync(file, chunk, written)
}

/** The reader may stop at the end of the archive without closing the source. */
function withoutReturn(source: AsyncIterator<Buffer>): AsyncIterable<Buffer> {
  return { [Symbol.asyncIterator]: () => ({ next: () => source.next() }) }
}
