import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/reference.ts'
import { StoreError } from '../store/errors.ts'
import { RegistryError } from './errors.ts'
import type { RegistryStore, RequireOurs } from './registry-store.ts'
import type { RepositoryBlobs } from './repository-store.ts'

/**
 * The blobs that are linked into one repository. Content of the store without a link does not exist here: else
 * whoever guesses a digest could read what was pushed to a repository of others.
 */
export function createRepositoryBlobs(
  { content, metadata }: RegistryStore,
  name: RepositoryName,
  requireOurs: RequireOurs,
): RepositoryBlobs {
  const unlink = (name: RepositoryName, digest: Digest): boolean => {
    try {
      return metadata.unlinkBlob(name, digest)
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'content-in-use')) throw error
      const { message, detail } = error
      throw new RegistryError('blob-in-use', message, { detail, headers: { Allow: 'GET, HEAD' } })
    }
  }

  return {
    async stat(digest) {
      const blob = metadata.findLinkedBlob(name, digest)
      return blob !== undefined && content.hasBytes(blob) ? blob : undefined
    },

    async open(digest, range) {
      if (metadata.isBlobLinked(name, digest)) return content.open(digest, range)
      throw new RegistryError('blob-unknown', `Cannot read ${digest}: ${name} has no such blob`)
    },

    async delete(digest) {
      requireOurs('delete from')
      if (unlink(name, digest)) return
      throw new RegistryError('blob-unknown', `Cannot delete ${digest}: ${name} has no such blob`)
    },

    async mount(digest, from) {
      requireOurs('push to')
      if (!metadata.isBlobLinked(from, digest) || (await content.stat(digest)) === undefined) return false
      metadata.linkBlob(name, digest)
      return true
    },
  }
}
