/** Where COPY and ADD put things: the rules of BuildKit's file operations, over a draft of the layer. */
import { type ByteString, displayText } from '../../oci/byte-string.ts'
import type { ArchiveLimits } from '../../oci/limits.ts'
import { joinPath, parentPath } from '../../oci/path.ts'
import type { ModeChange } from '../dockerfile/chmod.ts'
import { BuildError } from '../errors.ts'
import type { FileTree, TreeNode } from '../tree/file-tree.ts'
import { resolvePath } from '../tree/resolve.ts'
import type { Spool } from '../tree/spool.ts'
import type { Destination } from './destination.ts'
import type { Content, LayerDraft } from './layer-draft.ts'
import type { Selected } from './sources.ts'
import { walkSelected } from './walk-selected.ts'

/** What COPY makes of the metadata of files and of the directories that it creates. */
export interface Dress {
  readonly owner?: { readonly uid: number; readonly gid: number }
  readonly chmod?: ModeChange
  /** Of directories that it creates, in seconds. */
  readonly createdAt: number
}

/** One COPY or ADD under way. */
export interface Placing {
  readonly draft: LayerDraft
  /** What it copies from. */
  readonly tree: FileTree
  readonly destination: Destination
  readonly dress: Dress
  /** For contents that are in no tree. */
  readonly spool: Spool
  readonly signal: AbortSignal
  /** Of archives that ADD unpacks. */
  readonly archiveLimits?: Partial<ArchiveLimits>
}

/** Copies a file into or onto the destination, or the contents of a directory into it. @throws BuildError `copy-conflict` */
export async function placeSelected(placing: Placing, selected: Selected): Promise<void> {
  const { draft, tree, destination, dress, signal } = placing
  const { name, path, node } = selected
  if (node.type !== 'directory') return placeFile(placing, name, dressed(node, dress), { tree, path })
  const target = await openDestination(draft, destination, dress)
  const existing = await draft.stat(target)
  if (existing === undefined) await makeDirectories(draft, target, dress)
  else if (existing.type !== 'directory') throw notADirectory(target)
  const top = draft.has(target) ? await draft.stat(target) : undefined
  if (top !== undefined) await draft.put(target, { ...top, mtime: node.mtime })
  for await (const batch of walkSelected(tree, selected, signal)) {
    for (const { relative, path: below, node: child } of batch)
      await placeNode(draft, joinPath(target, relative), dressed(child, dress), { tree, path: below })
  }
}

/** Puts one file (or symlink, device, ...) under its name into a destination that is a directory, else onto it. */
export async function placeFile(
  { draft, destination, dress }: Placing,
  name: ByteString,
  node: TreeNode,
  content: Content,
): Promise<void> {
  const onto = await openDestination(draft, destination, dress)
  const target = (await draft.stat(onto))?.type === 'directory' ? joinPath(onto, name) : onto
  await makeDirectories(draft, parentPath(target), dress)
  await placeNode(draft, target, node, content)
}

/** Creates the levels that are missing: 0755, of the owner that the step gives. @throws BuildError `copy-conflict` */
export async function makeDirectories(draft: LayerDraft, path: ByteString, dress: Dress): Promise<void> {
  for (let slash = path.indexOf('/'); path !== ''; slash = path.indexOf('/', slash + 1)) {
    const level = (slash === -1 ? path : path.slice(0, slash)) as ByteString
    const existing = await draft.stat(level)
    if (existing === undefined) await draft.put(level, createdDirectory(dress))
    else if (existing.type !== 'directory') throw notADirectory(level)
    if (slash === -1) return
  }
}

/** @throws BuildError `copy-conflict` for a path that leads in circles, `dockerfile-invalid` for one that cannot be */
export async function resolveDestination(draft: LayerDraft, path: ByteString): Promise<ByteString> {
  if (path.includes('\0'))
    throw new BuildError(
      'dockerfile-invalid',
      `Cannot write to ${JSON.stringify(`/${displayText(path)}`)}: the path holds a NUL character`,
    )
  const resolved = await resolvePath(draft, path)
  if (resolved !== undefined) return resolved
  throw new BuildError(
    'copy-conflict',
    `Cannot write to "/${displayText(path)}": its symbolic links lead in circles`,
  )
}

/** The destination with its symlinks followed and its parents made; itself too where it must be a directory. */
async function openDestination(
  draft: LayerDraft,
  { path, isDirectory }: Destination,
  dress: Dress,
): Promise<ByteString> {
  const directory = isDirectory ? path : parentPath(path)
  await makeDirectories(draft, await resolveDestination(draft, directory), dress)
  return resolveDestination(draft, path)
}

async function placeNode(
  draft: LayerDraft,
  target: ByteString,
  node: TreeNode,
  content: Content,
): Promise<void> {
  const existing = await draft.stat(target)
  if (existing !== undefined && existing.type !== 'directory' && node.type === 'directory')
    throw notADirectory(target)
  if (existing?.type === 'directory' && node.type !== 'directory')
    throw new BuildError(
      'copy-conflict',
      `Cannot write file "/${displayText(target)}": there is a directory of that name`,
    )
  await draft.put(target, node, node.type === 'file' ? content : undefined)
}

export function dressed(node: TreeNode, { owner, chmod }: Dress): TreeNode {
  const mode = chmod === undefined || node.type === 'symlink' ? node.mode : chmod.change(node.mode, node.type)
  // Most of a million files are as they were, and need not be twice in memory.
  if (owner === undefined && node.identity === undefined && mode === node.mode) return node
  const identity = node.identity === undefined ? {} : { identity: `source:${node.identity}` }
  return { ...node, ...owner, ...identity, mode }
}

/** A numeric `--chmod` applies to created directories too, under a umask of 022; a symbolic one does not (semantics 35). */
function createdDirectory({ owner, chmod, createdAt }: Dress): TreeNode {
  const isNumeric = chmod !== undefined && /^[0-7]+$/.test(chmod.text)
  return {
    type: 'directory',
    mode: isNumeric ? chmod.change(0o755, 'directory') & 0o755 : 0o755,
    uid: owner?.uid ?? 0,
    gid: owner?.gid ?? 0,
    size: 0,
    mtime: createdAt,
  }
}

function notADirectory(path: ByteString): BuildError {
  return new BuildError(
    'copy-conflict',
    `Cannot use "/${displayText(path)}" as a directory: there is a file of that name`,
  )
}
