import type { ByteString } from '../../oci/byte-string.ts'
import type { TarItem } from '../../oci/tar/writer.ts'
import type { FileTree } from '../tree/file-tree.ts'

interface Found {
  readonly path: ByteString
  /** The first name of the same file, where this is another. */
  readonly linkPath?: ByteString
  readonly hasContent: boolean
}

/** The files of a tree as tar items: a directory before its content, names in byte order, without the root itself. */
export async function* rootfsItems(tree: FileTree, signal: AbortSignal): AsyncGenerator<TarItem> {
  const found = await list(tree, signal)
  await tree.prepare(
    found.filter(({ hasContent }) => hasContent).map(({ path }) => path),
    signal,
  )
  for (const { path, linkPath, hasContent } of found) {
    signal.throwIfAborted()
    const node = await tree.stat(path)
    if (node === undefined) continue
    const { identity, ...entry } = node
    if (linkPath !== undefined) yield { entry: { ...entry, path, type: 'link', size: 0, linkPath } }
    else if (hasContent) yield { entry: { ...entry, path }, body: await tree.open(path) }
    else yield { entry: { ...entry, path } }
  }
}

async function list(tree: FileTree, signal: AbortSignal): Promise<readonly Found[]> {
  const found: Found[] = []
  const firstNames = new Map<string, ByteString>()
  const stack = [...(await tree.list('' as ByteString))].reverse()
  for (let path = stack.pop(); path !== undefined; path = stack.pop()) {
    signal.throwIfAborted()
    const node = await tree.stat(path)
    if (node === undefined) continue
    const linkPath = node.identity === undefined ? undefined : firstNames.get(node.identity)
    if (node.identity !== undefined && linkPath === undefined) firstNames.set(node.identity, path)
    const hasContent = node.type === 'file' && node.size > 0 && linkPath === undefined
    found.push({ path, hasContent, ...(linkPath !== undefined && { linkPath }) })
    if (node.type !== 'directory') continue
    for (const name of (await tree.list(path)).toReversed()) stack.push(`${path}/${name}` as ByteString)
  }
  return found
}
