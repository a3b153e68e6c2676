/** Finds what the source words of COPY and ADD select. */
import { type ByteString, byteStringOf, displayText } from '../../oci/byte-string.ts'
import { baseName, joinPath } from '../../oci/path.ts'
import { compileNameMatch, hasWildcard } from '../context/match.ts'
import { BuildError } from '../errors.ts'
import type { FileTree, TreeNode } from '../tree/file-tree.ts'
import { resolvePath } from '../tree/resolve.ts'
import { pathBelowRoot } from '../tree/walk.ts'
import type { CopyOrigin, CopySource } from './copy-spec.ts'

/** One file or directory to copy. */
export interface Selected {
  /** What it is called in a destination directory: as the source word has it, not the link's target. */
  readonly name: ByteString
  /** In the tree, symlinks followed. */
  readonly path: ByteString
  readonly node: TreeNode
}

export interface SelectedInline {
  readonly name: ByteString
  readonly content: Buffer
}

export type Selection = Selected | SelectedInline

/**
 * What the words select, in their order; the matches of a wildcard in byte order. A wildcard may match nothing; any
 * other word must.
 * @throws BuildError `source-missing`; `dockerfile-invalid` for a malformed wildcard
 */
export async function selectSources(
  sources: readonly CopySource[],
  tree: FileTree,
  origin: CopyOrigin,
): Promise<readonly Selection[]> {
  const selections: Selection[] = []
  for (const source of sources) {
    if (source.kind === 'heredoc') {
      selections.push({ name: inlineName(source.name), content: Buffer.from(source.content, 'utf8') })
      continue
    }
    for (const path of await expandWildcards(tree, byteStringOf(pathBelowRoot(source.path)))) {
      const resolved = await resolvePath(tree, path)
      const node = resolved === undefined ? undefined : await tree.stat(resolved)
      if (resolved === undefined || node === undefined) throw missing(source.path, path, origin)
      selections.push({ name: baseName(path), path: resolved, node })
    }
  }
  return selections
}

/** A delimiter is any word; the file is named by its last part. */
function inlineName(delimiter: string): ByteString {
  const name = baseName(byteStringOf(pathBelowRoot(delimiter)))
  if (name !== '') return name
  throw new BuildError(
    'dockerfile-invalid',
    `Cannot copy heredoc ${JSON.stringify(delimiter)}: no file can have that name`,
  )
}

async function expandWildcards(tree: FileTree, path: ByteString): Promise<readonly ByteString[]> {
  if (!hasWildcard(path)) return [path]
  const segments = path.split('/') as ByteString[]
  const first = segments.findIndex(hasWildcard)
  const start = await resolvePath(tree, segments.slice(0, first).join('/') as ByteString)
  let found: readonly ByteString[] = start === undefined ? [] : [start]
  for (const segment of segments.slice(first)) {
    const matches = compileNameMatch(segment)
    const next: ByteString[] = []
    for (const directory of found) {
      for (const name of await tree.list(directory)) if (matches(name)) next.push(joinPath(directory, name))
    }
    found = next
  }
  return found
}

function missing(word: string, path: ByteString, origin: CopyOrigin): BuildError {
  const isIgnored = origin.kind === 'context' && origin.tree.isIgnored?.(path) === true
  const place = origin.kind === 'context' ? 'the build context' : 'the stage or image that --from names'
  return new BuildError(
    'source-missing',
    `Cannot copy ${JSON.stringify(word)}: not found in ${place}`,
    isIgnored ? { hint: `.dockerignore excludes "${displayText(path)}"` } : {},
  )
}
