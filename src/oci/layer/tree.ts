/**
 * The root filesystem that a stack of layers makes, as tables of contents tell it: what unpacking would yield,
 * without unpacking.
 *
 * A layer first hides what its whiteouts and opaque directories name in the layers below (by path: no symlink is
 * followed), then puts its entries in the order of its archive. The directories on the way to an entry are found as an unpacker finds them: symlinks
 * followed inside the root, missing directories made (0755, owned by root). The last part is never followed.
 */
import { type ByteString, displayText } from '../byte-string.ts'
import { OciError } from '../errors.ts'
import { baseName, joinPath, parentPath } from '../path.ts'
import type { LayerToc, TocEntry } from './toc.ts'

/** An entry at its place: `path` is where it is found. Hard links have become the files that they name. */
export interface MergedEntry extends TocEntry {
  readonly type: Exclude<TocEntry['type'], 'link'>
}

export interface MergedNode {
  readonly entry: MergedEntry
  /** Index of the layer that holds the entry and its content. */
  readonly layer: number
  /** Equal for the names of one file, within one tree; absent for a file that was never linked. */
  readonly identity?: string
}

/** Paths are clean; symlinks on the way are not followed. */
export interface MergedTree {
  get(path: ByteString): MergedNode | undefined
  /** Names in a directory, sorted by bytes; none for anything else. */
  children(path: ByteString): readonly ByteString[]
}

/** A tree to which layers are added on top. */
export interface GrowingTree extends MergedTree {
  /**
   * @param layer index, one more than that of the layer before
   * @throws OciError as `mergeTocs`; the tree is of no use then
   */
  add(toc: LayerToc, layer: number): void
}

/** An empty root. */
export function growTree(): GrowingTree {
  return new Merger()
}

/**
 * @param tocs lowest layer first; none make an empty root
 * @throws OciError `layer-invalid` for what no unpacker could do: a path through a file or a loop of symlinks, a hard
 * link to nothing or to a directory; and for trees beyond any honest size
 */
export function mergeTocs(tocs: readonly LayerToc[]): MergedTree {
  const tree = growTree()
  for (const [layer, toc] of tocs.entries()) tree.add(toc, layer)
  return tree
}

/** As many as Linux follows for one path. */
const MAX_SYMLINKS = 40
const MAX_NODES = 2_500_000
/** Of path parts walked for all entries: many entries behind long chains of symlinks must come to an end. */
const MAX_STEPS = 50_000_000

interface Node extends MergedNode {
  entry: MergedEntry
  layer: number
  identity?: string
  /** For directories. */
  readonly children?: Map<string, Node>
}

interface Directory extends Node {
  readonly children: Map<string, Node>
}

class Merger implements GrowingTree {
  readonly #root: Directory = { ...impliedEntry('' as ByteString, 0), children: new Map() }
  #nodes = 0
  #steps = 0
  #identities = 0

  add(toc: LayerToc, layer: number): void {
    for (const path of toc.opaque) this.#get(path)?.children?.clear()
    for (const path of toc.whiteouts) {
      const [parent, name] = splitPath(path)
      this.#get(parent)?.children?.delete(name)
    }
    for (const entry of toc.entries) {
      if (isOwnEntry(entry)) this.#put(entry, layer)
      else this.#link(entry, layer)
    }
  }

  get(path: ByteString): MergedNode | undefined {
    return this.#get(path)
  }

  children(path: ByteString): readonly ByteString[] {
    const names = this.#get(path)?.children?.keys() ?? []
    return ([...names] as ByteString[]).sort()
  }

  #get(path: ByteString): Node | undefined {
    if (path === '') return this.#root
    let node: Node | undefined = this.#root
    for (const name of path.split('/')) node = node?.children?.get(name)
    return node
  }

  #put(entry: MergedEntry, layer: number): void {
    if (entry.path === '') {
      this.#root.entry = entry
      this.#root.layer = layer
      return
    }
    const [parent, name] = splitPath(entry.path)
    const directory = this.#makeDirectory(parent, layer)
    const path = joinPath(directory.entry.path, name)
    const placed = path === entry.path ? entry : { ...entry, path }
    const existing = directory.children.get(name)
    if (entry.type !== 'directory') this.#set(directory, name, { entry: placed, layer })
    else if (existing?.children === undefined)
      this.#set(directory, name, { entry: placed, layer, children: new Map() })
    else {
      existing.entry = placed
      existing.layer = layer
    }
  }

  /** A further name of a file that this layer, or one below, has at this point. */
  #link(entry: TocEntry, layer: number): void {
    const targetPath = entry.linkPath ?? ('' as ByteString)
    const target = this.#find(targetPath)
    if (target === undefined || target.children !== undefined)
      throw invalid(entry.path, `a hard link to "${displayText(targetPath)}", which is not a file`)
    const [parent, name] = splitPath(entry.path)
    const directory = this.#makeDirectory(parent, layer)
    if (directory.children.get(name) === target) return
    target.identity ??= String(++this.#identities)
    const path = joinPath(directory.entry.path, name)
    this.#set(directory, name, {
      entry: { ...target.entry, path },
      layer: target.layer,
      identity: target.identity,
    })
  }

  #set(directory: Directory, name: string, node: Node): void {
    if (++this.#nodes > MAX_NODES) throw invalid(node.entry.path, `the tree has more than ${MAX_NODES} files`)
    directory.children.set(name, node)
  }

  /** The node itself, behind parents that are followed. */
  #find(path: ByteString): Node | undefined {
    if (path === '') return this.#root
    const [parent, name] = splitPath(path)
    return this.#walk(parent)?.children.get(name)
  }

  /** The directory, made where it is missing. */
  #makeDirectory(path: ByteString, layer: number): Directory {
    const directory = this.#walk(path, (parent, name) => {
      const made = { ...impliedEntry(joinPath(parent.entry.path, name), layer), children: new Map() }
      this.#set(parent, name, made)
      return made
    })
    if (directory === undefined) throw invalid(path, 'the path leads through what is not a directory')
    return directory
  }

  /** Undefined where something is missing and not made, or is no directory. */
  #walk(path: ByteString, make?: (parent: Directory, name: string) => Directory): Directory | undefined {
    const pending = path.split('/').reverse()
    const trail: Directory[] = []
    let here = this.#root
    let symlinks = 0
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (++this.#steps > MAX_STEPS) throw invalid(path, 'the paths of the tree are too long')
      if (name === '' || name === '.') continue
      if (name === '..') {
        here = trail.pop() ?? this.#root
        continue
      }
      const next = here.children.get(name) ?? make?.(here, name)
      if (next?.entry.type === 'symlink') {
        if (++symlinks > MAX_SYMLINKS) throw invalid(path, 'the path leads through a loop of symlinks')
        const target = next.entry.linkPath ?? ''
        if (target.startsWith('/')) {
          trail.length = 0
          here = this.#root
        }
        for (const part of target.split('/').reverse()) pending.push(part)
      } else {
        if (next === undefined || !isDirectory(next)) return undefined
        trail.push(here)
        here = next
      }
    }
    return here
  }
}

function isOwnEntry(entry: TocEntry): entry is MergedEntry {
  return entry.type !== 'link'
}

function isDirectory(node: Node): node is Directory {
  return node.children !== undefined
}

function impliedEntry(path: ByteString, layer: number): MergedNode {
  return { entry: { type: 'directory', path, mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0 }, layer }
}

function splitPath(path: ByteString): [parent: ByteString, name: ByteString] {
  return [parentPath(path), baseName(path)]
}

function invalid(path: ByteString, problem: string): OciError {
  return new OciError('layer-invalid', `Cannot merge layers at "${displayText(path)}": ${problem}`)
}
