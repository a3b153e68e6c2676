import type { IngestID } from '../oci/content.ts'
import type { RepositoryName } from '../oci/reference.ts'
import type { Database } from './database.ts'
import type { Metadata } from './metadata.ts'
import type { StoreRules } from './rules.ts'
import { createLayerMetadata } from './sqlite-layers.ts'
import { createRepositoryMetadata } from './sqlite-repositories.ts'
import { createUpstreamMetadata } from './upstream-rows.ts'

export interface SqliteMetadataDeps {
  /** Migrated. Closed by `close` of the metadata. */
  readonly database: Database
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly rules?: StoreRules
}

/** @throws every method StoreError `store-full`, `store-denied`, `store-busy` or `store-failed` */
export function createSqliteMetadata({ database, now, rules }: SqliteMetadataDeps): Metadata {
  return {
    ...createRepositoryMetadata(database, now, rules),
    ...createLayerMetadata(database, now),
    ...createUploadMetadata(database, now),
    ...createUpstreamMetadata(database, now),
    close: () => database.close(),
  }
}

/**
 * Uploads need no durability of their own: whether one survives a power failure depends on its bytes, which are
 * not synced before the commit either.
 */
function createUploadMetadata(
  database: Database,
  now: () => number,
): Pick<Metadata, 'putUpload' | 'hasUpload' | 'deleteUpload'> {
  return {
    putUpload(repository: RepositoryName, id: IngestID) {
      database.write(
        () =>
          database.run(
            `INSERT INTO uploads (id, repository, created_at) VALUES (?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET repository = excluded.repository`,
            id,
            repository,
            now(),
          ),
        'relaxed',
      )
    },

    hasUpload: (repository, id) =>
      database.one('SELECT 1 FROM uploads WHERE id = ? AND repository = ?', id, repository) !== undefined,

    deleteUpload(id) {
      database.write(() => database.run('DELETE FROM uploads WHERE id = ?', id), 'relaxed')
    },
  }
}
