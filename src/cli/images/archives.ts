import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { writeFileAtomically } from '../../builder/export/atomic-file.ts'
import { DecompressError, type DecompressProgram, decompressWith } from '../../linux/decompress.ts'
import { OciError } from '../../oci/errors.ts'
import type { Platform } from '../../oci/platform.ts'
import { writeDockerArchive } from '../../store/archive/docker-archive.ts'
import type { ImageArchive, ImagesToWrite } from '../../store/archive/image-archive.ts'
import { writeOciArchive } from '../../store/archive/oci-archive.ts'
import { writeOciLayout } from '../../store/archive/oci-layout.ts'
import { openImageArchive } from '../../store/archive/open-archive.ts'
import type { Session } from '../session.ts'
import { unreadable } from '../system-error.ts'
import type { Terminal } from '../terminal.ts'
import type { FileEnd } from './ends.ts'

/** Opens an archive of any kind, or a directory in OCI layout. The caller disposes it. */
export function openArchive(
  from: string | AsyncIterable<Uint8Array>,
  { store, settings }: Session,
  { signal }: Terminal,
): Promise<ImageArchive> {
  return openImageArchive({
    from,
    temporaryDirectory: join(store.root, 'tmp'),
    signal,
    decompressWith: decompressAny,
    limits: settings.contentLimits,
  })
}

/** A file that a person named, as it is read. */
export async function* readInput(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: 1024 * 1024 })
  } catch (error) {
    throw unreadable(error, path)
  }
}

/** @param platform which image of an index goes into a docker-archive */
export async function writeArchive(
  kind: FileEnd['kind'],
  path: string,
  images: ImagesToWrite,
  platform: Platform,
): Promise<void> {
  if (kind === 'oci') return writeOciLayout({ ...images, directory: path })
  await writeFileAtomically(path, to => writeArchiveTo(kind, to, images, platform))
}

export async function writeArchiveTo(
  kind: Exclude<FileEnd['kind'], 'oci'>,
  to: Writable,
  images: ImagesToWrite,
  platform: Platform,
): Promise<void> {
  if (kind === 'oci-archive') await writeOciArchive({ ...images, to })
  else await writeDockerArchive({ ...images, to, platform })
}

/** xz and bzip2 by their programs. */
export async function* decompressAny(
  program: DecompressProgram,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* decompressWith(program, source)
  } catch (error) {
    if (error instanceof DecompressError) throw new OciError('layer-invalid', error.message, { cause: error })
    throw error
  }
}
