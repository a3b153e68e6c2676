import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tryLoadLinux } from '../../../src/linux/linux.ts'
import { tryLoadSha256 } from '../../../src/linux/sha256.ts'
import { type Digest, digestAlgorithm, digestHex } from '../../../src/oci/digest.ts'
import { type DiskStore, openStore } from '../../../src/store/open.ts'
import { NO_RULES, type StoreRules } from '../../../src/store/rules.ts'
import { nodeStoreFiles, type StoreFile } from '../../../src/store/store-files.ts'

/** A store in a folder of its own, with faults that tests turn on. */
export interface TestStore {
  readonly store: DiskStore
  /** While true, writing content fails as on a full disk. */
  full: boolean
  /** As many bytes can still be written. */
  room: number
  /** Replaces the bytes of stored content, or takes them away. */
  damage(digest: Digest, bytes?: Buffer): void
  remove(): void
}

export async function openTestStore(rules: Partial<StoreRules> = {}): Promise<TestStore> {
  const root = mkdtempSync(join(tmpdir(), 'slipway-registry-'))
  const faulty = (file: StoreFile): StoreFile => ({
    ...file,
    async write(chunks, position) {
      test.room -= chunks.reduce((sum, chunk) => sum + chunk.length, 0)
      if (test.full || test.room < 0)
        throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC', syscall: 'write' })
      await file.write(chunks, position)
    },
  })
  const files = {
    ...nodeStoreFiles,
    create: async (path: string) => faulty(await nodeStoreFiles.create(path)),
    open: async (path: string) => faulty(await nodeStoreFiles.open(path)),
  }
  const [sender, sha256] = await Promise.all([tryLoadLinux(), tryLoadSha256()])
  const store = await openStore({
    root,
    now: Date.now,
    files,
    rules: { ...NO_RULES, ...rules },
    sender,
    sha256,
  })
  const test: TestStore = {
    store,
    full: false,
    room: Number.POSITIVE_INFINITY,
    damage(digest, bytes) {
      const hex = digestHex(digest)
      const path = join(root, 'blobs', digestAlgorithm(digest), hex.slice(0, 2), hex)
      rmSync(path)
      if (bytes !== undefined) writeFileSync(path, bytes)
    },
    remove() {
      store[Symbol.dispose]()
      rmSync(root, { recursive: true })
    },
  }
  return test
}
