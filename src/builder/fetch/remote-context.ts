/** Build contexts that are elsewhere: a Git repository, or what is at a URL. */
import { Readable } from 'node:stream'
import { type ByteString, byteStringOf } from '../../oci/byte-string.ts'
import type { Limits } from '../../oci/limits.ts'
import { displayUrl } from '../../remote/errors.ts'
import { readArchiveContext, sniffContext } from '../context/archive-context.ts'
import { BuildError } from '../errors.ts'
import type { FileTree, TreeNode } from '../tree/file-tree.ts'
import type { OpenTree } from '../tree/image-tree.ts'
import type { Download } from './downloads.ts'
import { parseGitContext } from './git-reference.ts'
import type { Sources } from './sources.ts'

export interface RemoteContext extends AsyncDisposable {
  readonly tree: FileTree
  /** The only file, where it is one that is no archive. */
  readonly file?: ByteString
}

export interface RemoteContextDeps {
  readonly sources: Pick<Sources, 'git' | 'downloads'>
  readonly temporaryDirectory: string
  readonly signal: AbortSignal
  readonly contentLimits?: Partial<Limits>
  /** Of a Git repository whose own text does not ask for it. */
  readonly keepGitDir?: boolean
}

/**
 * No ignore file applies (semantics 59). An archive is known by its content. Any other file is the whole context, with
 * the name `context`, as in BuildKit.
 * @throws BuildError `context-invalid`, and what fetching throws
 */
export async function openRemoteContext(location: string, deps: RemoteContextDeps): Promise<RemoteContext> {
  const { sources, signal } = deps
  const reference = parseGitContext(location)
  if (reference !== undefined) {
    const keepGitDir = reference.keepGitDir || deps.keepGitDir === true
    const tree = await sources.git.open({ ...reference, keepGitDir }, signal)
    return { tree, [Symbol.asyncDispose]: () => Promise.resolve() }
  }
  const url = URL.parse(location)
  if (url === null)
    throw new BuildError(
      'context-invalid',
      `Cannot read build context ${JSON.stringify(location)}: not a URL`,
    )
  const download = await sources.downloads.get(url, 'sha256', signal)
  const content = await download.open()
  const sniffed = await sniffContext(content instanceof Uint8Array ? Readable.from([content]) : content)
  if (!sniffed.isArchive) {
    const file = byteStringOf('context')
    return { tree: fileTree(download, file), file, [Symbol.asyncDispose]: () => Promise.resolve() }
  }
  const tree = await readNamed(url, () => readArchiveContext(sniffed, deps))
  return { tree, [Symbol.asyncDispose]: () => tree[Symbol.asyncDispose]() }
}

async function readNamed(url: URL, read: () => Promise<OpenTree>): Promise<OpenTree> {
  try {
    return await read()
  } catch (error) {
    if (!(error instanceof BuildError) || error.code !== 'context-invalid') throw error
    const problem = error.message.replace(/^Cannot read build context: /, '')
    throw new BuildError('context-invalid', `Cannot read build context ${displayUrl(url)}: ${problem}`, {
      cause: error,
    })
  }
}

const ROOT: TreeNode = { type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0 }

/** As ADD of the URL would leave it. */
function fileTree(download: Download, name: ByteString): FileTree {
  const { size, mtime = 0 } = download
  const file: TreeNode = { type: 'file', mode: 0o600, uid: 0, gid: 0, size, mtime }
  return {
    stat: async path => (path === '' ? { ...ROOT, mtime } : path === name ? file : undefined),
    list: async path => (path === '' ? [name] : []),
    digest: async () => download.digest,
    prepare: async () => undefined,
    open: () => download.open(),
  }
}
