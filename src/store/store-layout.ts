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
  /** Bytes that were found damaged, by digest and time. */
  readonly quarantine: string
  /** See `reserve.ts`. */
  readonly reserve: string
  blob(digest: Digest): string
  ingest(id: IngestID): string
  /** The hash state that lets another process go on with an ingest. */
  ingestState(id: IngestID): string
  /** A new name for bytes that are on their way out; whatever is found under such a name may be deleted. */
  trash(): string
  /** `blobs/sha256` and its like: they hold a folder for each first byte, made when first used. */
  readonly algorithmFolders: readonly string[]
}

const ALGORITHMS: readonly DigestAlgorithm[] = ['sha256', 'sha512']
const PREFIX_DIGITS = 2
const STATE_SUFFIX = '.state'
const TRASH_PREFIX = 'trash-'

export function storeLayout(root: string): StoreLayout {
  const blobs = join(root, 'blobs')
  const ingests = join(root, 'ingest')
  const algorithmFolder = (algorithm: DigestAlgorithm): string => join(blobs, algorithm)
  return {
    root,
    database: join(root, 'metadata.db'),
    ingests,
    quarantine: join(root, 'quarantine'),
    reserve: join(root, 'reserve'),
    blob(digest) {
      const hex = digestHex(digest)
      return `${blobs}/${digestAlgorithm(digest)}/${hex.slice(0, PREFIX_DIGITS)}/${hex}`
    },
    ingest: id => join(ingests, id),
    ingestState: id => join(ingests, `${id}${STATE_SUFFIX}`),
    trash: () => join(ingests, `${TRASH_PREFIX}${randomUUID()}`),
    algorithmFolders: ALGORITHMS.map(algorithmFolder),
  }
}

/** What the digests in one blob folder begin with. */
export function digestPrefix(digest: Digest): string {
  return digest.slice(0, digest.indexOf(':') + 1 + PREFIX_DIGITS)
}

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

/** Creates the folders of a new store, durably. */
export function makeFolders(layout: StoreLayout, files: StoreFiles): void {
  const blobs = join(layout.root, 'blobs')
  for (const folder of [layout.ingests, blobs, ...layout.algorithmFolders]) files.makeFolderSync(folder)
  for (const folder of [blobs, layout.root]) files.syncFolderSync(folder)
}
