/**
 * Results of steps by their keys: those that builds of this store left, and those of caches from elsewhere.
 *
 * A step that reads the files of other stages has a second, quick key over their results instead of their files. It
 * leads to the key proper, so that nobody needs the files to know that nothing has changed.
 *
 * And a step that ran again is found by what it made: where that is what it made before but for times, the layer of
 * then is the result, and what stands on it stays cached (docs/decisions/equal-results-are-one.md).
 */
import type { ContentProvider } from '../../oci/content.ts'
import type { Digest } from '../../oci/digest.ts'
import type { CacheRecord, LayerRecord, Metadata } from '../../store/metadata.ts'
import type { CacheKey, ResultLayer } from './vertex.ts'

/** A result that is there, or can be had. */
export interface CachedStep {
  readonly key: CacheKey
  readonly layer: ResultLayer
  /** Of all that the layer says but times; absent where nobody noted it. */
  readonly content?: Digest
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  /** The cache it comes from; absent for our own store. */
  readonly from?: string
}

/** Results of steps that other machines executed. */
export interface ImportedSteps {
  find(key: Digest): CachedStep | undefined
  findQuick(quickKey: Digest): CachedStep | undefined
  /** The cache of a step that would be found, had it a layer that can be had. */
  lostFrom(key: Digest): string | undefined
}

export interface StepCacheDeps {
  readonly cache: Pick<Metadata, 'getCacheRecord' | 'putCacheRecord'>
  readonly content: Pick<ContentProvider, 'stat'>
  readonly imported?: ImportedSteps
  /** Lets a layer that was made anew give way to an earlier one that is equal but for times. */
  readonly equalResults?: EqualResults
}

export interface EqualResults {
  /** Of all that a layer says but times. */
  contentOf(layer: LayerRecord): Digest
  /** A key for what a step made of its root. */
  keyOf(content: Digest, parent: string, description: string): CacheKey
  /** False where fresh layers were asked for. */
  readonly areReused: boolean
}

export interface StepToKeep {
  readonly key: CacheKey
  readonly quickKey?: CacheKey
  /** `rootKey` */
  readonly parent: string
  readonly description: string
  readonly layer: LayerRecord
  readonly createdAt: number
}

export interface StepCache {
  /** `layer-lost` where there is a record whose layer is not there any more. */
  find(key: CacheKey): Promise<CachedStep | 'layer-lost' | undefined>
  findQuick(quickKey: CacheKey): Promise<CachedStep | undefined>
  /** Records what a step made, and tells what its result is. */
  keep(step: StepToKeep): Promise<CachedStep>
  /** Lets a quick key lead to a step that was found by its key. */
  keepQuick(quickKey: CacheKey, found: CachedStep, description: string): void
}

export function createStepCache({ cache, content, imported, equalResults }: StepCacheDeps): StepCache {
  const isStored = async ({ layer }: CacheRecord): Promise<boolean> =>
    (await content.stat(layer.digest))?.size === layer.size

  const put = (key: CacheKey, step: Pick<CacheRecord, 'description' | 'layer' | 'createdAt'>): void =>
    cache.putCacheRecord({ ...step, key: key.digest, parts: key.parts })

  return {
    async find(key) {
      const record = cache.getCacheRecord(key.digest)
      if (record !== undefined && (await isStored(record))) return cachedStep(key, record)
      const elsewhere = imported?.find(key.digest)
      if (elsewhere !== undefined) return { ...elsewhere, key }
      return record === undefined ? undefined : 'layer-lost'
    },

    async findQuick(quickKey) {
      const key = keyBehind(cache.getCacheRecord(quickKey.digest))
      const record = key === undefined ? undefined : cache.getCacheRecord(key)
      if (record !== undefined && (await isStored(record)))
        return cachedStep({ digest: record.key, parts: keyParts(record.parts) }, record)
      return imported?.findQuick(quickKey.digest)
    },

    async keep({ key, quickKey, parent, description, layer, createdAt }) {
      const content = equalResults?.contentOf(layer)
      const equalKey = content && equalResults?.keyOf(content, parent, description)
      const equal =
        equalKey !== undefined && equalResults?.areReused === true
          ? cache.getCacheRecord(equalKey.digest)
          : undefined
      const isReused = equal !== undefined && (await isStored(equal))
      const result = isReused ? equal : { layer, createdAt }
      const record = { description, layer: result.layer, createdAt: result.createdAt }
      const recorded = { digest: key.digest, parts: recordedParts(key.parts, content) }
      put(recorded, record)
      if (quickKey !== undefined) put(leadingTo(quickKey, key), record)
      if (equalKey !== undefined && !isReused) put(equalKey, record)
      return cachedStep(key, { ...record, parts: recorded.parts })
    },

    keepQuick(quickKey, { key, from }, description) {
      const record = from === undefined ? cache.getCacheRecord(key.digest) : undefined
      if (record === undefined) return
      const { layer, createdAt } = record
      put(leadingTo(quickKey, key), { description, layer, createdAt })
    },
  }
}

function cachedStep(
  key: CacheKey,
  { parts, layer, createdAt }: Pick<CacheRecord, 'parts' | 'layer' | 'createdAt'>,
): CachedStep {
  const { digest, mediaType, size, diffID } = layer
  const [name, content] = parts.at(-1) ?? []
  const noted = name === CONTENT ? { content: content as Digest } : {}
  return { key, layer: { digest, mediaType, size, diffID }, ...noted, createdAt }
}

/** No part of a key has this name. */
const CONTENT = '\0content'

/** What a step is recorded with: the parts of its key, and what it made. */
export function recordedParts(parts: CacheKey['parts'], content: Digest | undefined): CacheKey['parts'] {
  return content === undefined ? parts : [...parts, [CONTENT, content]]
}

/** The other way round: the parts of the key alone. */
export function keyParts(parts: CacheKey['parts']): CacheKey['parts'] {
  return parts.at(-1)?.[0] === CONTENT ? parts.slice(0, -1) : parts
}

const BEHIND = 'key'

/** What a quick key is recorded with. */
export function leadingTo(quickKey: CacheKey, key: CacheKey): CacheKey {
  return { digest: quickKey.digest, parts: [...quickKey.parts, [BEHIND, key.digest]] }
}

function keyBehind(record: CacheRecord | undefined): Digest | undefined {
  const part = record?.parts.at(-1)
  return part?.[0] === BEHIND ? (part[1] as Digest) : undefined
}
