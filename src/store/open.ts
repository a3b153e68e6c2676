import { readdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isErrno } from '../oci/errors.ts'
import type { ArchiveLimits } from '../oci/limits.ts'
import { createDiskContent, type DiskContent } from './blobs.ts'
import { createBufferPool } from './buffer-pool.ts'
import { Database } from './database.ts'
import type { FileSender } from './direct-send.ts'
import { StoreError, storeErrorFrom } from './errors.ts'
import { makeFolderPath } from './folder-path.ts'
import type { CollectableStore } from './gc.ts'
import { createIngestHashes } from './ingest-hashes.ts'
import { createIngestLocks } from './ingest-locks.ts'
import { createInventory } from './inventory-rows.ts'
import { createLayers } from './layers-on-disk.ts'
import { makeDatabasePrivate } from './private-file.ts'
import { makeReserve, withReserve } from './reserve.ts'
import { NO_RULES, type StoreRules, startQuotas } from './rules.ts'
import type { PooledSha256 } from './running-hash.ts'
import { migrate } from './schema.ts'
import { createSqliteMetadata } from './sqlite-metadata.ts'
import { nodeStoreFiles, type StoreFiles } from './store-files.ts'
import { makeFolders, type StoreLayout, storeLayout } from './store-layout.ts'

export interface OpenStoreOptions {
  /** Made when it is not there. Any path; messages show it absolute. */
  readonly root: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** For tests that inject faults. */
  readonly files?: StoreFiles
  /** For commands that free space: they may use the room that is kept for them on a full disk. */
  readonly freesSpace?: boolean
  /** What may not be stored or removed; without them all may. */
  readonly rules?: StoreRules
  /** Of every layer that comes in. */
  readonly limits?: Partial<ArchiveLimits>
  /** Lets the kernel send content to those who pull it; without it, it goes through our memory. */
  readonly sender?: FileSender | undefined
  /** Hashes what comes in with other threads than this one. */
  readonly sha256?: (() => PooledSha256) | undefined
}

/** The store on disk, with what garbage collection needs to know of it. */
export interface DiskStore extends CollectableStore {
  readonly content: DiskContent
}

/**
 * Opens a store, or makes one in an empty or missing folder. Reads a few bytes and scans nothing, whatever the size;
 * there is nothing to repair after a crash.
 *
 * A new store is one when its database says so, in one transaction, after its folders are durable: a process that
 * is killed on the way leaves an empty database, and the next one goes on.
 * @throws StoreError `store-invalid` for a folder that holds something else or belongs to a newer version
 */
export async function openStore(options: OpenStoreOptions): Promise<DiskStore> {
  const layout = storeLayout(resolve(options.root))
  const store = options.freesSpace
    ? await withReserve(layout, () => openLayout(layout, options))
    : await openLayout(layout, options)
  makeReserve(layout)
  return store
}

async function openLayout(layout: StoreLayout, options: OpenStoreOptions): Promise<DiskStore> {
  const { files = nodeStoreFiles, rules = NO_RULES } = options
  let database: Database | undefined
  try {
    makeRoot(layout, files)
    makeDatabasePrivate(layout.database)
    database = new Database(layout.database)
    await startWriteAheadLog(database)
    migrate(database, () => makeFolders(layout, files))
    startQuotas(database, rules)
  } catch (error) {
    database?.close()
    throw storeErrorFrom(error, `Cannot open store ${layout.root}`)
  }
  return assemble(layout, database, { ...options, files, rules })
}

/** A process with eight uploads under way writes all of them in large pieces. */
const UPLOAD_BUFFERS = { bufferBytes: 256 * 1024, count: 16 }

function assemble(
  layout: StoreLayout,
  database: Database,
  {
    now,
    files,
    rules,
    limits,
    sender,
    sha256,
  }: OpenStoreOptions & Required<Pick<OpenStoreOptions, 'files' | 'rules'>>,
): DiskStore {
  const locks = createIngestLocks(database)
  const hashes = createIngestHashes({ files, layout, sha256 })
  const disk = { database, files, layout, now, locks }
  const content = createDiskContent({
    ...disk,
    hashes,
    buffers: createBufferPool(UPLOAD_BUFFERS),
    ...(sender && { sender }),
  })
  const metadata = createSqliteMetadata({ database, now, rules })
  return {
    root: layout.root,
    content,
    metadata,
    inventory: createInventory(database),
    layers: createLayers({ content, metadata, limits }),
    disk,
    [Symbol.dispose]: () => database.close(),
  }
}

/** The database is the first thing in a new store, so a folder with other things and without one is not ours. */
function makeRoot(layout: StoreLayout, files: StoreFiles): void {
  const { root } = layout
  const made = makeStoreFolder(root)
  if (made !== undefined) {
    for (let folder = root; folder !== dirname(made); folder = dirname(folder))
      files.syncFolderSync(dirname(folder))
    return
  }
  const names = readdirSync(root).filter(name => name !== 'lost+found')
  if (names.length === 0 || names.includes('metadata.db')) return
  throw new StoreError(
    'store-invalid',
    `Cannot open store ${root}: the folder is not empty, and not a store`,
    { hint: 'name an empty or new folder with --root' },
  )
}

function makeStoreFolder(root: string): string | undefined {
  try {
    return makeFolderPath(root, 0o700)
  } catch (error) {
    if (!isErrno(error, 'EEXIST', 'ENOTDIR')) throw error
    throw new StoreError(
      'store-failed',
      `Cannot open store ${root}: it, or a part of its path, is not a folder`,
      {
        cause: error,
      },
    )
  }
}

/** SQLite does not wait by itself when another process is switching the same new database. */
async function startWriteAheadLog(database: Database): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return database.exec('PRAGMA journal_mode = WAL')
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'store-busy') || attempt === 100) throw error
      await delay(20)
    }
  }
}
