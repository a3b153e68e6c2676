import type { ContentProvider } from '../../oci/content.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Metadata } from '../../store/metadata.ts'
import { areHidden, hideValues } from '../solve/hidden-values.ts'
import { describeStep, type SolvedStep } from '../solve/step.ts'
import { type EqualResults, leadingTo, recordedParts } from '../solve/step-cache.ts'
import type { ResultLayer } from '../solve/vertex.ts'
import type { DocumentedStep } from './cache-document.ts'
import type { CacheMode } from './cache-end.ts'
import type { ImportedCache } from './imported-cache.ts'

/** Each step once, in the order of their keys. */
export function documentSteps(steps: readonly SolvedStep[]): readonly DocumentedStep[] {
  const documented = new Map<Digest, DocumentedStep>()
  for (const { key, quickKey, name, layer, content, createdAt } of steps) {
    documented.set(key.digest, {
      key: key.digest,
      ...(quickKey !== undefined && { quickKey: quickKey.digest }),
      parts: areHidden(key.parts) ? key.parts : hideValues(key.parts),
      description: describeStep(name),
      layer,
      ...(content !== undefined && { content }),
      createdAt,
    })
  }
  return [...documented.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1))
}

/**
 * The layers that go with them: in mode `min` those of the image, in mode `max` all that can be had, but for copies of
 * the build context that only a mount needed.
 */
export async function layersToHold(
  steps: readonly SolvedStep[],
  image: readonly ResultLayer[],
  mode: CacheMode,
  {
    content,
    imported,
  }: { readonly content: Pick<ContentProvider, 'stat'>; readonly imported: ImportedCache },
): Promise<readonly ResultLayer[]> {
  const inImage = new Set(image.map(({ digest }) => digest))
  const held: ResultLayer[] = []
  for (const { name, layer } of steps) {
    const isWanted = inImage.has(layer.digest) || (mode === 'max' && !name.startsWith('[internal]'))
    if (!isWanted) continue
    if (imported.isHeld(layer.digest) || (await content.stat(layer.digest)) !== undefined) held.push(layer)
  }
  return held
}

/** Records what was imported and fetched as our own, so that the next build need not ask. */
export function keepImported(
  steps: readonly SolvedStep[],
  {
    getLayer,
    getCacheRecord,
    putCacheRecord,
  }: Pick<Metadata, 'getLayer' | 'getCacheRecord' | 'putCacheRecord'>,
  { contentOf }: Pick<EqualResults, 'contentOf'>,
): void {
  for (const { key, quickKey, name, layer: imported, content, createdAt } of steps) {
    const layer = getLayer(imported.digest)
    if (layer?.diffID !== imported.diffID || getCacheRecord(key.digest) !== undefined) continue
    // What another machine says of a layer is not said on.
    if (content !== undefined && contentOf(layer) !== content) continue
    const record = { description: describeStep(name), layer, createdAt }
    putCacheRecord({ ...record, key: key.digest, parts: recordedParts(key.parts, content) })
    if (quickKey === undefined) continue
    putCacheRecord({ ...record, key: quickKey.digest, parts: leadingTo(quickKey, key).parts })
  }
}
