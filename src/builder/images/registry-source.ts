import type { Descriptor } from '../../oci/descriptor.ts'
import type { GraphSource } from '../../oci/graph.ts'
import type { Reference } from '../../oci/reference.ts'

/** Registries, as the builder needs them: to find and read base images. */
export interface ImageRegistries {
  /** @param reference with its registry filled in */
  repository(reference: Reference): RegistryRepository
}

export interface RegistryRepository extends GraphSource {
  /** What a tag or digest stands for now; undefined when the registry does not have it. */
  resolve(tagOrDigest: string, signal: AbortSignal): Promise<Descriptor | undefined>
}
