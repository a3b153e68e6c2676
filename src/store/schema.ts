/**
 * The database's tables, and how older ones become the present ones.
 *
 * `blobs` says what content there is: a row promises that the bytes are on disk, whole and durable. Everything
 * that needs content points at it, so that deleting a blob takes along what would dangle:
 *
 * ```
 * repositories ─┬─ manifests ─┬─ tags
 *               │             └─ manifest_references     (by digest; may be absent where optional)
 *               └─ links ─── blobs ─── layers ─── cache_records
 * uploads, downloads, ingest_locks: about files in ingest/          tocs: by diffID
 * upstream_tags: which tags are as their own registry had them, and when it was asked
 * keys, robots: who may use the registry, and what tokens are signed with
 * ```
 * `touched_at` is when somebody last asked for the row: garbage collection spares what is younger than its grace.
 */
import type { Database } from './database.ts'
import { StoreError } from './errors.ts'
import { INVENTORY_MIGRATION } from './inventory-schema.ts'
import { WEBHOOK_MIGRATION } from './webhook-rows.ts'

/** `SLPW`: tells our databases from others (`file` shows it). */
const APPLICATION_ID = 0x534c5057

/** Entry N brings a database of version N to N + 1. Only ever append. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE blobs (
    digest TEXT PRIMARY KEY, size INTEGER NOT NULL, touched_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE repositories (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;

  CREATE TABLE manifests (
    id INTEGER PRIMARY KEY,
    repository INTEGER NOT NULL REFERENCES repositories(id),
    digest TEXT NOT NULL REFERENCES blobs(digest) ON DELETE CASCADE,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    artifact_type TEXT,
    subject TEXT,
    annotations TEXT,
    touched_at INTEGER NOT NULL,
    UNIQUE (repository, digest)
  ) STRICT;
  CREATE INDEX manifests_by_digest ON manifests(digest);
  CREATE INDEX manifests_by_subject ON manifests(repository, subject, id) WHERE subject IS NOT NULL;

  CREATE TABLE manifest_references (
    manifest INTEGER NOT NULL REFERENCES manifests(id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    digest TEXT NOT NULL,
    optional INTEGER NOT NULL,
    PRIMARY KEY (manifest, position)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX manifest_references_by_digest ON manifest_references(digest);

  CREATE TABLE tags (
    repository INTEGER NOT NULL REFERENCES repositories(id),
    tag TEXT NOT NULL,
    manifest INTEGER NOT NULL REFERENCES manifests(id) ON DELETE CASCADE,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (repository, tag)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX tags_by_manifest ON tags(manifest);
  CREATE INDEX tags_by_time ON tags(updated_at);

  CREATE TABLE links (
    repository INTEGER NOT NULL REFERENCES repositories(id),
    digest TEXT NOT NULL REFERENCES blobs(digest) ON DELETE CASCADE,
    touched_at INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX links_by_digest ON links(digest);

  CREATE TABLE layers (
    digest TEXT PRIMARY KEY REFERENCES blobs(digest) ON DELETE CASCADE,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    diff_id TEXT NOT NULL,
    uncompressed_size INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX layers_by_diff_id ON layers(diff_id);

  CREATE TABLE tocs (diff_id TEXT PRIMARY KEY, toc BLOB NOT NULL) STRICT;

  CREATE TABLE cache_records (
    key TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    parts TEXT NOT NULL,
    layer TEXT NOT NULL REFERENCES layers(digest) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX cache_records_by_layer ON cache_records(layer);

  CREATE TABLE uploads (
    id TEXT PRIMARY KEY, repository TEXT NOT NULL, created_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE ingest_locks (id TEXT PRIMARY KEY, owner TEXT NOT NULL) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE upstream_tags (
    repository INTEGER NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL, checked_at INTEGER NOT NULL,
    PRIMARY KEY (repository, tag),
    FOREIGN KEY (repository, tag) REFERENCES tags(repository, tag) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE downloads (
    digest TEXT PRIMARY KEY, ingest TEXT NOT NULL, size INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  INVENTORY_MIGRATION,
  'CREATE TABLE collections (id INTEGER PRIMARY KEY, ended_at INTEGER NOT NULL) STRICT',
  WEBHOOK_MIGRATION,
  `
  CREATE TABLE keys (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE robots (
    name TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    secret_hash BLOB NOT NULL,
    allow TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    used_at INTEGER
  ) STRICT, WITHOUT ROWID;
  `,
]

/**
 * Makes a new or older database a present one. Costs one read when there is nothing to do.
 * @param prepare runs in the transaction that turns an empty database into a store, before it is one
 * @throws StoreError `store-invalid` for a newer version, or for a database that is not ours
 */
export function migrate(database: Database, prepare?: () => void): void {
  if (checkVersion(database) === MIGRATIONS.length) return
  database.write(() => {
    // Another process may have been here since.
    const version = checkVersion(database)
    if (version === 0) prepare?.()
    for (const migration of MIGRATIONS.slice(version)) database.exec(migration)
    database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${MIGRATIONS.length}`)
  })
}

function checkVersion(database: Database): number {
  const version = pragma(database, 'user_version')
  const owner = pragma(database, 'application_id')
  const isEmpty = database.one('SELECT 1 FROM sqlite_schema LIMIT 1') === undefined
  if (owner !== APPLICATION_ID && !(owner === 0 && version === 0 && isEmpty))
    throw new StoreError('store-invalid', `Cannot open store: ${database.path} is another program's database`)
  if (version > MIGRATIONS.length)
    throw new StoreError(
      'store-invalid',
      `Cannot open store: ${database.path} has version ${version}, and this program knows up to ${MIGRATIONS.length}`,
      { hint: 'a newer Slipway has used this store: use that one, or another --root' },
    )
  return version
}

function pragma(database: Database, name: 'user_version' | 'application_id'): number {
  return database.one<Record<string, number>>(`PRAGMA ${name}`)?.[name] ?? 0
}
