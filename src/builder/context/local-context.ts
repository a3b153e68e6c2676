import type { ByteString } from '../../oci/byte-string.ts'
import type { FileTree } from '../tree/file-tree.ts'
import type { IgnoreRules } from './ignore.ts'
import type { StatCache } from './stat-cache.ts'

export interface LocalContextOptions {
  /** As the user named it. */
  readonly directory: string
  readonly ignore?: IgnoreRules
  readonly fileDigests: StatCache
  /** Extended attributes of a file itself, never of a symlink's target; the path is absolute. */
  readonly readXattrs?: (path: Buffer) => ReadonlyMap<string, Uint8Array>
}

export interface LocalContext extends FileTree {
  /** True when the ignore rules are why the tree does not show this path. */
  isIgnored(path: ByteString): boolean
}

/** @throws BuildError `context-invalid` unless the directory can be read */
export async function openLocalContext(_options: LocalContextOptions): Promise<LocalContext> {
  throw new Error('not yet')
}
