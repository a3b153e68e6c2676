import type { Digest } from '../../oci/digest.ts'
import type { Compression } from '../../oci/media-type.ts'
import type { Reference, Tag } from '../../oci/reference.ts'

/** Cache mounts that go with a cache: of all steps, or those with these ids. */
export type CacheMountChoice = 'all' | ReadonlySet<string>

/** Where results of other builds are found (`--cache-from`). */
export type CacheSource = {
  readonly cacheMounts?: CacheMountChoice
} /** A cache, or an image that holds one. Without a host it is our own, or else Docker Hub's, as for FROM. */ & (
  | { readonly type: 'registry'; readonly reference: Reference }
  /** A directory in OCI layout, absolute. */
  | {
      readonly type: 'local'
      readonly directory: string
      readonly name: { readonly tag: Tag } | { readonly digest: Digest }
    }
)

/** `min` passes on the layers that are in the image, `max` those of all steps. Of the keys all are passed on. */
export type CacheMode = 'min' | 'max'

/** Where results of this build go (`--cache-to`). */
export type CacheTarget =
  | (ArtifactForm & {
      readonly type: 'registry'
      /** Without a host it is a name of our own store. */
      readonly reference: Reference
    })
  | (ArtifactForm & {
      readonly type: 'local'
      /** Absolute. */
      readonly directory: string
      readonly tag: Tag
    })
  /** Within the config of the image. */
  | { readonly type: 'inline' }

interface ArtifactForm {
  readonly mode: CacheMode
  /** A cache that cannot be written is a warning. */
  readonly ignoresErrors: boolean
  /** Of its layers; as the steps made them by default. */
  readonly compression?: Compression
  readonly compressionLevel?: number
  /** None by default. */
  readonly cacheMounts?: CacheMountChoice
}

/** `user/app:cache` */
export function sourceTitle(source: CacheSource, format: (reference: Reference) => string): string {
  if (source.type === 'registry') return format(source.reference)
  const { directory, name } = source
  return `${directory}${'tag' in name ? `:${name.tag}` : `@${name.digest}`}`
}
