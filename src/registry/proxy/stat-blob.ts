import type { BlobInfo } from '../../oci/content.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Asking } from './asking.ts'
import { upstreamError } from './failures.ts'
import { createSingleFlight } from './single-flight.ts'
import type { Upstream } from './upstreams.ts'

/** Undefined when the upstream's repository has no such blob. @throws RegistryError for an upstream that fails */
export type StatUpstreamBlob = (upstream: Upstream, digest: Digest) => Promise<BlobInfo | undefined>

export function createStatUpstreamBlob(asking: Asking): StatUpstreamBlob {
  const once = createSingleFlight<BlobInfo | undefined>()
  return (upstream, digest) =>
    once(`${upstream.name}@${digest}`, async () => {
      try {
        return await asking.ask(upstream, digest, repository => repository.statBlob(digest))
      } catch (error) {
        throw upstreamError(error, upstream.host, 'blob-unknown')
      }
    })
}
