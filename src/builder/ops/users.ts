import type { FileTree } from '../tree/file-tree.ts'

/** Who a process of the image runs as. */
export interface ResolvedUser {
  readonly uid: number
  readonly gid: number
  readonly additionalGids: readonly number[]
  /** Of the passwd entry; `/` for a user that has none. */
  readonly home: string
}

/**
 * Who `USER` means, by the tree's `/etc/passwd` and `/etc/group`. `text` is the config's `User`: empty (root),
 * `user` or `user:group`, names or numbers.
 * @throws BuildError `user-unknown` for a name that is not there
 */
export async function resolveUser(_tree: FileTree, _text: string): Promise<ResolvedUser> {
  throw new Error('not yet')
}

export interface Owner {
  readonly uid: number
  readonly gid: number
  /** Names that the tree does not know; they count as 0, as BuildKit has it. */
  readonly unknown: readonly string[]
}

/** Whom `--chown=text` means. Reads the tree only for names. */
export async function resolveOwner(_openTree: () => Promise<FileTree>, _text: string): Promise<Owner> {
  throw new Error('not yet')
}
