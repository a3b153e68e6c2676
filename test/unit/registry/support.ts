import { Readable } from 'node:stream'
import type { IngestID } from '../../../src/oci/content.ts'
import { type Digest, digestAlgorithm, digestOf } from '../../../src/oci/digest.ts'
import { OciError } from '../../../src/oci/errors.ts'
import type { RegistryStore } from '../../../src/registry/store-repositories.ts'
import { putBlob } from '../../../src/store/blob-rows.ts'
import { Database } from '../../../src/store/database.ts'
import { StoreError } from '../../../src/store/errors.ts'
import { migrate } from '../../../src/store/schema.ts'
import { createSqliteMetadata } from '../../../src/store/sqlite-metadata.ts'

/** A store without a disk. `corrupt` and `full` are the faults that tests turn on. */
export interface MemoryStore extends RegistryStore {
  readonly blobs: Map<Digest, Buffer>
  full: boolean
}

export function createMemoryStore(): MemoryStore {
  const database = new Database(':memory:')
  migrate(database)
  let time = 1_700_000_000_000
  const metadata = createSqliteMetadata({ database, now: () => time++ })
  const blobs = new Map<Digest, Buffer>()
  const ingests = new Map<IngestID, Buffer>()
  let next = 1

  const openIngest = (id: IngestID) => ({
    id,
    get offset() {
      return ingests.get(id)?.length ?? 0
    },
    async append(source: AsyncIterable<Uint8Array>, _signal: AbortSignal) {
      for await (const chunk of source) {
        if (store.full) throw new StoreError('store-full', 'Cannot write /secret/path: no space left')
        ingests.set(id, Buffer.concat([ingests.get(id) ?? Buffer.alloc(0), chunk]))
      }
      return ingests.get(id)?.length ?? 0
    },
    async commit({ digest }: { digest: Digest; size?: number }) {
      const bytes = ingests.get(id) ?? Buffer.alloc(0)
      const got = digestOf(bytes, digestAlgorithm(digest))
      if (got !== digest) throw new OciError('digest-mismatch', `Cannot commit: want ${digest}, got ${got}`)
      blobs.set(digest, bytes)
      database.write(() => putBlob(database, { digest, size: bytes.length }, time))
      ingests.delete(id)
      return { digest, size: bytes.length }
    },
    async abort() {
      ingests.delete(id)
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  })

  const store: MemoryStore = {
    full: false,
    blobs,
    metadata,
    content: {
      async stat(digest) {
        const bytes = blobs.get(digest)
        return bytes && { digest, size: bytes.length }
      },
      async open(digest, range) {
        const bytes = blobs.get(digest)
        if (bytes === undefined) throw new StoreError('content-missing', `Cannot open ${digest}`)
        const end = range?.end === undefined ? bytes.length : range.end + 1
        return Readable.from([bytes.subarray(range?.start ?? 0, end)], { objectMode: false })
      },
      async begin() {
        const id = `ingest-${next++}` as IngestID
        ingests.set(id, Buffer.alloc(0))
        return openIngest(id)
      },
      async resume(id) {
        if (!ingests.has(id)) throw new StoreError('ingest-unknown', `Cannot resume ${id}`)
        return openIngest(id)
      },
    },
  }
  return store
}
