import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { CodedError, isErrno, OciError } from '../../oci/errors.ts'
import { LAYOUT_FILE } from '../../oci/image-layout.ts'
import { decompress, detectCompression } from '../../oci/layer/decompression.ts'
import { withinRatio } from '../../oci/layer/ratio.ts'
import type { ArchiveLimits } from '../../oci/limits.ts'
import { storeErrorFrom } from '../errors.ts'
import { DOCKER_MANIFEST_FILE, readDockerArchive } from './docker-archive.ts'
import type { ImageArchive } from './image-archive.ts'
import { readOciArchive } from './oci-archive.ts'
import { openOciLayout } from './oci-layout.ts'
import { openTarIndex, type TarIndex } from './tar-index.ts'

export interface OpenArchiveOptions {
  /** A file, a directory in OCI layout, or a stream such as standard input. */
  readonly from: string | AsyncIterable<Uint8Array>
  /** Where a stream, or what a compressed file holds, is kept while the archive is open. Made if absent. */
  readonly temporaryDirectory: string
  readonly signal: AbortSignal
  /** For archives in xz and bzip2, which are refused without it. */
  readonly decompressWith?: Decompress
  /** Of what a compressed file holds. */
  readonly limits?: Partial<ArchiveLimits>
}

export type Decompress = (
  program: 'xz' | 'bzip2',
  source: AsyncIterable<Uint8Array>,
) => AsyncIterable<Uint8Array>

/**
 * Opens whatever `save` of docker, podman, skopeo or us wrote, plain or compressed. Where an archive is in both
 * formats, docker's counts: its OCI index may list platforms that were not saved.
 * @throws OciError `tar-invalid`, `layout-invalid`, `layer-invalid` (corrupt compression), ...; StoreError
 */
export async function openImageArchive(options: OpenArchiveOptions): Promise<ImageArchive> {
  const { from, signal } = options
  if (typeof from === 'string' && (await isDirectory(from))) return openOciLayout(from)
  const spooled = await spool(options)
  try {
    const file = spooled?.path ?? String(from)
    const archive = await openTarArchive(file, index => readEither(index, signal), signal)
    return { ...archive, [Symbol.asyncDispose]: () => disposeBoth(archive, spooled) }
  } catch (error) {
    await spooled?.[Symbol.asyncDispose]()
    throw error
  }
}

/**
 * Opens a plain tar file that is known to be of one format.
 * @param read takes the tar over, unless it throws
 */
export async function openTarArchive(
  file: string,
  read: (index: TarIndex) => Promise<ImageArchive>,
  signal: AbortSignal,
): Promise<ImageArchive> {
  const index = await openTarIndex(file, signal)
  try {
    return await read(index)
  } catch (error) {
    await index[Symbol.asyncDispose]()
    throw error
  }
}

async function disposeBoth(archive: ImageArchive, spooled: Spooled | undefined): Promise<void> {
  await archive[Symbol.asyncDispose]()
  await spooled?.[Symbol.asyncDispose]()
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    if (isErrno(error, 'ENOENT'))
      throw new OciError('content-missing', `Cannot read ${path}: there is no such file`, { cause: error })
    throw storeErrorFrom(error, `Cannot read ${path}`)
  }
}

async function readEither(index: TarIndex, signal: AbortSignal): Promise<ImageArchive> {
  if (index.size(DOCKER_MANIFEST_FILE) !== undefined) return readDockerArchive(index, signal)
  if (index.size(LAYOUT_FILE) !== undefined) return readOciArchive(index)
  throw new OciError(
    'layout-invalid',
    'Cannot read archive: it is neither a docker archive nor an OCI archive',
    {
      hint: 'a tar of a root filesystem becomes an image with: slipway import',
    },
  )
}

/** A file of ours without a name, so that a process that is killed leaves nothing. Disposing lets it go. */
interface Spooled extends AsyncDisposable {
  /** By which this process alone can open it. */
  readonly path: string
}

/** A plain tar of ours; undefined when the file can be read where it is. */
async function spool(options: OpenArchiveOptions): Promise<Spooled | undefined> {
  const { from, temporaryDirectory, signal } = options
  if (typeof from !== 'string') {
    const raw = await writeSpool(from, temporaryDirectory, signal)
    try {
      const plain = await spool({ ...options, from: raw.path })
      if (plain === undefined) return raw
      await raw[Symbol.asyncDispose]()
      return plain
    } catch (error) {
      await raw[Symbol.asyncDispose]()
      throw error
    }
  }
  const compression = detectCompression(await readHead(from))
  if (compression === 'none') return undefined
  const compressed = createReadStream(from, { highWaterMark: 1024 * 1024 })
  try {
    const plain =
      compression === 'gzip' || compression === 'zstd'
        ? decompress(compressed, compression, options.limits)
        : unpackedBy(compression, compressed, options)
    if (plain === undefined)
      throw new OciError('layout-invalid', `Cannot read ${from}: it is compressed by ${compression}`)
    return await writeSpool(plain, temporaryDirectory, signal)
  } finally {
    compressed.destroy()
  }
}

function unpackedBy(
  program: 'xz' | 'bzip2',
  source: AsyncIterable<Uint8Array>,
  { decompressWith, limits }: OpenArchiveOptions,
): AsyncIterable<Uint8Array> | undefined {
  return decompressWith && withinRatio(source, program, from => decompressWith(program, from), limits)
}

async function readHead(file: string): Promise<Uint8Array> {
  try {
    await using handle = await open(file, 'r')
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(6), position: 0 })
    return buffer.subarray(0, bytesRead)
  } catch (error) {
    throw storeErrorFrom(error, `Cannot read ${file}`)
  }
}

async function writeSpool(
  source: AsyncIterable<Uint8Array>,
  directory: string,
  signal: AbortSignal,
): Promise<Spooled> {
  const path = join(directory, `archive-${randomUUID()}`)
  let file: FileHandle | undefined
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const opened = await open(path, 'wx', 0o600)
    file = opened
    await unlink(path)
    // Each write goes on where the last one ended.
    const writeAll = async (chunks: AsyncIterable<Uint8Array>): Promise<void> => {
      for await (const chunk of chunks) await opened.writeFile(chunk)
    }
    await pipeline(source, writeAll, { signal })
    return spooledFile(opened)
  } catch (error) {
    await file?.close()
    signal.throwIfAborted()
    throw error instanceof CodedError ? error : storeErrorFrom(error, `Cannot write ${path}`)
  }
}

function spooledFile(file: FileHandle): Spooled {
  return { path: `/proc/self/fd/${file.fd}`, [Symbol.asyncDispose]: () => file.close() }
}
