import { writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../src/oci/media-type.ts'
import { type DiskStore, openStore } from '../../src/store/open.ts'

export interface Size {
  readonly repositories: number
  /** Of each repository. */
  readonly tags: number
}

/** `team-1/group-1/app-1`: spread as in a company. */
export function repositoryName(number: number): string {
  return `team-${number % 97}/group-${number % 13}/app-${number}`
}

/** The subject that one manifest of each repository refers to. */
export function subjectOf(repository: number): Digest {
  return digestOf(Buffer.from(`m ${repository} 0`))
}

/** Fills a new store with rows as pushes leave them. Their bytes are not on disk. */
export async function fillInventory(root: string, size: Size): Promise<void> {
  using store = await openStore({ root, now: Date.now })
  for (let number = 0; number < size.repositories; number++) {
    store.disk.database.write(() => fillRepository(store, number, size.tags), 'relaxed')
  }
}

function fillRepository({ disk: { database } }: DiskStore, number: number, tags: number): void {
  const blob = (text: string, size: number): Digest => {
    const digest = digestOf(Buffer.from(text))
    database.run('INSERT OR IGNORE INTO blobs (digest, size, touched_at) VALUES (?, ?, 1)', digest, size)
    return digest
  }
  database.run('INSERT INTO repositories (id, name) VALUES (?, ?)', number + 1, repositoryName(number))
  for (let tag = 0; tag < tags; tag++) {
    const id = number * tags + tag + 1
    database.run(
      'INSERT INTO manifests (id, repository, digest, media_type, size, touched_at) VALUES (?, ?, ?, ?, 700, ?)',
      id,
      number + 1,
      blob(`m ${number} ${tag}`, 700),
      MEDIA_TYPE.ociManifest,
      1e12 + ((id * 7919) % 1e9),
    )
    for (const [position, layer] of ['base', `app ${number}`, `tag ${number} ${tag}`].entries()) {
      const digest = blob(layer, 1000 + position)
      database.run('INSERT OR IGNORE INTO links VALUES (?, ?, 1)', number + 1, digest)
      database.run('INSERT INTO manifest_references VALUES (?, ?, ?, 0)', id, position, digest)
    }
    database.run('INSERT INTO tags VALUES (?, ?, ?, ?)', number + 1, `v${tag}`, id, 1e12 + tag)
    database.run("UPDATE manifests SET bytes = 5, platforms = '[]' WHERE id = ?", id)
    if (tag === 1) database.run('UPDATE manifests SET subject = ? WHERE id = ?', subjectOf(number), id)
  }
}

/** Adds blobs that nothing refers to and nobody has touched for long, with their bytes. */
export async function fillGarbage(root: string, blobs: number, seed: string): Promise<void> {
  using store = await openStore({ root, now: Date.now })
  const { database, layout } = store.disk
  const folders = new Set<string>()
  for (let from = 0; from < blobs; from += 1000) {
    const digests: Digest[] = []
    for (let number = from; number < Math.min(blobs, from + 1000); number++) {
      const bytes = Buffer.from(`${seed} ${number}\n`)
      const digest = digestOf(bytes)
      const path = layout.blob(digest)
      if (!folders.has(dirname(path))) await mkdir(dirname(path), { recursive: true })
      folders.add(dirname(path))
      writeFileSync(path, bytes)
      digests.push(digest)
    }
    database.write(() => {
      for (const digest of digests)
        database.run('INSERT INTO blobs (digest, size, touched_at) VALUES (?, 20, 1)', digest)
    }, 'relaxed')
  }
}
