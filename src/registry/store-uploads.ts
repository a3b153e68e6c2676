import type { PushedChunks } from '../oci/chunks.ts'
import type { Ingest, IngestID } from '../oci/content.ts'
import { OciError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/reference.ts'
import { eachChunk } from '../store/each-chunk.ts'
import { RegistryError } from './errors.ts'
import { formatUploadRange } from './http-range.ts'
import type { RegistryStore, RequireOurs } from './registry-store.ts'
import type { Chunk, RepositoryUploads } from './repository-store.ts'

/**
 * Uploads are ingests of the store, bound to the repository that began them: nobody goes on with an upload under
 * another name. No state is kept here, so any process may take the next request.
 */
export function createRepositoryUploads(
  { content, metadata }: RegistryStore,
  name: RepositoryName,
  requireOurs: RequireOurs,
): RepositoryUploads {
  const resume = async (id: IngestID): Promise<Ingest> => {
    requireOurs('push to')
    if (metadata.hasUpload(name, id)) return content.resume(id)
    throw new RegistryError('upload-unknown', `Cannot go on with upload ${id}: ${name} has no such upload`)
  }

  return {
    async begin(algorithm) {
      requireOurs('push to')
      await using ingest = await content.begin(algorithm)
      metadata.putUpload(name, ingest.id)
      return { id: ingest.id, offset: ingest.offset }
    },

    async status(id) {
      await using ingest = await resume(id)
      return { id, offset: ingest.offset }
    },

    async append(id, chunk, signal) {
      await using ingest = await resume(id)
      if (chunk.start !== undefined && chunk.start !== ingest.offset) {
        throw new RegistryError(
          'upload-out-of-order',
          `Cannot append to upload ${id}: the chunk starts at ${chunk.start}, the upload is at ${ingest.offset}`,
          {
            detail: { offset: ingest.offset },
            headers: { Location: `/v2/${name}/blobs/uploads/${id}`, Range: formatUploadRange(ingest.offset) },
          },
        )
      }
      return { id, offset: await ingest.append(promised(chunk), signal, chunk.algorithm) }
    },

    async commit(id, digest) {
      await using ingest = await resume(id)
      try {
        const blob = await ingest.commit({ digest })
        metadata.linkBlob(name, digest)
        metadata.deleteUpload(id)
        return blob
      } catch (error) {
        if (error instanceof OciError && error.code === 'digest-mismatch') {
          await ingest.abort()
          metadata.deleteUpload(id)
        }
        throw error
      }
    },

    async cancel(id) {
      await using ingest = await resume(id)
      await ingest.abort()
      metadata.deleteUpload(id)
    },
  }
}

/** The chunk's bytes, held to its length. */
function promised({ source, length }: Chunk): PushedChunks {
  return {
    async pushTo(take, signal) {
      let got = 0
      await eachChunk(source, signal, bytes => {
        got += bytes.length
        if (length !== undefined && got > length) throw lengthMismatch(length, `more than ${length}`)
        return take(bytes)
      })
      if (length !== undefined && got < length) throw lengthMismatch(length, String(got))
    },
  }
}

function lengthMismatch(want: number, got: string): RegistryError {
  return new RegistryError('size-invalid', `Cannot append chunk: want ${want} bytes, got ${got}`)
}
