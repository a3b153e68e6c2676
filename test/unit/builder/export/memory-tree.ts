import { Readable } from 'node:stream'
import type { FileTree, TreeNode } from '../../../../src/builder/tree/file-tree.ts'
import { type ByteString, byteStringOf } from '../../../../src/oci/byte-string.ts'
import { digestOf } from '../../../../src/oci/digest.ts'

export type Files = Readonly<
  Record<
    string,
    Partial<Omit<TreeNode, 'linkPath'>> & { readonly content?: string | Buffer; readonly link?: string }
  >
>

/** Files in memory, by path; what has neither content nor link nor type is a directory. */
export function memoryTree(files: Files): FileTree & { readonly prepared: readonly string[] } {
  const nodes = new Map<string, { readonly node: TreeNode; readonly bytes: Buffer }>()
  for (const [path, { content, link, ...rest }] of Object.entries(files)) {
    const bytes = Buffer.from(content ?? '')
    const type = content !== undefined ? 'file' : link !== undefined ? 'symlink' : 'directory'
    const node: TreeNode = {
      type,
      mode: type === 'directory' ? 0o755 : type === 'symlink' ? 0o777 : 0o644,
      uid: 0,
      gid: 0,
      size: bytes.length,
      mtime: 1_000,
      ...(link !== undefined && { linkPath: byteStringOf(link) }),
      ...rest,
    }
    nodes.set(byteStringOf(path), { node, bytes })
  }
  const bytesAt = (path: ByteString): Buffer => nodes.get(path)?.bytes ?? Buffer.alloc(0)
  const prepared: string[] = []
  return {
    prepared,
    stat: async path => nodes.get(path)?.node,
    async list(path) {
      const prefix = path === '' ? '' : `${path}/`
      const names = [...nodes.keys()]
        .filter(name => name !== '' && name.startsWith(prefix))
        .map(name => name.slice(prefix.length))
        .filter(name => !name.includes('/'))
      return names.sort((a, b) => (a < b ? -1 : 1)) as ByteString[]
    },
    digest: async path => digestOf(bytesAt(path)),
    async prepare(paths) {
      prepared.push(...paths)
    },
    async open(path) {
      const bytes = bytesAt(path)
      return bytes.length > 20 ? Readable.from([bytes]) : bytes
    },
  }
}
