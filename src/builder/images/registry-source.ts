import type { Descriptor } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import type { GraphSource } from '../../oci/graph.ts'
import type { Reference, Tag } from '../../oci/reference.ts'

/** Registries, as the builder needs them: to find and read base images. `Remote` is one. */
export interface ImageRegistries {
  /** The signal ends every wait of the repository's calls. */
  repository(reference: Reference, options: { readonly signal: AbortSignal }): RegistryRepository
}

export interface RegistryRepository extends GraphSource {
  /** What a tag or digest stands for now; undefined when the registry does not have it. */
  resolve(tagOrDigest: Tag | Digest): Promise<Descriptor | undefined>
}
