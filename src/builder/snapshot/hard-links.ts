import type { ByteString } from '../../oci/byte-string.ts'
import type { TarItem } from '../../oci/tar/writer.ts'
import { readBody, type UpperFile } from './upper-file.ts'

/**
 * The changed files with several names, on their way into a layer: the first name is the file, the others are links to
 * it. A name that is as it was below is not in the layer, and so nothing links to it (semantics 89).
 */
export class HardLinks {
  readonly #firstNames = new Map<bigint, ByteString>()

  /** @param isApart this name is a file of its own in the layer, to which new names may link */
  itemOf(file: UpperFile, isApart = false): TarItem {
    const first = this.#firstNames.get(file.stats.ino)
    if (first !== undefined && !isApart) return linkTo(first, file)
    if (first === undefined) this.#firstNames.set(file.stats.ino, file.entry.path)
    return itemOf(file)
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
