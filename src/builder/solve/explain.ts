/**
 * Why a step ran: its key is compared with the nearest one that an earlier build recorded. Keys keep their parts
 * for this.
 */
import type { Digest } from '../../oci/digest.ts'
import type { CacheRecord } from '../../store/metadata.ts'
import { areHidden, hideValues } from './hidden-values.ts'
import { keyParts } from './step-cache.ts'
import type { CacheKey, Vertex } from './vertex.ts'

export type Parts = CacheKey['parts']

/** Why one step was executed, or that another machine has done it. */
export interface Explanation {
  /** `[build 2/5] RUN make` */
  readonly name: string
  readonly reason: Reason
}

export type Reason =
  /** The user asked for it. */
  | { readonly kind: 'no-cache' }
  /** The step has no key. */
  | { readonly kind: 'never-cached' }
  /** Its record is there, the layer that it names is not. */
  | { readonly kind: 'layer-lost' }
  /** It is known to this cache, which does not have the layer that now is read. */
  | { readonly kind: 'layer-elsewhere'; readonly from: string }
  | { readonly kind: 'no-record' }
  /** Not executed: its result is from this cache (`--cache-from`). */
  | { readonly kind: 'imported'; readonly from: string }
  | {
      readonly kind: 'changed'
      /** What the nearest record was made by, where that is another instruction. */
      readonly instruction?: string
      readonly before: Parts
      readonly after: Parts
      /** The step whose result this one adds to, with its kind: what a changed parent means. */
      readonly parent?: { readonly name: string; readonly kind: Vertex['op']['kind'] }
    }

export interface Explainer {
  /** Tells why a vertex with this key, for which there is no record, is executed. */
  explain(vertex: Vertex, description: string, key: CacheKey): Reason
  /** Keeps a record that this build made out of the comparison: it is not earlier. */
  exclude(key: Digest): void
}

/** What is compared: records of our own, and of caches from elsewhere. */
export interface ExplainedRecords {
  findCacheRecords(
    like: { readonly description: string } | { readonly firstParts: Parts },
    limit: number,
  ): readonly Pick<CacheRecord, 'key' | 'description' | 'parts'>[]
}

type Explained = ReturnType<ExplainedRecords['findCacheRecords']>[number]

/** How many of the newest records of a kind are compared. */
const MAX_CANDIDATES = 64

export function createExplainer(cache: ExplainedRecords): Explainer {
  const own = new Set<Digest>()
  return {
    explain(vertex, description, { parts }) {
      const earlier = (like: Parameters<typeof cache.findCacheRecords>[0]): readonly Explained[] =>
        cache
          .findCacheRecords(like, MAX_CANDIDATES)
          .filter(({ key }) => !own.has(key))
          .map(record => ({ ...record, parts: keyParts(record.parts) }))
      const [kind, parent] = parts
      const same = earlier({ description }).filter(record => record.parts[0]?.[1] === kind?.[1])
      const candidates =
        same.length > 0 || kind === undefined || parent === undefined
          ? same
          : earlier({ firstParts: [kind, parent] })
      const record = nearest(candidates, parts)
      if (record === undefined) return { kind: 'no-record' }
      const [input] = vertex.inputs
      return {
        kind: 'changed',
        ...(record.description !== description && { instruction: record.description }),
        before: record.parts,
        after: areHidden(record.parts) ? hideValues(parts) : parts,
        ...(input !== undefined && { parent: { name: input.name, kind: input.op.kind } }),
      }
    },
    exclude(key) {
      own.add(key)
    },
  }
}

/** The record that has most parts in common; the first of several. */
function nearest(records: readonly Explained[], parts: Parts): Explained | undefined {
  let best: { readonly record: Explained; readonly equal: number } | undefined
  for (const record of records) {
    const equal = countEqual(record.parts, areHidden(record.parts) ? hideValues(parts) : parts)
    if (best === undefined || equal > best.equal) best = { record, equal }
  }
  return best?.record
}

function countEqual(before: Parts, after: Parts): number {
  const left = new Map<string, number>()
  for (const part of before) left.set(frame(part), (left.get(frame(part)) ?? 0) + 1)
  return after.filter(part => {
    const count = left.get(frame(part)) ?? 0
    left.set(frame(part), count - 1)
    return count > 0
  }).length
}

function frame(part: Parts[number]): string {
  return JSON.stringify(part)
}
