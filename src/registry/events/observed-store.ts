import type { Digest } from '../../oci/digest.ts'
import type { RepositoryName, Tag } from '../../oci/reference.ts'
import type { ManifestInfo, RepositoryStore } from '../repository-store.ts'

/** Something happened to a manifest: it was stored under a tag (or none), removed, or read. */
export interface ContentEvent extends Partial<ManifestInfo> {
  readonly kind: 'push' | 'delete' | 'pull'
  readonly repository: RepositoryName
  /** The manifest's; media type and size are known except for a delete of what was half gone. */
  readonly digest: Digest
  /** The tag that was pushed, deleted or asked for. Several tags at once are several events. */
  readonly tag?: Tag
}

/** Told after it is done, in the order in which things were done. Must not throw. */
export type ContentListener = (event: ContentEvent) => void

/** A store that tells what happens to its manifests. To ask whether one is there is no event. */
export function createObservedStore(store: RepositoryStore, listener: ContentListener): RepositoryStore {
  return {
    ...store,
    async getManifest(name, reference) {
      const manifest = await store.getManifest(name, reference)
      if (manifest !== undefined) {
        const { digest, mediaType, size } = manifest
        listener({ kind: 'pull', repository: name, digest, mediaType, size, ...reference })
      }
      return manifest
    },
    async putManifest(name, manifest) {
      const put = await store.putManifest(name, manifest)
      const { digest } = put
      const mediaType = (await store.statManifest(name, { digest }))?.mediaType
      const event: ContentEvent = {
        kind: 'push',
        repository: name,
        digest,
        size: manifest.bytes.length,
        ...(mediaType !== undefined && { mediaType }),
      }
      if (manifest.tags.length === 0) listener(event)
      for (const tag of manifest.tags) listener({ ...event, tag })
      return put
    },
    async deleteManifest(name, digest) {
      const known = await store.statManifest(name, { digest })
      await store.deleteManifest(name, digest)
      listener({ kind: 'delete', repository: name, digest, ...typeAndSize(known) })
    },
    async deleteTag(name, tag) {
      const known = await store.statManifest(name, { tag })
      await store.deleteTag(name, tag)
      if (known !== undefined)
        listener({ kind: 'delete', repository: name, digest: known.digest, tag, ...typeAndSize(known) })
    },
  }
}

function typeAndSize(known: ManifestInfo | undefined): Partial<ManifestInfo> {
  return known === undefined ? {} : { mediaType: known.mediaType, size: known.size }
}
