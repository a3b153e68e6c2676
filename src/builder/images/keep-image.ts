import type { Descriptor } from '../../oci/descriptor.ts'
import { graphTarget, successors } from '../../oci/graph.ts'
import { type Reference, repositoryOf, type Tag } from '../../oci/reference.ts'
import type { ManifestRecord } from '../../store/metadata.ts'
import type { Store } from '../../store/store.ts'
import type { SelectedImage } from './select-image.ts'

/** Names a whole image in the store as the registry does, so that the next build need not ask. */
export async function keepImage(
  store: Pick<Store, 'content' | 'metadata'>,
  reference: Reference & { readonly tag: Tag },
  image: SelectedImage,
  signal: AbortSignal,
): Promise<void> {
  const repository = repositoryOf(reference)
  const documents = [image.configDocument, ...image.path.toReversed()]
  for (const { descriptor, bytes } of documents) await keepDocument(store, descriptor, bytes, signal)
  const children = new Set(documents.map(({ descriptor }) => descriptor.digest))
  for (const [index, { descriptor, view }] of [...image.path.entries()].toReversed()) {
    const references = successors(view).map(({ digest }) => digest)
    const { digest, mediaType, size } = descriptor
    const record: ManifestRecord = {
      digest,
      mediaType,
      size,
      references,
      ...(view.annotations !== undefined && { annotations: view.annotations }),
      // Of an index, only the platform that was asked for is here.
      ...(view.kind === 'index' && { optional: references.filter(child => !children.has(child)) }),
    }
    const isRoot = index === 0
    store.metadata.putManifest(
      repository,
      record,
      isRoot && reference.digest === undefined ? [reference.tag] : [],
    )
  }
}

async function keepDocument(
  store: Pick<Store, 'content'>,
  descriptor: Descriptor,
  bytes: Buffer,
  signal: AbortSignal,
): Promise<void> {
  const target = graphTarget(store.content)
  if (!(await target.has(descriptor))) await target.write(descriptor, once(bytes), signal)
}

async function* once(bytes: Buffer): AsyncIterable<Buffer> {
  yield bytes
}
