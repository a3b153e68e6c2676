/**
 * How fast the JSON API's questions are in a store of 10,000 repositories and 100,000 tags, and what a quota costs a
 * push where 10,000 blobs are below it.
 *
 *   bin/node bench/inventory.ts [repositories] [tags of each]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Digest, digestOf } from '../src/oci/digest.ts'
import { MEDIA_TYPE } from '../src/oci/media-type.ts'
import type { RepositoryName, Tag } from '../src/oci/reference.ts'
import { type DiskStore, openStore } from '../src/store/open.ts'

const [repositories = 10_000, tags = 10] = process.argv.slice(2).map(Number)
const BLOBS = 10_000

const root = mkdtempSync(join(tmpdir(), 'slipway-bench-'))
try {
  const rules = { isImmutable: () => false, quotas: [{ prefix: 'quota', limit: 1e15 }] }
  using store = await openStore({ root: join(root, 'store'), now: Date.now, rules })
  process.stdout.write(
    `filled in ${seconds(() => fill(store))} s: ${repositories} repositories of ${tags} tags\n`,
  )
  measureQuestions(store)
  measureQuota(store)
} finally {
  rmSync(root, { recursive: true })
}

/** Rows as pushes leave them; their bytes are not on disk. */
function fill({ disk: { database } }: DiskStore): void {
  const blob = (text: string, size: number): Digest => {
    const digest = digestOf(Buffer.from(text))
    database.run('INSERT OR IGNORE INTO blobs (digest, size, touched_at) VALUES (?, ?, 1)', digest, size)
    return digest
  }
  for (let number = 0; number < repositories; number++) {
    database.write(() => {
      const name = `team-${number % 97}/group-${number % 13}/app-${number}`
      database.run('INSERT INTO repositories (id, name) VALUES (?, ?)', number + 1, name)
      for (let tag = 0; tag < tags; tag++) {
        const manifest = blob(`m ${number} ${tag}`, 700)
        const id = number * tags + tag + 1
        database.run(
          'INSERT INTO manifests (id, repository, digest, media_type, size, touched_at) VALUES (?, ?, ?, ?, 700, ?)',
          id,
          number + 1,
          manifest,
          MEDIA_TYPE.ociManifest,
          1e12 + ((id * 7919) % 1e9),
        )
        const layers = ['base', `app ${number}`, `tag ${number} ${tag}`]
        for (const [position, layer] of layers.entries()) {
          const digest = blob(layer, 1000 + position)
          database.run('INSERT OR IGNORE INTO links VALUES (?, ?, 1)', number + 1, digest)
          database.run('INSERT INTO manifest_references VALUES (?, ?, ?, 0)', id, position, digest)
        }
        database.run('INSERT INTO tags VALUES (?, ?, ?, ?)', number + 1, `v${tag}`, id, 1e12 + tag)
        database.run("UPDATE manifests SET bytes = 5, platforms = '[]' WHERE id = ?", id)
      }
    }, 'relaxed')
  }
}

function measureQuestions({ inventory }: DiskStore): void {
  const name = (number: number): RepositoryName =>
    `team-${number % 97}/group-${number % 13}/app-${number}` as RepositoryName
  const random = (): number => Math.floor(Math.random() * repositories)
  for (const order of ['name', 'pushed', 'pulled', 'size'] as const)
    measure(`repositories by ${order}, 100 from anywhere`, () => {
      const after = { name: name(random()), value: 1e12 + Math.floor(Math.random() * 1e9) }
      inventory.listRepositories({ order, after, limit: 101 })
    })
  measure('search for one repository', () => {
    inventory.listRepositories({ order: 'name', search: `app-${random()}`, limit: 101 })
  })
  measure('search that finds nothing, by push', () => {
    inventory.listRepositories({ order: 'pushed', search: 'zzz', limit: 101 })
  })
  measure('tags of a repository, the newest first', () => {
    inventory.listTags(name(random()), { order: 'pushed', limit: 101 })
  })
  measure('one repository', () => void inventory.getRepository(name(random())))
  measure('what deleting a tag would free', () => {
    inventory.bytesFreedByTag(name(random()), 'v1' as Tag)
  })
  measure('the whole store', () => void inventory.totals())
}

function measureQuota({ disk: { database }, metadata, inventory }: DiskStore): void {
  const name = 'quota/app' as RepositoryName
  const digests: Digest[] = []
  database.write(() => {
    for (let number = 0; number < BLOBS + 1000; number++) {
      const digest = digestOf(Buffer.from(`blob ${number}`))
      database.run('INSERT INTO blobs (digest, size, touched_at) VALUES (?, 10, 1)', digest)
      digests.push(digest)
    }
    database.run('INSERT INTO repositories (id, name) VALUES (?, ?)', repositories + 1, name)
    for (const digest of digests.slice(0, BLOBS))
      database.run('INSERT INTO links VALUES (?, ?, 1)', repositories + 1, digest)
  }, 'relaxed')
  let next = BLOBS
  measure(`ask a quota with ${BLOBS} blobs`, () => {
    const digest = digests[next % BLOBS] as Digest
    inventory.quotaUsage('quota')
    inventory.bytesNewBelow('quota', { digest, size: 1 })
  })
  measure(`link a blob below it (one fsync)`, () => {
    metadata.linkBlob(name, digests[next++] as Digest)
  })
}

function measure(what: string, action: () => void): void {
  const times: number[] = []
  for (let count = 0; count < 500; count++) {
    const start = performance.now()
    action()
    times.push(performance.now() - start)
  }
  times.sort((a, b) => a - b)
  const at = (share: number): string => (times[Math.floor(times.length * share)] ?? 0).toFixed(2)
  process.stdout.write(`${what.padEnd(48)} p50 ${at(0.5)} ms   p99 ${at(0.99)} ms\n`)
}

function seconds(action: () => void): string {
  const start = performance.now()
  action()
  return ((performance.now() - start) / 1000).toFixed(1)
}
