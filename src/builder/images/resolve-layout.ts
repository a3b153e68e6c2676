import type { NamedImage } from '../../oci/image-layout.ts'
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

export function createResolveLayout(layers: ImageLayers): ResolveLayout {
  return async (directory, wanted, platform) => {
    // Reading a layout holds nothing open.
    const { images, source } = await openOciLayout(directory)
    const { descriptor } = findByDigest(images, wanted) ?? selectArchived({ images }, wanted)
    const name = `oci-layout://${directory}@${descriptor.digest}`
    const selected = await selectImage(source, descriptor, platform, name)
    const { manifest, config, layers: own } = selected
    layers.add({ name, layers: own, open: () => source, onWhole: () => Promise.resolve() })
    return { name, digest: manifest.descriptor.digest, config, layers: own }
  }
}

function findByDigest(images: readonly NamedImage[], wanted: string | undefined): NamedImage | undefined {
  return images.find(({ descriptor }) => descriptor.digest === wanted)
}
