import type { BlobInfo } from '../../oci/content.ts'
import type { Digest } from '../../oci/digest.ts'
import { graphSource, readContent, successors } from '../../oci/graph.ts'
import { parseManifest } from '../../oci/manifest.ts'
import type { RepositoryName } from '../../oci/reference.ts'
import type { Database } from '../../store/database.ts'
import { findReferencing } from '../../store/upstream-rows.ts'
import { RegistryError } from '../errors.ts'
import type { RegistryStore } from '../registry-store.ts'
import type { RepositoryBlobs } from '../repository-store.ts'
import type { Downloads } from './downloads.ts'
import type { ProxyUsage } from './proxy-usage.ts'
import type { StatUpstreamBlob } from './stat-blob.ts'
import type { Upstream } from './upstreams.ts'

export interface ProxyBlobsDeps {
  readonly store: RegistryStore
  readonly database: Database
  readonly statUpstream: StatUpstreamBlob
  readonly downloads: Downloads
  readonly usage: ProxyUsage
}

/** The blobs of one upstream's repository. @param cached those that we have of it */
export type WrapBlobs = (upstream: Upstream, cached: RepositoryBlobs) => RepositoryBlobs

export function createWrapBlobs(deps: ProxyBlobsDeps): WrapBlobs {
  const { store, database, statUpstream, downloads, usage } = deps
  const { content, metadata } = store

  /** What a manifest of the repository says of the blob. */
  const findDescribed = async (name: RepositoryName, digest: Digest): Promise<BlobInfo | undefined> => {
    for (const referencing of findReferencing(database, name, digest)) {
      const record = metadata.getManifest(name, referencing)
      if (record === undefined || (await content.stat(referencing)) === undefined) continue
      const bytes = await readContent(graphSource(content), record)
      const described = successors(parseManifest(bytes, record.mediaType)).find(
        child => child.digest === digest,
      )
      if (described !== undefined) return { digest, size: described.size }
    }
    return undefined
  }

  return (upstream, cached) => {
    const { name } = upstream
    /** The size of what is there to be had; a blob that others brought is linked once the upstream shows it too. */
    const stat = async (digest: Digest): Promise<BlobInfo | undefined> => {
      const linked = await cached.stat(digest)
      if (linked !== undefined) return linked
      const stored = await content.stat(digest)
      if (stored === undefined) return (await findDescribed(name, digest)) ?? statUpstream(upstream, digest)
      if ((await statUpstream(upstream, digest)) === undefined) return undefined
      metadata.linkBlob(name, digest)
      return stored
    }
    return {
      stat,
      async open(digest, range) {
        const blob = await stat(digest)
        if (blob === undefined)
          throw new RegistryError('blob-unknown', `Cannot read ${digest}: ${name} has no such blob`)
        const isHit = (await cached.stat(digest)) !== undefined
        usage.served('blob', isHit)
        if (isHit) return cached.open(digest, range)
        return downloads.open(upstream, blob, range)
      },
      delete: digest => cached.delete(digest),
      mount: (digest, from) => cached.mount(digest, from),
    }
  }
}
