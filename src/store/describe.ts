import { setImmediate as nextTurn } from 'node:timers/promises'
import { CodedError } from '../oci/errors.ts'
import { graphSource, readContent } from '../oci/graph.ts'
import { parseManifest } from '../oci/manifest.ts'
import type { Database } from './database.ts'
import { listUndescribed, putDetails, type Undescribed } from './detail-rows.ts'
import { describeManifest, type ManifestDetails } from './manifest-details.ts'
import type { Store } from './store.ts'
import { writeIfPossible } from './touch.ts'

const BATCH = 32

/**
 * Looks at manifests of which the rows say nothing yet: those of stores that are older than these rows, and indexes
 * whose children came later. A few at a time, so that others are served meanwhile.
 * @param pushedBefore leaves out those whose config may still be on its way, as of an image that is pulled through
 * @returns how many were described
 */
export async function describeManifests(
  store: Pick<Store, 'content'> & { readonly disk: { readonly database: Database } },
  signal: AbortSignal,
  pushedBefore = Number.MAX_SAFE_INTEGER,
): Promise<number> {
  const { database } = store.disk
  let described = 0
  while (!signal.aborted) {
    const batch = listUndescribed(database, pushedBefore, BATCH)
    if (batch.length === 0) break
    const details: (readonly [Undescribed, ManifestDetails])[] = []
    for (const manifest of batch) details.push([manifest, await readDetails(store, manifest)])
    const isWritten = writeIfPossible(database, () => {
      for (const [manifest, one] of details) putDetails(database, manifest, one)
    })
    if (!isWritten) break
    described += batch.length
    await nextTurn()
  }
  return described
}

async function readDetails(
  { content }: Pick<Store, 'content'>,
  manifest: Undescribed,
): Promise<ManifestDetails> {
  try {
    const bytes = await readContent(graphSource(content), manifest)
    return await describeManifest(content, parseManifest(bytes, manifest.mediaType), manifest)
  } catch (error) {
    // A manifest that is lost or damaged has its own size, and nothing else is known of it.
    if (!(error instanceof CodedError && LOST.has(error.code))) throw error
    return { bytes: manifest.size, platforms: [], labels: {} }
  }
}

const LOST: ReadonlySet<string> = new Set([
  'content-missing',
  'content-corrupt',
  'digest-mismatch',
  'size-mismatch',
  'manifest-invalid',
  'descriptor-invalid',
])
