import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { graphSource, isManifestDescriptor, readContent, successors } from '../oci/graph.ts'
import { type Manifest, parseManifest } from '../oci/manifest.ts'
import { isNonDistributable } from '../oci/media-type.ts'
import type { RepositoryName, Tag } from '../oci/reference.ts'
import { describeManifest } from './manifest-details.ts'
import type { ManifestRecord } from './metadata.ts'
import type { Store } from './store.ts'

/** What a repository records of a manifest. @param absent tells which children need not be stored, beyond what may never be */
export function manifestRecordOf(
  manifest: Manifest,
  { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
  absent: (child: Descriptor) => boolean = () => false,
): ManifestRecord {
  const children = successors(manifest)
  const optional = children.filter(child => isNonDistributable(child.mediaType) || absent(child))
  const artifactType = artifactTypeOf(manifest)
  return {
    digest,
    mediaType: manifest.mediaType,
    size,
    ...(artifactType !== undefined && { artifactType }),
    ...(manifest.subject !== undefined && { subject: manifest.subject.digest }),
    ...(manifest.annotations !== undefined && { annotations: manifest.annotations }),
    references: distinctDigests(children),
    ...(optional.length > 0 && { optional: distinctDigests(optional) }),
  }
}

/**
 * Gives an image whose content is stored a name: the manifests below an index first, the root last with its tags, so
 * that a name never stands for half an image. Platforms of an index that are not stored are left out.
 * @throws StoreError `content-missing`
 */
export async function nameImage(
  store: Pick<Store, 'content' | 'metadata'>,
  repository: RepositoryName,
  root: Descriptor,
  tags: readonly Tag[],
): Promise<void> {
  await nameGraph(store, repository, root, tags, new Set())
}

/** @param named whatever an index names twice is walked once: ten indexes of a thousand equal children have no end */
async function nameGraph(
  store: Pick<Store, 'content' | 'metadata'>,
  repository: RepositoryName,
  root: Descriptor,
  tags: readonly Tag[],
  named: Set<Digest>,
): Promise<void> {
  named.add(root.digest)
  const manifest = parseManifest(await readContent(graphSource(store.content), root), root.mediaType)
  const absent = new Set<Descriptor>()
  if (manifest.kind === 'index') {
    for (const child of manifest.manifests) {
      if ((await store.content.stat(child.digest)) === undefined) absent.add(child)
      else if (isManifestDescriptor(child) && !named.has(child.digest))
        await nameGraph(store, repository, child, [], named)
    }
  }
  const details = await describeManifest(store.content, manifest, root)
  const record = manifestRecordOf(manifest, root, child => absent.has(child))
  store.metadata.putManifest(repository, { ...record, details }, tags)
}

/** As the referrers API shows it (distribution-spec "Listing Referrers"): an image without one has its config's type. */
function artifactTypeOf(manifest: Manifest): string | undefined {
  if (manifest.artifactType !== undefined) return manifest.artifactType
  return manifest.kind === 'image' ? manifest.config.mediaType : undefined
}

function distinctDigests(descriptors: readonly Descriptor[]): ManifestRecord['references'] {
  return [...new Set(descriptors.map(({ digest }) => digest))]
}
