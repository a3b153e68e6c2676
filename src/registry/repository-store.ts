/**
 * All that the routes may call. A repository store knows repositories, manifests, tags, blobs and uploads, and
 * nothing of HTTP; who wraps one (a pull-through proxy, a quota) is one.
 *
 * Asking for what is not there answers undefined; acting on it throws a `RegistryError` (`blob-unknown` ...).
 * Names given here are well formed. Writes to a repository that holds images from elsewhere throw `denied`.
 */
import type { Readable } from 'node:stream'
import type { BlobInfo, ByteRange, ChunkSource, IngestID } from '../oci/content.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest, DigestAlgorithm } from '../oci/digest.ts'
import type { RepositoryName, Tag } from '../oci/reference.ts'
import type { ManifestHead, ManifestReference } from '../store/metadata.ts'

export interface RepositoryStore {
  statManifest(name: RepositoryName, reference: ManifestReference): Promise<ManifestInfo | undefined>
  /** The bytes are exactly those that were put, verified. */
  getManifest(name: RepositoryName, reference: ManifestReference): Promise<StoredManifest | undefined>
  /**
   * Stores the manifest and points the tags at it: all or nothing.
   * @throws RegistryError `manifest-blob-unknown` with the missing digests, `digest-invalid`; OciError `manifest-invalid`
   */
  putManifest(name: RepositoryName, manifest: NewManifest): Promise<PutManifest>
  /** Removes the manifest and every tag that points at it. @throws RegistryError `manifest-unknown` */
  deleteManifest(name: RepositoryName, digest: Digest): Promise<void>
  /** Removes the tag only. @throws RegistryError `manifest-unknown` */
  deleteTag(name: RepositoryName, tag: Tag): Promise<void>
  /** Sorted by bytes. Undefined for an unknown repository. */
  listTags(name: RepositoryName, page: NamePage): Promise<readonly Tag[] | undefined>
  /**
   * Manifests whose subject is this digest, oldest first, with artifact type and annotations; read as they are asked for.
   * Those after one of them, or all where that one is no more.
   */
  listReferrers(name: RepositoryName, subject: Digest, after?: Digest): AsyncIterable<Descriptor>
  /** Repositories that have the blob, at most `limit`, in no order. */
  listRepositoriesWithBlob(digest: Digest, limit: number): Promise<readonly RepositoryName[]>
  /** Sorted by bytes. */
  listRepositories(page: NamePage): Promise<readonly RepositoryName[]>
  blobs(name: RepositoryName): RepositoryBlobs
  uploads(name: RepositoryName): RepositoryUploads
}

/** Size in bytes. */
export type ManifestInfo = ManifestHead

export interface StoredManifest extends ManifestInfo {
  readonly bytes: Buffer
}

export interface NewManifest {
  readonly bytes: Buffer
  /** What the client says it sends; without it the document's own word counts. */
  readonly mediaType?: string
  /** What the client says it is; without it SHA-256. */
  readonly digest?: Digest
  readonly tags: readonly Tag[]
}

export interface PutManifest {
  readonly digest: Digest
  readonly subject?: Digest
}

/** Names after `after` in byte order, at most `limit`. */
export interface NamePage {
  readonly after?: string
  readonly limit: number
}

/** Blobs as one repository sees them: those pushed or mounted here, not those of the store. */
export interface RepositoryBlobs {
  stat(digest: Digest): Promise<BlobInfo | undefined>
  /** The caller reads it to the end or destroys it. @throws RegistryError `blob-unknown` */
  open(digest: Digest, range?: ByteRange): Promise<Readable>
  /** @throws RegistryError `blob-unknown`; `blob-in-use` while a manifest here references it */
  delete(digest: Digest): Promise<void>
  /** Makes a blob of another repository visible here. False when that one does not have it. */
  mount(digest: Digest, from: RepositoryName): Promise<boolean>
}

/** Uploads of one repository. They outlive connections and restarts; any process can go on with one. */
export interface RepositoryUploads {
  /** @param algorithm of the digest that the client will name, where it says so: the bytes are then hashed as they come */
  begin(algorithm?: DigestAlgorithm): Promise<Upload>
  /** @throws RegistryError `upload-unknown` */
  status(id: IngestID): Promise<Upload>
  /**
   * Adds a chunk. When its source fails or is too short, what came before stays; `status` tells how much that is.
   * @throws RegistryError `upload-unknown`; `upload-out-of-order`, `size-invalid` before anything is written
   */
  append(id: IngestID, chunk: Chunk, signal: AbortSignal): Promise<Upload>
  /**
   * Makes the bytes a blob of this repository. On a digest that does not fit the upload is gone: nothing that could
   * still be sent would make its bytes right.
   * @throws RegistryError `upload-unknown`; OciError `digest-mismatch`
   */
  commit(id: IngestID, digest: Digest): Promise<BlobInfo>
  /** @throws RegistryError `upload-unknown` */
  cancel(id: IngestID): Promise<void>
}

export interface Upload {
  readonly id: IngestID
  /** Bytes received so far. */
  readonly offset: number
}

export interface Chunk {
  readonly source: ChunkSource
  /** Where the client thinks it goes on; without it, at the end. */
  readonly start?: number
  /** Of the digest that will be named, where it is known. */
  readonly algorithm?: DigestAlgorithm
  /** How many bytes the client promises. More are refused at the first too many. */
  readonly length?: number
}
