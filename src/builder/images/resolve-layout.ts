import type { Descriptor } from '../../oci/descriptor.ts'
import { type Digest, isDigest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { type GraphSource, readContent } from '../../oci/graph.ts'
import type { NamedImage } from '../../oci/image-layout.ts'
import type { Limits } from '../../oci/limits.ts'
import { parseManifest } from '../../oci/manifest.ts'
import { isIndex } from '../../oci/media-type.ts'
import type { Platform } from '../../oci/platform.ts'
import { selectImage as selectArchived } from '../../store/archive/image-archive.ts'
import { openOciLayout } from '../../store/archive/oci-layout.ts'
import type { BaseImage } from './base-image.ts'
import type { ImageLayers } from './image-layers.ts'
import { selectImage } from './select-image.ts'

/**
 * Finds an image in a directory in OCI layout: the one with this tag or digest, or the only one.
 * @throws OciError `layout-invalid`, `content-missing`; BuildError `platform-missing`; StoreError
 */
export type ResolveLayout = (
  directory: string,
  wanted: string | undefined,
  platform: Platform,
) => Promise<BaseImage>

export function createResolveLayout(layers: ImageLayers, contentLimits?: Partial<Limits>): ResolveLayout {
  return async (directory, wanted, platform) => {
    // Reading a layout holds nothing open.
    const { images, source } = await openOciLayout(directory)
    const { descriptor } = (await findByDigest(images, wanted, source)) ?? selectArchived({ images }, wanted)
    const name = `oci-layout://${directory}@${descriptor.digest}`
    const selected = await selectImage(source, descriptor, platform, name, contentLimits)
    const { manifest, config, layers: own } = selected
    layers.add({ name, layers: own, open: () => source, onWhole: () => Promise.resolve() })
    return { name, digest: manifest.descriptor.digest, config, layers: own }
  }
}

/** Indexes that are read in search of a digest: nobody nests more. */
const MAX_INDEXES = 100

/** Also what an index of the layout names, or an index in that: the image of one platform, say. */
async function findByDigest(
  images: readonly NamedImage[],
  wanted: string | undefined,
  source: GraphSource,
): Promise<Pick<NamedImage, 'descriptor'> | undefined> {
  if (wanted === undefined || !isDigest(wanted)) return undefined
  const queue = images.map(({ descriptor }) => descriptor)
  const seen = new Set<Digest>()
  for (const descriptor of queue) {
    if (descriptor.digest === wanted) return { descriptor }
    if (!isIndex(descriptor.mediaType) || seen.has(descriptor.digest)) continue
    seen.add(descriptor.digest)
    if (seen.size > MAX_INDEXES) return undefined
    for (const child of await childrenOf(descriptor, source)) queue.push(child)
  }
  return undefined
}

/** None of an index that is not there: a layout may hold a part of what it names. */
async function childrenOf(descriptor: Descriptor, source: GraphSource): Promise<readonly Descriptor[]> {
  try {
    const view = parseManifest(await readContent(source, descriptor), descriptor.mediaType)
    return view.kind === 'index' ? view.manifests : []
  } catch (error) {
    if (error instanceof OciError && error.code === 'content-missing') return []
    throw error
  }
}
