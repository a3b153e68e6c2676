/** The files of one image, or of several: then each platform has a folder of its own, or all share one. */
import { join } from 'node:path'
import { type ByteString, byteStringOf } from '../../oci/byte-string.ts'
import { formatPlatform, type Platform } from '../../oci/platform.ts'
import type { TarItem } from '../../oci/tar/writer.ts'
import { BuildError } from '../errors.ts'
import type { OpContext, Result } from '../solve/vertex.ts'
import type { FileTree } from '../tree/file-tree.ts'
import type { OpenTree } from '../tree/image-tree.ts'
import { withOneTime } from '../tree/one-time.ts'
import type { Output } from './output.ts'
import { exportToDirectory, exportToTar } from './root-output.ts'
import { rootfsItems } from './rootfs.ts'

interface PlatformRoot {
  readonly platform: Platform
  readonly result: Result
  /** The time of every file, as for BuildKit, in seconds since the epoch. */
  readonly sourceDateEpoch?: number
}

interface RootsDeps {
  openTree(result: Result, signal: AbortSignal): Promise<OpenTree>
}

export async function exportRoots(
  { images, isIndex }: { readonly images: readonly PlatformRoot[]; readonly isIndex: boolean },
  output: Extract<Output, { type: 'local' | 'tar' }>,
  deps: RootsDeps,
  { signal, status }: Pick<OpContext, 'signal' | 'status'>,
): Promise<void> {
  const isSplit = output.split ?? isIndex
  await using trees = new AsyncDisposableStack()
  const roots: (PlatformRoot & { readonly tree: FileTree })[] = []
  for (const image of images) {
    const tree = trees.use(await deps.openTree(image.result, signal))
    const time = image.sourceDateEpoch
    roots.push({ ...image, tree: time === undefined ? tree : withOneTime(tree, time) })
  }
  if (!isSplit) await refuseConflicts(roots, signal)
  if (output.type === 'tar') {
    const items = roots.map(({ platform, tree }) =>
      isSplit ? itemsBelow(platformFolder(platform), tree, signal) : rootfsItems(tree, signal),
    )
    return await exportToTar(concatenated(items), output.dest, signal)
  }
  for (const { platform, tree } of roots)
    await exportToDirectory(
      tree,
      isSplit ? join(output.dest, platformFolder(platform)) : output.dest,
      signal,
      status,
    )
}

async function* itemsBelow(folder: string, tree: FileTree, signal: AbortSignal): AsyncGenerator<TarItem> {
  const root = await tree.stat('' as ByteString)
  const { mode = 0o755, uid = 0, gid = 0, mtime = 0 } = root ?? {}
  yield { entry: { type: 'directory', path: byteStringOf(folder), mode, uid, gid, size: 0, mtime } }
  for await (const item of rootfsItems(tree, signal)) {
    const { path, linkPath, type } = item.entry
    yield {
      ...item,
      entry: {
        ...item.entry,
        path: below(folder, path),
        // Of a hard link it is a path of the archive, of a symlink any text.
        ...(linkPath !== undefined && { linkPath: type === 'link' ? below(folder, linkPath) : linkPath }),
      },
    }
  }
}

/** `linux_arm_v7` */
function platformFolder(platform: Platform): string {
  return formatPlatform(platform).replaceAll('/', '_')
}

function below(folder: string, path: ByteString): ByteString {
  return `${folder}/${path}` as ByteString
}

async function* concatenated(parts: readonly AsyncIterable<TarItem>[]): AsyncGenerator<TarItem> {
  for (const part of parts) yield* part
}

/** In one folder only one platform can have a file of a name. */
async function refuseConflicts(
  roots: readonly (PlatformRoot & { readonly tree: FileTree })[],
  signal: AbortSignal,
): Promise<void> {
  const owners = new Map<ByteString, { readonly platform: string; readonly isDirectory: boolean }>()
  for (const { platform, tree } of roots.length > 1 ? roots : []) {
    const stack: ByteString[] = [...(await tree.list('' as ByteString))]
    for (let path = stack.pop(); path !== undefined; path = stack.pop()) {
      signal.throwIfAborted()
      const isDirectory = (await tree.stat(path))?.type === 'directory'
      const owner = owners.get(path)
      if (owner !== undefined && !(owner.isDirectory && isDirectory))
        throw new BuildError(
          'export-failed',
          `Cannot write /${path} of ${formatPlatform(platform)}: ${owner.platform} has it too`,
          { hint: 'without platform-split=false each platform has a folder of its own' },
        )
      owners.set(path, { platform: formatPlatform(platform), isDirectory })
      if (isDirectory) for (const name of await tree.list(path)) stack.push(`${path}/${name}` as ByteString)
    }
  }
}
