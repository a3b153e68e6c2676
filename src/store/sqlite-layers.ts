import type { Digest } from '../oci/digest.ts'
import { requireBlobs } from './blob-rows.ts'
import type { Database } from './database.ts'
import type { CacheRecord, LayerRecord, Metadata } from './metadata.ts'
import { isTouchDue, writeIfPossible } from './touch.ts'

/** The part of `Metadata` that is about layers and the build cache. */
export type LayerMetadata = Pick<
  Metadata,
  | 'getLayer'
  | 'findLayers'
  | 'putLayer'
  | 'getToc'
  | 'getCacheRecord'
  | 'putCacheRecord'
  | 'listCacheRecords'
  | 'findCacheRecords'
  | 'deleteCacheRecords'
>

/** How late the use of a cache record may be noted: "an unchanged build writes nothing". */
const USE_INTERVAL_MS = 60 * 60_000

const LAYER_COLUMNS =
  'l.digest, l.media_type AS mediaType, l.size, l.diff_id AS diffID, l.uncompressed_size AS uncompressedSize'

const CACHE_RECORDS = `SELECT c.key, c.description, c.parts, c.created_at AS createdAt, c.used_at AS usedAt,
  ${LAYER_COLUMNS} FROM cache_records c JOIN layers l ON l.digest = c.layer`

type CacheRow = Omit<CacheRecord, 'layer' | 'parts'> & LayerRecord & { readonly parts: string }

export function createLayerMetadata(database: Database, now: () => number): LayerMetadata {
  return {
    getLayer: digest =>
      database.one<LayerRecord>(`SELECT ${LAYER_COLUMNS} FROM layers l WHERE l.digest = ?`, digest),

    findLayers: diffID =>
      database.all<LayerRecord>(
        `SELECT ${LAYER_COLUMNS} FROM layers l WHERE l.diff_id = ? ORDER BY l.digest`,
        diffID,
      ),

    putLayer(layer, toc) {
      database.write(() => {
        requireBlobs(database, [layer.digest], 'Cannot record layer')
        putLayer(database, layer)
        database.run(
          'INSERT INTO tocs (diff_id, toc) VALUES (?, ?) ON CONFLICT DO UPDATE SET toc = excluded.toc',
          layer.diffID,
          toc,
        )
      }, 'relaxed')
    },

    getToc: diffID =>
      database.one<{ toc: Uint8Array }>('SELECT toc FROM tocs WHERE diff_id = ?', diffID)?.toc,

    getCacheRecord(key) {
      const row = database.one<CacheRow>(`${CACHE_RECORDS} WHERE c.key = ?`, key)
      if (row === undefined) return undefined
      touchRecord(database, row, now())
      return cacheRecord(row)
    },

    putCacheRecord(record) {
      database.write(() => {
        requireBlobs(database, [record.layer.digest], 'Cannot record cache entry')
        putLayer(database, record.layer)
        database.run(
          `INSERT INTO cache_records (key, description, parts, layer, created_at, used_at) VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT (key) DO UPDATE SET description = excluded.description, parts = excluded.parts,
             layer = excluded.layer, created_at = excluded.created_at, used_at = excluded.used_at`,
          record.key,
          record.description,
          JSON.stringify(record.parts),
          record.layer.digest,
          record.createdAt,
          now(),
        )
      }, 'relaxed')
    },

    listCacheRecords: () =>
      database.all<CacheRow>(`${CACHE_RECORDS} ORDER BY c.used_at DESC, c.key`).map(cacheRecord),

    findCacheRecords(like, limit) {
      const [condition, value] =
        'description' in like
          ? ['c.description = ?1', like.description]
          : ['substr(c.parts, 1, length(?1)) = ?1', JSON.stringify(like.firstParts).slice(0, -1)]
      const rows = database.all<CacheRow>(
        `${CACHE_RECORDS} WHERE ${condition} ORDER BY c.created_at DESC, c.key LIMIT ?2`,
        value,
        limit,
      )
      return rows.map(cacheRecord)
    },

    deleteCacheRecords: usedBefore =>
      database.write(() => {
        const rows = database.all<CacheRow>(
          `${CACHE_RECORDS} WHERE ?1 IS NULL OR c.used_at < ?1 ORDER BY c.used_at DESC, c.key`,
          usedBefore ?? null,
        )
        for (const row of rows) database.run('DELETE FROM cache_records WHERE key = ?', row.key)
        return rows.map(cacheRecord)
      }),
  }
}

/** What is known of a blob's bytes never changes; the media type is the last one that somebody gave it. */
function putLayer(database: Database, layer: LayerRecord): void {
  database.run(
    `INSERT INTO layers (digest, media_type, size, diff_id, uncompressed_size) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (digest) DO UPDATE SET media_type = excluded.media_type, size = excluded.size,
       diff_id = excluded.diff_id, uncompressed_size = excluded.uncompressed_size`,
    layer.digest,
    layer.mediaType,
    layer.size,
    layer.diffID,
    layer.uncompressedSize,
  )
}

function cacheRecord(row: CacheRow): CacheRecord {
  const { digest, mediaType, size, diffID, uncompressedSize } = row
  return {
    key: row.key,
    description: row.description,
    parts: JSON.parse(row.parts),
    layer: { digest, mediaType, size, diffID, uncompressedSize },
    createdAt: row.createdAt,
    usedAt: row.usedAt,
  }
}

function touchRecord(
  database: Database,
  row: { readonly key: Digest; readonly usedAt: number },
  now: number,
): void {
  if (!isTouchDue(row.usedAt, now, USE_INTERVAL_MS)) return
  writeIfPossible(database, () =>
    database.run('UPDATE cache_records SET used_at = ? WHERE key = ?', now, row.key),
  )
}
