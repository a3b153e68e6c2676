import type { Descriptor } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import { CodedError, OciError } from '../../oci/errors.ts'
import { type GraphSource, graphSource } from '../../oci/graph.ts'
import { formatReference, LATEST, onDockerHub, type Reference, repositoryOf } from '../../oci/reference.ts'
import { openOciLayout } from '../../store/archive/oci-layout.ts'
import type { Store } from '../../store/store.ts'
import type { ImageLayers } from '../images/image-layers.ts'
import type { ImageRegistries } from '../images/registry-source.ts'
import { type ProgressSink, withProgress } from '../solve/progress.ts'
import { type CacheMountChoice, type CacheSource, sourceTitle } from './cache-end.ts'
import type { ImportedCache } from './imported-cache.ts'
import type { ImportedMounts } from './imported-mounts.ts'
import type { DocumentedMount } from './mount-document.ts'
import { readCache } from './read-cache.ts'

export interface ImportDeps {
  readonly store: Pick<Store, 'content' | 'metadata'>
  readonly remote: ImageRegistries
  /** Told where the layers lie. */
  readonly layers: ImageLayers
  readonly imported: ImportedCache
  readonly importedMounts: Pick<ImportedMounts, 'add'>
  readonly progress: ProgressSink
  readonly monotonicNow: () => number
  readonly signal: AbortSignal
}

/**
 * Reads what the caches tell of, all at once; layers are left where they are. A build can do without a cache: one that
 * cannot be read is a warning, one that is not there yet not even that.
 */
export async function importCaches(sources: readonly CacheSource[], deps: ImportDeps): Promise<void> {
  await Promise.all(sources.map(source => importCache(source, deps)))
}

async function importCache(source: CacheSource, deps: ImportDeps): Promise<void> {
  const from = sourceTitle(source, formatReference)
  const { progress, signal, imported, importedMounts, layers } = deps
  await withProgress(`importing cache from ${from}`, deps, async ({ status }) => {
    try {
      const found = await findCache(source, deps)
      if (found === undefined) return status('there is no cache yet')
      const cache = await readCache(found.open(signal), found.root)
      if (cache.foreign !== undefined) status(`this cache is ${cache.foreign}, whose keys mean other things`)
      const held = new Map(cache.layers.map(layer => [layer.digest, layer]))
      const offered = cache.steps.flatMap(({ layer }) =>
        held.get(layer.digest)?.size === layer.size ? [layer] : [],
      )
      imported.add(cache.steps, new Set<Digest>(offered.map(({ digest }) => digest)), from)
      const mounts = chosenMounts(cache.mounts, source.cacheMounts).filter(
        ({ layer }) => held.get(layer.digest)?.size === layer.size,
      )
      importedMounts.add(mounts, from)
      offered.push(...mounts.map(({ layer }) => layer))
      layers.add({ name: from, layers: offered, open: found.open, onWhole: () => Promise.resolve() })
      const all = [
        count(cache.steps.length, 'step'),
        ...(mounts.length > 0 ? [count(mounts.length, 'cache mount')] : []),
      ]
      status(all.join(', '))
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof CodedError)) throw error
      progress({ kind: 'warning', text: `Cannot import cache from ${from}: ${error.message}` })
    }
  })
}

function chosenMounts(
  mounts: readonly DocumentedMount[],
  choice: CacheMountChoice | undefined,
): readonly DocumentedMount[] {
  if (choice === undefined || choice === 'all') return choice === undefined ? [] : mounts
  return mounts.filter(({ id }) => choice.has(id))
}

function count(number: number, noun: string): string {
  return number === 1 ? `1 ${noun}` : `${number} ${noun}s`
}

interface FoundCache {
  readonly root: Descriptor
  open(signal: AbortSignal): GraphSource
}

async function findCache(source: CacheSource, deps: ImportDeps): Promise<FoundCache | undefined> {
  return source.type === 'local' ? findInLayout(source) : findInRegistry(source.reference, deps)
}

async function findInLayout({
  directory,
  name,
}: Extract<CacheSource, { type: 'local' }>): Promise<FoundCache | undefined> {
  try {
    const { images, source } = await openOciLayout(directory)
    const image = images.find(({ descriptor, names }) =>
      'tag' in name ? names.includes(name.tag) : descriptor.digest === name.digest,
    )
    return image && { root: image.descriptor, open: () => source }
  } catch (error) {
    // There is no such directory, or nothing in it.
    if (error instanceof OciError && error.code === 'layout-invalid') return undefined
    throw error
  }
}

async function findInRegistry(reference: Reference, deps: ImportDeps): Promise<FoundCache | undefined> {
  const { store, remote, signal } = deps
  const { tag = LATEST, digest } = reference
  if (reference.registry === undefined) {
    const repository = repositoryOf(reference)
    const own = digest ?? store.metadata.getTag(repository, tag)?.digest
    const record = own && store.metadata.getManifest(repository, own)
    if (record) return { root: record, open: () => graphSource(store.content) }
  }
  const full = onDockerHub(reference)
  const root = await remote.repository(full, { signal }).resolve(digest ?? tag)
  return root && { root, open: openSignal => remote.repository(full, { signal: openSignal }) }
}
