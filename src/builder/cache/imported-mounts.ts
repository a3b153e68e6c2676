/** Cache mounts that other machines have filled. One that is made here begins with what they had in it. */
import type { Digest } from '../../oci/digest.ts'
import type { Layers } from '../../store/layers.ts'
import type { ImageLayers } from '../images/image-layers.ts'
import type { CacheMountContent } from '../snapshot/cache-mounts.ts'
import type { OpContext } from '../solve/vertex.ts'
import type { DocumentedMount } from './mount-document.ts'

export interface ImportedMounts {
  /** What is known already stays. @param from where the cache is */
  add(mounts: readonly DocumentedMount[], from: string): void
  find(key: Digest): DocumentedMount | undefined
  /** Undefined where nobody has it; fetched when it is opened. */
  contentOf(key: Digest, context: OpContext): CacheMountContent | undefined
}

export interface ImportedMountsDeps {
  readonly layers: ImageLayers
  readonly stored: Pick<Layers, 'openTar'>
  readonly warn: (text: string) => void
}

export function createImportedMounts({ layers, stored, warn }: ImportedMountsDeps): ImportedMounts {
  const known = new Map<Digest, DocumentedMount & { readonly from: string }>()
  return {
    add(mounts, from) {
      for (const mount of mounts) if (!known.has(mount.key)) known.set(mount.key, { ...mount, from })
    },
    find: key => known.get(key),
    contentOf(key, context) {
      const mount = known.get(key)
      if (mount === undefined) return undefined
      const { id, from, layer, mode, uid, gid } = mount
      return {
        mode,
        uid,
        gid,
        async open() {
          context.status(`the cache mount ${id} begins with that of ${from}`)
          const [record] = await layers.require([layer], context)
          if (record === undefined) throw new Error(`Cannot open layer ${layer.digest}: it was not fetched`)
          return stored.openTar(record)
        },
        failed: error =>
          warn(`Cannot use the cache mount ${id} of ${from}, so it begins without: ${error.message}`),
      }
    },
  }
}
