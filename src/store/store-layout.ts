import { randomUUID } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import type { IngestID } from '../oci/content.ts'
import { type Digest, type DigestAlgorithm, digestAlgorithm, digestHex, isDigest } from '../oci/digest.ts'
import type { StoreFiles } from './store-files.ts'

/** Where things lie under the store's root (the tree is in `store.ts`). */
export interface StoreLayout {
  /** Absolute path. */
  readonly root: string
  readonly database: string
  readonly ingests: string
  blob(digest: Digest): string
  ingest(id: IngestID): string
  /** The hash state that lets another process go on with an ingest. */
  ingestState(id: IngestID): string
  /** A new name for bytes that are on their way out; whatever is found under such a name may be deleted. */
  trash(): string
  /** Every folder that may hold blobs. */
  blobFolders(): readonly string[]
}

const ALGORITHMS: readonly DigestAlgorithm[] = ['sha256', 'sha512']
const STATE_SUFFIX = '.state'
const TRASH_PREFIX = 'trash-'

export function storeLayout(root: string): StoreLayout {
  const blobs = join(root, 'blobs')
  const ingests = join(root, 'ingest')
  const blobFolder = (algorithm: DigestAlgorithm, prefix: string): string => join(blobs, algorithm, prefix)
  return {
    root,
    database: join(root, 'metadata.db'),
    ingests,
    blob(digest) {
      const hex = digestHex(digest)
      return join(blobFolder(digestAlgorithm(digest), hex.slice(0, 2)), hex)
    },
    ingest: id => join(ingests, id),
    ingestState: id => join(ingests, `${id}${STATE_SUFFIX}`),
    trash: () => join(ingests, `${TRASH_PREFIX}${randomUUID()}`),
    blobFolders: () => ALGORITHMS.flatMap(algorithm => PREFIXES.map(prefix => blobFolder(algorithm, prefix))),
  }
}

const PREFIXES: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
)

/** The digest of a file in a blob folder; undefined for a file that is none of ours. */
export function digestOfPath(path: string): Digest | undefined {
  const digest = `${basename(dirname(dirname(path)))}:${basename(path)}`
  return isDigest(digest) ? digest : undefined
}

/** What a file in the ingest folder belongs to. */
export function ingestOfName(name: string): IngestID | 'trash' {
  if (name.startsWith(TRASH_PREFIX)) return 'trash'
  return (name.endsWith(STATE_SUFFIX) ? name.slice(0, -STATE_SUFFIX.length) : name) as IngestID
}

/** From outside, an ID could be any text: this one is safe as a file name. */
export function isIngestID(text: string): text is IngestID {
  return /^[A-Za-z0-9-]{1,64}$/.test(text) && !text.startsWith(TRASH_PREFIX)
}

/** Creates all folders, durably: once they are there, publishing a blob syncs no folder but its own. */
export function makeFolders(layout: StoreLayout, files: StoreFiles): void {
  const leaves = layout.blobFolders()
  const algorithms = [...new Set(leaves.map(leaf => dirname(leaf)))]
  const blobs = join(layout.root, 'blobs')
  for (const folder of [blobs, layout.ingests, ...algorithms, ...leaves]) files.makeFolderSync(folder)
  for (const folder of [...algorithms, blobs, layout.root]) files.syncFolderSync(folder)
}
