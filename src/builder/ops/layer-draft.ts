/**
 * A layer in the making: what a step adds to a root filesystem, seen together with it. Paths are resolved over the
 * draft, so that a later source of one COPY sees what an earlier one made.
 *
 * Nothing is ever deleted but by replacing, which a layer says by naming the path again. Only a directory that takes
 * the place of a file that took the place of a directory needs more: it is opaque.
 */
import type { Readable } from 'node:stream'
import { type ByteString, compareByteStrings, displayText } from '../../oci/byte-string.ts'
import { freed } from '../../oci/chunks.ts'
import { isReservedName, opaqueWhiteoutEntry } from '../../oci/layer/whiteout.ts'
import { baseName, parentPath } from '../../oci/path.ts'
import type { TarEntry } from '../../oci/tar/entry.ts'
import type { TarItem } from '../../oci/tar/writer.ts'
import { BuildError } from '../errors.ts'
import type { FileTree, TreeNode } from '../tree/file-tree.ts'

/** Where the bytes of a file come from when the layer is written. A stream's chunks are nobody else's: each is given back. */
export type Content =
  | { readonly tree: FileTree; readonly path: ByteString }
  | { open(): Promise<Buffer | Readable> }

interface Staged {
  readonly node: TreeNode
  readonly content: Content | undefined
  /** A directory that hides what the root has below this path. */
  readonly opaque: boolean
}

export class LayerDraft implements Pick<FileTree, 'stat'> {
  readonly #root: FileTree
  readonly #staged = new Map<ByteString, Staged>()
  #identities = 0

  constructor(root: FileTree) {
    this.#root = root
  }

  async stat(path: ByteString): Promise<TreeNode | undefined> {
    return this.#staged.get(path)?.node ?? (this.#isHidden(path) ? undefined : await this.#root.stat(path))
  }

  /** True for what this layer says something about. */
  has(path: ByteString): boolean {
    return this.#staged.has(path)
  }

  /**
   * Puts a node in the place of what is there. A directory over a directory keeps its files, and the extended
   * attributes that the new one does not set. The parent must be a directory of the draft.
   * @throws BuildError `copy-conflict` for a name that means a deletion in a layer
   */
  async put(path: ByteString, node: TreeNode, content?: Content): Promise<void> {
    if (isReservedName(baseName(path)))
      throw new BuildError(
        'copy-conflict',
        `Cannot add "/${displayText(path)}": in a layer, a name that begins with ".wh." means a deletion`,
      )
    const before = await this.stat(path)
    if (node.type === 'directory' && before?.type === 'directory') {
      const xattrs = new Map([...(before.xattrs ?? []), ...(node.xattrs ?? [])])
      const opaque = this.#staged.get(path)?.opaque ?? false
      this.#staged.set(path, { node: { ...node, ...(xattrs.size > 0 && { xattrs }) }, content, opaque })
      return
    }
    if (before?.type === 'directory') this.#dropBelow(path)
    const opaque =
      node.type === 'directory' &&
      before !== undefined &&
      !this.#isHidden(path) &&
      (await this.#root.stat(path))?.type === 'directory'
    this.#staged.set(path, { node, content, opaque })
  }

  /**
   * Makes `path` another name of the file at `target`, which keeps its own. A file of the root is copied into the
   * layer: hard links do not span layers.
   */
  async link(path: ByteString, target: ByteString): Promise<void> {
    if (path === target) return
    const node = await this.stat(target)
    if (node === undefined) throw new Error(`Cannot link to ${target}: it is not there`)
    const staged = this.#staged.get(target)
    const identity =
      staged === undefined
        ? `root:${node.identity ?? target}`
        : (node.identity ?? `layer:${this.#identities++}`)
    const linked = { ...node, identity }
    if (staged !== undefined) this.#staged.set(target, { ...staged, node: linked })
    await this.put(path, linked, staged?.content ?? { tree: this.#root, path: target })
  }

  /**
   * What to write, in byte order; of several names of one file the first carries the content. With the directories on
   * the way to it: Docker unpacks a layer on its own, and gives directories that the layer does not name mode 0755.
   */
  async *items(signal: AbortSignal): AsyncGenerator<TarItem, void, undefined> {
    const passed = await this.#passedDirectories()
    const paths = [...this.#staged.keys(), ...passed.keys()].sort(compareByteStrings)
    const firstNames = new Map<string, ByteString>()
    for (const path of paths) {
      const identity = this.#staged.get(path)?.node.identity
      if (identity !== undefined && !firstNames.has(identity)) firstNames.set(identity, path)
    }
    await this.#prepare(signal)
    for (const path of paths) {
      signal.throwIfAborted()
      const directory = passed.get(path)
      if (directory !== undefined) yield { entry: entryOf(path, directory) }
      const staged = this.#staged.get(path)
      if (staged === undefined) continue
      const first = staged.node.identity === undefined ? path : (firstNames.get(staged.node.identity) ?? path)
      if (first !== path) {
        yield { entry: { ...entryOf(path, staged.node), type: 'link', size: 0, linkPath: first } }
        continue
      }
      yield await itemOf(path, staged)
      if (staged.opaque) yield { entry: opaqueWhiteoutEntry(path) }
    }
  }

  /** Directories of the root that the layer puts something into, and says nothing else about. */
  async #passedDirectories(): Promise<ReadonlyMap<ByteString, TreeNode>> {
    const passed = new Map<ByteString, TreeNode>()
    for (const path of this.#staged.keys()) {
      for (let at = parentPath(path); at !== '' && !passed.has(at); at = parentPath(at)) {
        const node = this.#staged.has(at) ? undefined : await this.#root.stat(at)
        if (node !== undefined) passed.set(at, node)
      }
    }
    return passed
  }

  async #prepare(signal: AbortSignal): Promise<void> {
    const wanted = new Map<FileTree, ByteString[]>()
    for (const { content } of this.#staged.values()) {
      if (content === undefined || !('tree' in content)) continue
      const paths = wanted.get(content.tree)
      if (paths === undefined) wanted.set(content.tree, [content.path])
      else paths.push(content.path)
    }
    for (const [tree, paths] of wanted) await tree.prepare(paths, signal)
  }

  #isHidden(path: ByteString): boolean {
    for (let at = path; at !== ''; ) {
      at = parentPath(at)
      const staged = this.#staged.get(at)
      if (staged !== undefined && (staged.node.type !== 'directory' || staged.opaque)) return true
    }
    return false
  }

  #dropBelow(path: ByteString): void {
    const prefix = `${path}/`
    for (const staged of this.#staged.keys()) if (staged.startsWith(prefix)) this.#staged.delete(staged)
  }
}

async function itemOf(path: ByteString, { node, content }: Staged): Promise<TarItem> {
  const entry = entryOf(path, node)
  if (node.type !== 'file' || node.size === 0 || content === undefined) return { entry }
  const body = await ('tree' in content ? content.tree.open(content.path) : content.open())
  return { entry, body: body instanceof Uint8Array ? body : freed(body) }
}

function entryOf(path: ByteString, node: TreeNode): TarEntry {
  const { identity: _, mtimeNanoseconds: __, xattrs, ...rest } = node
  const kept = new Map([...(xattrs ?? [])].filter(([name]) => !name.startsWith('trusted.overlay.')))
  return { ...rest, path, ...(kept.size > 0 && { xattrs: kept }) }
}
