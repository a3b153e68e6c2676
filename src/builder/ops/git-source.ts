/** ADD of a Git repository: the files of one commit (semantics 52). */
import type { ByteString } from '../../oci/byte-string.ts'
import type { GitReference } from '../fetch/git-reference.ts'
import { type GitSources, wantedOf } from '../fetch/git-sources.ts'
import type { CacheKey } from '../solve/vertex.ts'
import type { TreeNode } from '../tree/file-tree.ts'
import type { PathFilter } from './path-filter.ts'

export interface SelectedGit {
  readonly git: GitReference
  /** Of what lies in the repository. */
  readonly filter?: PathFilter
}

/** The commit is found anew in every build; nothing of it is fetched for the key. */
export async function gitParts(
  { git }: SelectedGit,
  sources: Pick<GitSources, 'resolve'>,
  signal: AbortSignal,
): Promise<CacheKey['parts']> {
  const commit = await sources.resolve(git, signal)
  return [
    ['source', 'Git repository'],
    ['commit', commit.id],
    ['wanted of the commit', wantedOf(git, commit)],
  ]
}

/** What is selected, as a directory of a tree. */
export async function openSelectedGit(
  { git, filter }: SelectedGit,
  sources: Pick<GitSources, 'open'>,
  signal: AbortSignal,
) {
  const tree = await sources.open(git, signal)
  const node = (await tree.stat(ROOT)) ?? EMPTY
  return { tree, selected: { name: ROOT, path: ROOT, node, ...(filter && { filter }) } }
}

const ROOT = '' as ByteString
const EMPTY: TreeNode = { type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0 }
