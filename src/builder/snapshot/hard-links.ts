import type { ByteString } from '../../oci/byte-string.ts'
import type { TarItem } from '../../oci/tar/writer.ts'
import { readBody, type UpperFile } from './upper-file.ts'

interface LinkedFile {
  /** The name in the layer that the others are links to. */
  first: ByteString | undefined
  /** A name that so far need not be in the layer. */
  held: UpperFile | undefined
}

/**
 * The files with several names, on their way into a layer. Two names are one file only where one layer holds both: a
 * name that is as it was below comes along when another name of its file is in the layer.
 */
export class HardLinks {
  readonly #files = new Map<bigint, LinkedFile>()

  /** What the layer needs because of this name: nothing, the name itself, or also the one that was held back. */
  add(file: UpperFile, unchanged: boolean): readonly TarItem[] {
    const linked = this.#of(file)
    const { first, held } = linked
    if (first !== undefined) return [linkTo(first, file)]
    if (unchanged && held === undefined) {
      linked.held = file
      return []
    }
    const { path } = (held ?? file).entry
    linked.first = path
    return held === undefined ? [itemOf(file)] : [itemOf(held), linkTo(path, file)]
  }

  #of({ stats }: UpperFile): LinkedFile {
    const known = this.#files.get(stats.ino)
    if (known !== undefined) return known
    const linked: LinkedFile = { first: undefined, held: undefined }
    this.#files.set(stats.ino, linked)
    return linked
  }
}

/** The file under its own name. */
export function itemOf(file: UpperFile): TarItem {
  return file.entry.size === 0 ? { entry: file.entry } : { entry: file.entry, body: readBody(file) }
}

function linkTo(first: ByteString, { entry }: UpperFile): TarItem {
  const { xattrs: _xattrs, deviceMajor: _major, deviceMinor: _minor, ...rest } = entry
  return { entry: { ...rest, type: 'link', linkPath: first, size: 0 } }
}
