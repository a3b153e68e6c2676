import type { Digest } from '../oci/digest.ts'
import type { RepositoryName, Tag } from '../oci/reference.ts'

/**
 * What is known of the store without looking at content: sizes, dates, platforms, last pulls. All of it is kept in rows
 * when things are stored; nothing here walks. Times are milliseconds since the epoch.
 */
export interface Inventory {
  /** In the order of the query; names that contain its text. */
  listRepositories(query: RepositoryQuery): readonly RepositoryEntry[]
  getRepository(name: RepositoryName): RepositoryEntry | undefined
  /** In the order of the query. Undefined for an unknown repository. */
  listTags(repository: RepositoryName, query: TagQuery): readonly TagEntry[] | undefined
  getManifest(repository: RepositoryName, digest: Digest): ManifestEntry | undefined
  /** Tags of the repository that point at the manifest, in byte order, at most `limit`. */
  tagsOf(repository: RepositoryName, digest: Digest, limit: number): readonly Tag[]
  /** See `bytesFreedByTag`. */
  bytesFreedByTag(repository: RepositoryName, tag: Tag): number | undefined
  totals(): StoreTotals
  /** Bytes below a prefix of which a quota is kept; undefined for others. */
  quotaUsage(prefix: string): number | undefined
  /** Bytes that would be new below the prefix with this blob: 0 when it is there already. */
  bytesNewBelow(prefix: string, blob: { readonly digest: Digest; readonly size: number }): number
  /** Notes pulls; not durable by itself, for it is not worth a sync. */
  recordPulls(pulls: readonly Pull[]): void
}

export type RepositoryOrder = 'name' | 'pushed' | 'pulled' | 'size'

/** Where a list goes on. `value` is what is ordered by, for orders other than by name. */
export interface Cursor {
  readonly value: number
  readonly name: string
}

/** By name from the first, in other orders from the newest or largest. */
export interface RepositoryQuery {
  readonly order: RepositoryOrder
  readonly search?: string
  readonly after?: Cursor
  readonly limit: number
}

export interface RepositoryEntry {
  readonly name: RepositoryName
  readonly tagCount: number
  /** Of all content of the repository, each digest once. */
  readonly bytes: number
  readonly pushedAt: number
  /** 0 when nobody has pulled. */
  readonly pulledAt: number
}

export interface TagQuery {
  /** By name from the first, or from the one pushed last. */
  readonly order: 'name' | 'pushed'
  readonly after?: Cursor
  readonly limit: number
}

export interface TagEntry extends ManifestEntry {
  readonly tag: Tag
  /** When the tag was pointed at this manifest. */
  readonly taggedAt: number
}

export interface ManifestEntry {
  readonly digest: Digest
  readonly mediaType: string
  readonly artifactType?: string
  readonly subject?: Digest
  readonly pushedAt: number
  /** 0 when nobody has pulled. */
  readonly pulledAt: number
  /** Of the manifest and all that it needs, each digest once; undefined until it is known. */
  readonly bytes?: number
  /** As the image's config has it; of an index, its newest. */
  readonly createdAt?: number
  readonly platforms: readonly PlatformEntry[]
  readonly labels: Readonly<Record<string, string>>
  /** Manifests whose subject this is; counted up to `MAX_REFERRERS`. */
  readonly referrers: number
}

export const MAX_REFERRERS = 1000

export interface PlatformEntry {
  /** `linux/amd64` */
  readonly platform: string
  readonly digest: Digest
  /** Undefined when that image is not stored. */
  readonly bytes?: number
}

export interface StoreTotals {
  readonly blobs: number
  /** Of all content, each digest once. */
  readonly bytes: number
}

export interface Pull {
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly at: number
}
