import type { BlobInfo, IngestID } from '../oci/content.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName, Tag } from '../oci/reference.ts'
import type { ManifestDetails } from './manifest-details.ts'

/** A manifest as a repository holds it. Its bytes are content under `digest`. */
export interface ManifestRecord {
  readonly digest: Digest
  readonly mediaType: string
  /** In bytes. */
  readonly size: number
  readonly artifactType?: string
  readonly subject?: Digest
  readonly annotations?: Readonly<Record<string, string>>
  /** Config, layers or child manifests: what must exist for this manifest to be whole. */
  readonly references: readonly Digest[]
  /** Among `references`, those that need not be here (layers that are not to be distributed). */
  readonly optional?: readonly Digest[]
  /** Given when it is put, for lists to show; not read back here. */
  readonly details?: ManifestDetails
}

/** What of a manifest stands in the head of an answer. */
export type ManifestHead = Pick<ManifestRecord, 'digest' | 'mediaType' | 'size'>

export type ManifestReference = { readonly tag: Tag } | { readonly digest: Digest }

export interface TagRecord {
  readonly repository: RepositoryName
  readonly tag: Tag
  readonly digest: Digest
  readonly mediaType: string
  /** Milliseconds since the epoch. */
  readonly updatedAt: number
}

/** What a tag's own registry said of it, when it was last asked. */
export interface UpstreamTag {
  readonly digest: Digest
  /** Milliseconds since the epoch. */
  readonly checkedAt: number
}

/** Where a list goes on: names after `after` in byte order, at most `limit` of them. */
export interface Page {
  readonly after?: string
  readonly limit?: number
}

/** What is known of a layer once its bytes have been read; equal for everyone, kept by the digest of the blob. */
export interface LayerRecord {
  readonly digest: Digest
  readonly mediaType: string
  /** Of the blob, in bytes. */
  readonly size: number
  readonly diffID: Digest
  /** Of the uncompressed tar, in bytes. */
  readonly uncompressedSize: number
}

/** The outcome of a build step, found again by its cache key. */
export interface CacheRecord {
  readonly key: Digest
  /** What the step was, for people: `RUN apt-get update`. */
  readonly description: string
  /** What went into the key, in order: name and value (a digest where the value is long). Explains a miss. */
  readonly parts: readonly (readonly [name: string, value: string])[]
  readonly layer: LayerRecord
  readonly createdAt: number
  readonly usedAt: number
}

/**
 * Everything that several processes must agree on. Each call is one transaction; when it returns, it is on disk.
 * Synchronous, as SQLite is: a call costs microseconds, a write one fsync.
 */
export interface Metadata {
  /** The manifest with this digest, if this repository holds it. */
  getManifest(repository: RepositoryName, digest: Digest): ManifestRecord | undefined
  /** What a tag means, or the manifest with this digest, as one look at the repository finds it. */
  findManifest(repository: RepositoryName, reference: ManifestReference): ManifestHead | undefined
  /** @throws never for absence: undefined for an unknown repository or tag */
  getTag(repository: RepositoryName, tag: Tag): TagRecord | undefined
  /**
   * Adds a manifest whose bytes are already content, links what it needs into the repository, and points the tags at
   * it: all or nothing. What is optional is not linked: nobody has shown that this repository may read it.
   * @throws StoreError `content-missing` (detail: the digests) when a reference that is not optional is not stored;
   * `tag-immutable`, `quota-exceeded`
   */
  putManifest(repository: RepositoryName, manifest: ManifestRecord, tags: readonly Tag[]): void
  /** Removes the manifest and its tags from this repository. False when it was not there. @throws StoreError `tag-immutable` */
  deleteManifest(repository: RepositoryName, digest: Digest): boolean
  /**
   * Removes a tag only. False when it was not there, or no more pointed at the digest that was expected.
   * @throws StoreError `tag-immutable`
   */
  deleteTag(repository: RepositoryName, tag: Tag, expected?: Digest): boolean
  /** Sorted by bytes. Undefined for an unknown repository. */
  listTags(repository: RepositoryName, page?: Page): readonly TagRecord[] | undefined
  /** Names of repositories that hold anything, sorted by bytes. */
  listRepositories(page?: Page): readonly RepositoryName[]
  /** Every tag of every repository, newest first. */
  listAllTags(): readonly TagRecord[]
  /** Manifests of the repository whose subject is this digest, oldest first; those after one of them, or from the first. */
  listReferrers(
    repository: RepositoryName,
    subject: Digest,
    page?: { readonly after?: Digest; readonly limit?: number },
  ): readonly ManifestRecord[]

  /** Undefined for a tag that did not come from the registry of its repository: one that was made here. */
  getUpstreamTag(repository: RepositoryName, tag: Tag): UpstreamTag | undefined
  /** Notes that the registry of the repository says, now, that this tag of ours is this manifest. */
  putUpstreamTag(repository: RepositoryName, tag: Tag, digest: Digest): void

  /** Makes a blob visible in a repository. @throws StoreError `content-missing`, `quota-exceeded` */
  linkBlob(repository: RepositoryName, digest: Digest): void
  isBlobLinked(repository: RepositoryName, digest: Digest): boolean
  /** The blob if it is visible in the repository. Its bytes may have been lost since they were stored. */
  findLinkedBlob(repository: RepositoryName, digest: Digest): BlobInfo | undefined
  /** Repositories in which the blob is visible, at most `limit` of them. */
  listRepositoriesWithBlob(digest: Digest, limit: number): readonly RepositoryName[]
  /**
   * False when it was not linked.
   * @throws StoreError `content-in-use` (detail: a manifest) when a manifest of the repository references it
   */
  unlinkBlob(repository: RepositoryName, digest: Digest): boolean

  /** Binds an ingest to the repository that it uploads to. */
  putUpload(repository: RepositoryName, id: IngestID): void
  /** True when this ingest was begun for this repository. */
  hasUpload(repository: RepositoryName, id: IngestID): boolean
  deleteUpload(id: IngestID): void

  getLayer(digest: Digest): LayerRecord | undefined
  /** Layers with this diffID whose blobs are stored, any compression. */
  findLayers(diffID: Digest): readonly LayerRecord[]
  /** @param toc the table of contents, already packed */
  putLayer(layer: LayerRecord, toc: Uint8Array): void
  getToc(diffID: Digest): Uint8Array | undefined

  getCacheRecord(key: Digest): CacheRecord | undefined
  putCacheRecord(record: Omit<CacheRecord, 'usedAt'>): void
  listCacheRecords(): readonly CacheRecord[]
  /** At most `limit` records with this description, or whose parts begin with these; those made last come first. */
  findCacheRecords(
    like: { readonly description: string } | { readonly firstParts: CacheRecord['parts'] },
    limit: number,
  ): readonly CacheRecord[]
  /** Removes records last used before the time (all without one); returns them. Their layers stay until the next collection. */
  deleteCacheRecords(usedBefore?: number): readonly CacheRecord[]

  close(): void
}
