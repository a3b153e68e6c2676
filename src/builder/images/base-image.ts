import type { ImageConfig } from '../../oci/config.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Platform } from '../../oci/platform.ts'
import type { Reference } from '../../oci/reference.ts'
import type { ResultLayer } from '../solve/vertex.ts'

/** An image to build on, or to copy from. Its layers may still lie in a registry. */
export interface BaseImage {
  /** For people, in full: `docker.io/library/debian:12@sha256:...` */
  readonly name: string
  /** Of the image manifest. */
  readonly digest: Digest
  readonly config: ImageConfig
  readonly layers: readonly ResultLayer[]
}

/**
 * Finds an image by its name.
 * @throws BuildError `image-missing`, `image-unavailable` (a registry that fails), `platform-missing`
 */
export type ResolveImage = (
  reference: Reference,
  platform: Platform,
  signal: AbortSignal,
) => Promise<BaseImage>
