import type { BlobInfo } from '../oci/content.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { GraphSource, GraphTarget } from '../oci/graph.ts'
import type { RepositoryName, Tag } from '../oci/reference.ts'
import type { Exchange } from './exchange.ts'
import type { Delay } from './retry.ts'

/**
 * One repository of one registry, for one operation. Reading asks the registry's mirrors first. As a source it
 * gives bytes as the registry sends them, resumed where the connection breaks; whoever reads verifies them
 * (`readContent`, an ingest's commit). Every call throws RemoteError, or the signal's reason.
 */
export interface RemoteRepository extends GraphSource, GraphTarget {
  readonly name: RepositoryName
  /** Undefined when there is no such manifest. */
  resolve(tagOrDigest: Tag | Digest): Promise<Descriptor | undefined>
  /** The manifest itself, in one request, verified where a digest was asked for; undefined when there is none. */
  readManifest(tagOrDigest: Tag | Digest): Promise<ReadManifest | undefined>
  /** Undefined when there is no such blob. */
  statBlob(digest: Digest): Promise<BlobInfo | undefined>
  /** What refers to this manifest; empty too where the registry has no referrers API. */
  listReferrers(subject: Digest): Promise<readonly Descriptor[]>
  /** Points the tag at a manifest that the repository has. */
  tag(descriptor: Descriptor, tag: Tag): Promise<void>
  /** Undefined when there is no such repository. */
  listTags(): Promise<readonly Tag[] | undefined>
}

/** A manifest as a registry sent it. */
export interface ReadManifest {
  readonly descriptor: Descriptor
  readonly bytes: Buffer
}

/** What the calls of one repository share. */
export interface RepositoryContext {
  readonly name: RepositoryName
  /** Within the registry: `library/debian`. */
  readonly path: string
  readonly exchange: Exchange
  readonly delay: Delay
  readonly signal: AbortSignal
}
