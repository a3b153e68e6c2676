import type { ContentIngester, ContentManager, ContentProvider } from '../oci/content.ts'
import type { Inventory } from './inventory.ts'
import type { Layers, UnreadLayers } from './layers.ts'
import type { Metadata } from './metadata.ts'

/**
 * The one content store that builder and registry share.
 *
 * ```
 * blobs/sha256/ab/<hex>     content, read-only, named by its digest
 * ingest/<id>               writes under way (bytes, and the hash state that lets another process go on)
 * metadata.db               SQLite in WAL mode: repositories, tags, layers, cache records
 * quarantine/               content that was found damaged
 * reserve                   room for freeing space on a full disk
 * snapshots/  cache-mounts/ caches: losing them costs time, never data
 * ```
 */
export interface Store extends Disposable {
  /** Absolute path. */
  readonly root: string
  readonly content: ContentProvider & ContentIngester & ContentManager
  readonly metadata: Metadata
  readonly inventory: Inventory
  readonly layers: Layers & UnreadLayers
}
