import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { ByteString } from '../oci/byte-string.ts'
import { isErrno } from '../oci/errors.ts'
import type { Limits } from '../oci/limits.ts'
import { type IgnoreRules, parseIgnoreFile } from './context/ignore.ts'
import { type LocalContext, openLocalContext } from './context/local-context.ts'
import type { XattrReader } from './context/portable-xattrs.ts'
import { openStatCache, type StatCache } from './context/stat-cache.ts'
import type { FileTree } from './tree/file-tree.ts'

export interface BuildContextOptions {
  readonly directory: string
  /** Of the Dockerfile, where it is on disk. */
  readonly dockerfilePath?: string
  /** Where digests of files are kept between builds. */
  readonly digestDirectory: string
  readonly now: () => number
  readonly contentLimits?: Partial<Limits>
}

/** The directory that COPY and ADD read. Nothing of it is touched before the first question. */
export interface BuildContext {
  readonly tree: FileTree & { isIgnored(path: ByteString): boolean }
  /** Keeps what has been learnt of the files for the next build. */
  save(): Promise<void>
}

export function createBuildContext(options: BuildContextOptions): BuildContext {
  let opening: Promise<LocalContext> | undefined
  let opened: LocalContext | undefined
  let fileDigests: StatCache | undefined

  const open = (): Promise<LocalContext> => {
    opening ??= (async () => {
      const { directory, digestDirectory, now, contentLimits: { contextEntries } = {} } = options
      fileDigests = await openStatCache({ directory: digestDirectory, context: resolve(directory), now })
      const ignore = await readIgnoreFile(options)
      opened = await openLocalContext({
        directory,
        fileDigests,
        loadXattrReader,
        ...(ignore !== undefined && { ignore }),
        ...(contextEntries !== undefined && { contextEntries }),
      })
      return opened
    })()
    return opening
  }
  return {
    tree: {
      // Asked for each file several times: no promise where there is none needed.
      stat: path => (opened ? opened.stat(path) : open().then(context => context.stat(path))),
      list: path => (opened ? opened.list(path) : open().then(context => context.list(path))),
      digest: path => (opened ? opened.digest(path) : open().then(context => context.digest(path))),
      prepare: async (paths, signal) => (await open()).prepare(paths, signal),
      open: path => opened?.open(path) ?? open().then(context => context.open(path)),
      isIgnored: path => opened?.isIgnored(path) ?? false,
    },
    save: async () => fileDigests?.save(),
  }
}

async function loadXattrReader(): Promise<XattrReader> {
  const { tryLoadLinux } = await import('../linux/linux.ts')
  const { readXattrs } = await import('../linux/xattrs.ts')
  const linux = await tryLoadLinux()
  return linux === undefined ? () => new Map() : path => readXattrs(linux, path)
}

/** `<Dockerfile>.dockerignore` beats the one in the context (semantics 56). */
export async function readIgnoreFile(
  options: Pick<BuildContextOptions, 'directory' | 'dockerfilePath'>,
): Promise<IgnoreRules | undefined> {
  const { directory, dockerfilePath } = options
  const own = dockerfilePath === undefined ? [] : [`${dockerfilePath}.dockerignore`]
  for (const path of [...own, join(directory, '.dockerignore')]) {
    const text = await readOptional(path)
    if (text !== undefined) return parseIgnoreFile(text, path)
  }
  return undefined
}

async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}
