import { graphTarget } from '../../oci/graph.ts'
import { LATEST, type Reference, repositoryOf, type Tag } from '../../oci/reference.ts'
import type { Store } from '../../store/store.ts'
import type { BuiltImage } from './assemble.ts'

/**
 * Puts the image's documents into the store, where its layers are already, and points the tags at it. Writes
 * nothing that is there. Without tags it is content that only its digest names, until the next collection.
 */
export async function exportToStore(
  image: BuiltImage,
  tags: readonly Reference[],
  store: Pick<Store, 'content' | 'metadata'>,
  signal: AbortSignal,
): Promise<void> {
  const target = graphTarget(store.content)
  for (const { descriptor, bytes } of [image.config, image.manifest]) {
    if (!(await target.has(descriptor))) await target.write(descriptor, oneChunk(bytes), signal)
  }
  for (const reference of tags) putTag(image, reference, reference.tag ?? LATEST, store)
}

function putTag(
  image: BuiltImage,
  reference: Reference,
  tag: Tag,
  { metadata }: Pick<Store, 'metadata'>,
): void {
  const repository = repositoryOf(reference)
  const { digest, mediaType, size } = image.manifest.descriptor
  if (metadata.getTag(repository, tag)?.digest === digest) return
  const references = [image.config.descriptor.digest, ...image.layers.map(layer => layer.digest)]
  metadata.putManifest(repository, { digest, mediaType, size, references }, [tag])
}

async function* oneChunk(bytes: Buffer): AsyncIterable<Buffer> {
  yield bytes
}
