import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { DigestVerifier } from '../../oci/digest.ts'
import { CodedError, isErrno, OciError } from '../../oci/errors.ts'
import { copyGraph, type GraphSource, type GraphTarget } from '../../oci/graph.ts'
import {
  blobPath,
  checkLayout,
  INDEX_FILE,
  LAYOUT_FILE,
  layoutBytes,
  layoutIndexBytes,
  type NamedImage,
  parseLayoutIndex,
} from '../../oci/image-layout.ts'
import { storeErrorFrom } from '../errors.ts'
import { makeFolderPath } from '../folder-path.ts'
import type { ImageArchive, ImagesToWrite } from './image-archive.ts'
import { checkSize } from './oci-archive.ts'

/** @throws OciError `layout-invalid`; StoreError when it cannot be read */
export async function openOciLayout(directory: string): Promise<ImageArchive> {
  const images = await readImages(directory)
  if (images === undefined)
    throw new OciError(
      'layout-invalid',
      `Cannot read ${directory}: it is not an OCI layout (no ${LAYOUT_FILE})`,
    )
  return {
    format: 'oci-layout',
    images,
    source: layoutSource(directory),
    [Symbol.asyncDispose]: async () => undefined,
  }
}

/**
 * Adds images to a layout, which is made where there is none or an empty directory. A name moves to the new image;
 * others stay. The index is replaced at once, after all content is there.
 * @throws OciError `layout-invalid` when the directory holds something else; what the source throws; StoreError
 */
export async function writeOciLayout({
  source,
  images,
  directory,
  signal,
}: ImagesToWrite & { readonly directory: string }): Promise<void> {
  try {
    makeFolderPath(resolve(directory))
    const present = (await readImages(directory)) ?? (await makeLayout(directory))
    const target = layoutTarget(directory)
    for (const { descriptor } of images) await copyGraph(source, target, descriptor, { signal })
    await replace(join(directory, INDEX_FILE), layoutIndexBytes(merged(present, images)))
  } catch (error) {
    signal.throwIfAborted()
    throw error instanceof CodedError ? error : storeErrorFrom(error, `Cannot write ${directory}`)
  }
}

/** Names of `added` leave the images that had them; an image that loses its last name goes. */
function merged(present: readonly NamedImage[], added: readonly NamedImage[]): readonly NamedImage[] {
  const taken = new Set(added.flatMap(({ names }) => names))
  const addedDigests = new Set(added.map(({ descriptor }) => descriptor.digest))
  const kept = present
    .map(image => ({ ...image, names: image.names.filter(name => !taken.has(name)) }))
    .filter(({ names, descriptor }, index) => {
      const hadNames = present[index]?.names.length !== 0
      return hadNames ? names.length > 0 : !addedDigests.has(descriptor.digest)
    })
  return [...kept, ...added]
}

/** Undefined where there is no layout. */
async function readImages(directory: string): Promise<readonly NamedImage[] | undefined> {
  try {
    checkLayout(await readFile(join(directory, LAYOUT_FILE)))
    return parseLayoutIndex(await readFile(join(directory, INDEX_FILE)))
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error instanceof CodedError ? error : storeErrorFrom(error, `Cannot read ${directory}`)
  }
}

async function makeLayout(directory: string): Promise<readonly NamedImage[]> {
  const foreign = (await readdir(directory)).filter(name => ![LAYOUT_FILE, 'blobs'].includes(name))
  if (foreign.length > 0)
    throw new OciError(
      'layout-invalid',
      `Cannot write ${directory}: it holds other things than an OCI layout`,
    )
  await replace(join(directory, LAYOUT_FILE), layoutBytes())
  return []
}

function layoutSource(directory: string): GraphSource {
  return {
    async open(descriptor) {
      const handle = await openBlob(join(directory, blobPath(descriptor.digest)))
      try {
        checkSize(descriptor, await regularSize(handle))
      } catch (error) {
        await handle?.close()
        throw error
      }
      if (handle !== undefined) return handle.createReadStream({ highWaterMark: 1024 * 1024 })
      throw new OciError('content-missing', `Cannot read ${descriptor.digest}: it is not in ${directory}`)
    },
  }
}

/** Not waiting, should it be a pipe. Symlinks are followed: some tools link blobs, and what is read is verified. */
async function openBlob(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ENXIO')) return undefined
    throw storeErrorFrom(error, `Cannot read ${path}`)
  }
}

async function regularSize(handle: FileHandle | undefined): Promise<number | undefined> {
  const stat = await handle?.stat()
  return stat?.isFile() ? stat.size : undefined
}

function layoutTarget(directory: string): GraphTarget {
  return {
    async has({ digest, size }) {
      const handle = await openBlob(join(directory, blobPath(digest)))
      try {
        return (await regularSize(handle)) === size
      } finally {
        await handle?.close()
      }
    },
    async write({ digest, size }, source, signal) {
      const path = join(directory, blobPath(digest))
      await mkdir(dirname(path), { recursive: true })
      await publish(path, file => {
        const verified = Readable.from(source).compose(new DigestVerifier({ digest, size }))
        return file.writeFile(verified, { signal })
      })
    },
  }
}

function replace(path: string, bytes: Uint8Array): Promise<void> {
  return publish(path, file => file.writeFile(bytes))
}

/** Writes beside the path, and renames when all is on disk. */
async function publish(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const temporary = join(dirname(path), `.${randomUUID()}.partial`)
  const file = await open(temporary, 'wx', 0o644)
  try {
    await write(file)
    await file.sync()
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  } finally {
    await file.close()
  }
}
