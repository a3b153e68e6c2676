/**
 * What a layer says but for times, as a key: the name, type, mode, owner, link, device, extended attributes and
 * content of everything in it, what it removes and hides, and in which order (the order says which of several names
 * of a file holds its bytes).
 */
import type { LayerToc, TocEntry } from '../../oci/layer/toc.ts'
import type { Layers } from '../../store/layers.ts'
import { createCacheKey } from '../ops/cache-key.ts'
import type { EqualResults } from './step-cache.ts'
import type { CacheKey } from './vertex.ts'

type Part = CacheKey['parts'][number]

export function createEqualResults(layers: Pick<Layers, 'toc'>, areReused: boolean): EqualResults {
  return {
    areReused,
    contentOf: layer => createCacheKey('content', contentParts(layers.toc(layer))).digest,
    keyOf: (content, parent, description) =>
      createCacheKey('equal result', [
        ['parent', parent],
        ['step', description],
        ['content', content],
      ]),
  }
}

function contentParts({ entries, whiteouts, opaque }: LayerToc): readonly Part[] {
  return [
    ...entries.map((entry): Part => [entry.path, entryText(entry)]),
    ...whiteouts.map((path): Part => ['removed', path]),
    ...opaque.map((path): Part => ['opaque', path]),
  ]
}

/** JSON frames the fields. */
function entryText(entry: TocEntry): string {
  const { type, mode, uid, gid, size, digest, linkPath, deviceMajor, deviceMinor, xattrs } = entry
  const attributes = [...(xattrs ?? [])].map(([name, value]) => [name, Buffer.from(value).toString('hex')])
  return JSON.stringify([type, mode, uid, gid, size, digest, linkPath, deviceMajor, deviceMinor, attributes])
}
