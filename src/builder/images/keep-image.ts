import { graphTarget, writeContent } from '../../oci/graph.ts'
import { type Reference, repositoryOf, type Tag } from '../../oci/reference.ts'
import { nameImage } from '../../store/images.ts'
import type { Store } from '../../store/store.ts'
import type { SelectedImage } from './select-image.ts'

/** Names an image, all of whose layers are stored, as its registry does, so that the next build need not ask. */
export async function keepImage(
  store: Pick<Store, 'content' | 'metadata'>,
  reference: Reference & { readonly tag: Tag },
  image: SelectedImage,
  signal: AbortSignal,
): Promise<void> {
  const target = graphTarget(store.content)
  for (const { descriptor, bytes } of [image.configDocument, ...image.path.toReversed()]) {
    await writeContent(target, descriptor, bytes, signal)
  }
  const [root = image.manifest] = image.path
  const tags = reference.digest === undefined ? [reference.tag] : []
  const name = repositoryOf(reference)
  await nameImage(store, name, root.descriptor, tags)
  for (const tag of tags) store.metadata.putUpstreamTag(name, tag, root.descriptor.digest)
}
