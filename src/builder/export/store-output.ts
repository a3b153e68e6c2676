import { graphTarget, writeContent } from '../../oci/graph.ts'
import { LATEST, type Reference, repositoryOf } from '../../oci/reference.ts'
import { nameImage } from '../../store/images.ts'
import type { Store } from '../../store/store.ts'
import type { ImageGraph } from './image-graph.ts'

/**
 * Puts the image's documents into the store, where its layers are already, and points the tags at it. Writes
 * nothing that is there. Without tags it is content that only its digest names, until the next collection.
 */
export async function exportToStore(
  image: ImageGraph,
  tags: readonly Reference[],
  store: Pick<Store, 'content' | 'metadata'>,
  signal: AbortSignal,
): Promise<void> {
  const target = graphTarget(store.content)
  for (const { descriptor, bytes } of image.documents) {
    await writeContent(target, descriptor, bytes, signal)
  }
  const { root } = image
  for (const reference of tags) {
    const repository = repositoryOf(reference)
    const tag = reference.tag ?? LATEST
    if (store.metadata.getTag(repository, tag)?.digest === root.digest) continue
    await nameImage(store, repository, root, [tag])
  }
}
