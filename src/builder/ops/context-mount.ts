/**
 * `RUN --mount=type=bind` of a build context. The step sees a copy: without what is ignored, owned by root, and safe
 * from changes meanwhile. It is no layer, so it costs no more than copying: nobody needs it after the step.
 */
import { type ByteString, byteStringOf } from '../../oci/byte-string.ts'
import { joinPath } from '../../oci/path.ts'
import { writeTar } from '../../oci/tar/writer.ts'
import { BuildError } from '../errors.ts'
import { rootfsItems } from '../export/rootfs.ts'
import type { ContextBindDefinition } from '../plan/op-definition.ts'
import type { ActiveSnapshot, Snapshotter } from '../snapshot/snapshotter.ts'
import type { CacheKey, OpContext } from '../solve/vertex.ts'
import type { FileTree, TreeNode } from '../tree/file-tree.ts'
import { resolvePath } from '../tree/resolve.ts'
import type { CopyOrigin } from './copy-spec.ts'
import { fileParts } from './source-key.ts'

export type ContextTree = Extract<CopyOrigin, { kind: 'context' }>['tree']

/** Where the copy has what is mounted, be it a file or a directory. */
export const MOUNTED = 'context'

/** @throws BuildError `source-missing`; the errors of the tree */
export async function contextParts(
  definition: ContextBindDefinition,
  tree: ContextTree,
  signal: AbortSignal,
): Promise<CacheKey['parts']> {
  return fileParts({ ...(await select(definition, tree)), name: '' as ByteString }, tree, signal)
}

/** A root filesystem that holds the copy at `MOUNTED`. Disposing removes it. */
export async function copyContext(
  definition: ContextBindDefinition,
  tree: ContextTree,
  snapshotter: Pick<Snapshotter, 'prepare'>,
  { signal, status }: Pick<OpContext, 'signal' | 'status'>,
): Promise<ActiveSnapshot> {
  const { path } = await select(definition, tree)
  status(`copying ${definition.source === '' ? 'the build context' : JSON.stringify(definition.source)}`)
  await using undo = new AsyncDisposableStack()
  const copy = undo.use(await snapshotter.prepare(undefined))
  await copy.apply(writeTar(rootfsItems(treeAt(tree, path), signal)), signal)
  undo.move()
  return copy
}

async function select(
  { source }: ContextBindDefinition,
  tree: ContextTree,
): Promise<{ readonly path: ByteString; readonly node: TreeNode }> {
  const path = await resolvePath(tree, byteStringOf(source))
  const node = path === undefined ? undefined : await tree.stat(path)
  if (path !== undefined && node !== undefined) return { path, node }
  const quoted = JSON.stringify(source)
  const isIgnored = tree.isIgnored?.(byteStringOf(source)) === true
  throw new BuildError(
    'source-missing',
    `Cannot mount ${quoted}: not found in the build context`,
    isIgnored ? { hint: `.dockerignore excludes ${quoted}` } : {},
  )
}

/** A tree whose root has nothing but `MOUNTED`, which is the file or directory of another tree. */
function treeAt(tree: FileTree, root: ByteString): FileTree {
  const inside = (path: ByteString) => joinPath(root, path.slice(MOUNTED.length + 1) as ByteString)
  return {
    stat: path => tree.stat(inside(path)),
    list: path => (path === '' ? Promise.resolve([MOUNTED as ByteString]) : tree.list(inside(path))),
    digest: path => tree.digest(inside(path)),
    prepare: (paths, signal) => tree.prepare(paths.map(inside), signal),
    open: path => tree.open(inside(path)),
  }
}
