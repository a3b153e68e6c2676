/**
 * What selected files put into a cache key: everything that the layer takes from them but times. One part per file,
 * so that a changed key can name the file; many files are folded into one part per directory.
 */
import { type ByteString, displayText } from '../../oci/byte-string.ts'
import { type Digest, digestOf } from '../../oci/digest.ts'
import { parentPath } from '../../oci/path.ts'
import type { CacheKey } from '../solve/vertex.ts'
import type { FileTree, TreeNode } from '../tree/file-tree.ts'
import { createCacheKey } from './cache-key.ts'
import type { LayerOpDeps } from './deps.ts'
import { gitParts } from './git-source.ts'
import type { Selected, SelectedInline, Selection } from './sources.ts'
import { downloadSelected, type SelectedUrl } from './url-source.ts'
import { walkSelected } from './walk-selected.ts'

type Part = CacheKey['parts'][number]

const MAX_PARTS = 1000

/** @throws the errors of the tree; the signal's reason */
export async function sourceParts(
  selections: readonly Selection[],
  tree: FileTree,
  { downloads, git }: Pick<LayerOpDeps, 'downloads' | 'git'>,
  signal: AbortSignal,
): Promise<readonly Part[]> {
  const parts: Part[] = []
  const links = new Map<string, string>()
  for (const selection of selections) {
    if ('url' in selection) parts.push(...(await urlParts(selection, downloads, signal)))
    else if ('git' in selection) parts.push(...(await gitParts(selection, git, signal)))
    else parts.push(...(await selectionParts(selection, tree, links, signal)))
  }
  return parts
}

/** The same of one file or directory. */
export function fileParts(
  selection: Selected | SelectedInline,
  tree: FileTree,
  signal: AbortSignal,
): Promise<readonly Part[]> {
  return selectionParts(selection, tree, new Map(), signal)
}

/** A checksum says what the file is without a look at it. */
async function urlParts(
  selected: SelectedUrl,
  downloads: LayerOpDeps['downloads'],
  signal: AbortSignal,
): Promise<readonly Part[]> {
  const { name, checksum, isUnpacked } = selected
  const download = checksum === undefined ? await downloadSelected(selected, downloads, signal) : undefined
  return [
    ['source', isUnpacked ? 'archive of a URL' : 'URL'],
    [partName(name), checksum ?? `${download?.digest} ${download?.mtime ?? 'no time'}`],
  ]
}

async function selectionParts(
  selection: Selected | SelectedInline,
  tree: FileTree,
  links: Map<string, string>,
  signal: AbortSignal,
): Promise<readonly Part[]> {
  if ('content' in selection) {
    const { name, content } = selection
    return [
      ['source', 'heredoc'],
      [partName(name), digestOf(content)],
    ]
  }
  const { name, path, node } = selection
  if (node.type !== 'directory')
    return [
      ['source', 'file'],
      [
        partName(name),
        partValue(name, node, node.type === 'file' ? await tree.digest(path) : undefined, links),
      ],
    ]
  const files: FilePart[] = []
  for await (const batch of walkSelected(tree, selection, signal)) {
    for (const { relative, path: below, node: child } of batch) {
      const found = child.type === 'file' ? tree.digest(below) : undefined
      const digest = found instanceof Promise ? await found : found
      files.push({ path: relative, value: partValue(relative, child, digest, links) })
    }
  }
  return [['source', `directory of ${files.length}`], ...foldParts(files)]
}

interface FilePart {
  /** Below the source directory. */
  readonly path: ByteString
  readonly value: string
}

function foldParts(files: readonly FilePart[]): readonly Part[] {
  if (files.length <= MAX_PARTS) return files.map(({ path, value }) => [partName(path), value])
  const byDirectory = groupBy(files, parentPath)
  if (byDirectory.size <= MAX_PARTS) return groupParts(byDirectory)
  const byTopDirectory = groupBy(files, path => path.split('/', 1)[0] as ByteString)
  return groupParts(byTopDirectory.size <= MAX_PARTS ? byTopDirectory : new Map([['' as ByteString, files]]))
}

function groupBy(
  files: readonly FilePart[],
  group: (path: ByteString) => ByteString,
): ReadonlyMap<ByteString, readonly FilePart[]> {
  return Map.groupBy(files, ({ path }) => group(path))
}

function groupParts(groups: ReadonlyMap<ByteString, readonly FilePart[]>): readonly Part[] {
  return [...groups].map(([directory, files]) => [
    `${partName(directory)}/`,
    createCacheKey(
      'files',
      files.map(({ path, value }) => [partName(path), value]),
    ).digest,
  ])
}

/** A name that is not UTF-8 is told in hex, after a NUL, which no file name holds. */
function partName(path: ByteString): string {
  const text = displayText(path)
  // Of ASCII it is the same text.
  if (text === path) return text
  return Buffer.from(text, 'utf8').toString('latin1') === path
    ? text
    : `\0${Buffer.from(path, 'latin1').toString('hex')}`
}

/** `file 0644 0:0 12 sha256:...`; what may hold anything comes last. */
function partValue(
  path: ByteString,
  node: TreeNode,
  digest: Digest | undefined,
  links: Map<string, string>,
): string {
  const fields = [node.type, `0${node.mode.toString(8)}`, `${node.uid}:${node.gid}`]
  if (digest !== undefined) fields.push(`${node.size}`, digest)
  if (node.deviceMajor !== undefined) fields.push(`device ${node.deviceMajor}:${node.deviceMinor ?? 0}`)
  if (node.xattrs !== undefined) fields.push(`xattrs ${xattrsDigest(node.xattrs)}`)
  if (node.identity !== undefined) {
    const first = links.get(node.identity)
    if (first === undefined) links.set(node.identity, `${links.size} ${JSON.stringify(partName(path))}`)
    else fields.push(`same as ${first}`)
  }
  if (node.linkPath !== undefined) fields.push(`-> ${partName(node.linkPath)}`)
  return fields.join(' ')
}

function xattrsDigest(xattrs: ReadonlyMap<string, Uint8Array>): string {
  const parts = [...xattrs].map(([name, value]): Part => [name, Buffer.from(value).toString('hex')])
  return createCacheKey('xattrs', parts.sort()).digest
}
