import type { Writable } from 'node:stream'
import type { Descriptor } from '../../oci/descriptor.ts'
import { OciError } from '../../oci/errors.ts'
import type { GraphSource } from '../../oci/graph.ts'
import {
  blobPath,
  checkLayout,
  INDEX_FILE,
  LAYOUT_FILE,
  layoutBytes,
  layoutIndexBytes,
  parseLayoutIndex,
} from '../../oci/image-layout.ts'
import { MAX_MANIFEST_BYTES } from '../../oci/manifest.ts'
import { blobMember, bytesMember, writeEnvelope } from './envelope.ts'
import type { ImageArchive, ImagesToWrite } from './image-archive.ts'
import { listGraph } from './list-graph.ts'
import type { TarIndex } from './tar-index.ts'

/**
 * Writes an OCI image layout as a tar: every image whole, each blob once, verified on the way.
 * @param to is neither ended nor closed
 */
export async function writeOciArchive({
  source,
  images,
  to,
  signal,
}: ImagesToWrite & { readonly to: Writable }): Promise<void> {
  const roots = images.map(({ descriptor }) => descriptor)
  const blobs = (await listGraph(source, roots, signal)).map(node => blobMember(source, node))
  const documents = [
    bytesMember(LAYOUT_FILE, layoutBytes()),
    bytesMember(INDEX_FILE, layoutIndexBytes(images)),
  ]
  await writeEnvelope([...blobs, ...documents], to, signal)
}

/**
 * @param index is closed by the archive
 * @throws OciError `layout-invalid`, `manifest-invalid`, `descriptor-invalid`, `content-missing`
 */
export async function readOciArchive(index: TarIndex): Promise<ImageArchive> {
  checkLayout(await index.read(LAYOUT_FILE, MAX_MANIFEST_BYTES))
  return {
    format: 'oci-archive',
    images: parseLayoutIndex(await index.read(INDEX_FILE, MAX_MANIFEST_BYTES)),
    source: archiveSource(index),
    [Symbol.asyncDispose]: () => index[Symbol.asyncDispose](),
  }
}

function archiveSource(index: TarIndex): GraphSource {
  return {
    async open(descriptor) {
      const path = blobPath(descriptor.digest)
      checkSize(descriptor, index.size(path))
      return index.open(path)
    },
  }
}

/** @throws OciError `content-missing`, `size-mismatch` */
export function checkSize({ digest, size }: Descriptor, got: number | undefined): void {
  if (got === undefined)
    throw new OciError('content-missing', `Cannot read ${digest}: it is not in the archive`, {
      detail: [digest],
    })
  if (got !== size)
    throw new OciError('size-mismatch', `Cannot read ${digest}: want ${size} bytes, got ${got}`)
}
