import { OciError } from '../../oci/errors.ts'
import type { GraphSource } from '../../oci/graph.ts'
import type { NamedImage } from '../../oci/image-layout.ts'

/** Images in a file or directory, open for reading. Disposing closes it, and removes what was spooled for it. */
export interface ImageArchive extends AsyncDisposable {
  readonly format: 'oci-layout' | 'oci-archive' | 'docker-archive'
  readonly images: readonly NamedImage[]
  /** Bytes as the archive has them; whoever copies them verifies them. Good until the archive is disposed. */
  readonly source: GraphSource
}

/** Images to be written, and where all of their content is. */
export interface ImagesToWrite {
  readonly source: GraphSource
  readonly images: readonly NamedImage[]
  readonly signal: AbortSignal
}

/**
 * The image of this name, or the only one.
 * @throws OciError `content-missing` with the names that there are
 */
export function selectImage({ images }: Pick<ImageArchive, 'images'>, name?: string): NamedImage {
  const found =
    name === undefined ? images : images.filter(({ names }) => names.some(own => isNamed(own, name)))
  const [image] = found
  if (image !== undefined && found.length === 1) return image
  const names = images.flatMap(image => (image.names.length === 0 ? [image.descriptor.digest] : image.names))
  const list = names.slice(0, 20).join(', ')
  throw new OciError(
    'content-missing',
    name === undefined
      ? `Cannot choose an image: the archive holds ${images.length === 0 ? 'none' : `${images.length}: ${list}`}`
      : `Cannot find ${name} in the archive: it holds ${images.length === 0 ? 'no image' : list}`,
  )
}

/** A bare tag names an image by the tag alone, and a name without a tag means `latest`. */
function isNamed(own: string, wanted: string): boolean {
  return own === wanted || own === `${wanted}:latest` || (!/[/:]/.test(wanted) && own.endsWith(`:${wanted}`))
}
