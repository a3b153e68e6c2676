/**
 * Which tags of a repository a retention rule keeps. Only tags are decided about, and manifests that have none; what a
 * kept image needs (platforms of an index, signatures, attestations, other referrers) is kept with it, and bytes are
 * garbage collection's.
 *
 * Signatures of older clients are tags themselves: `sha256-<hex>` (the referrers tag schema) and `sha256-<hex>.sig`
 * (cosign). They count for nothing in a rule, and stay or go with what they belong to.
 */
import type { Digest } from '../../oci/digest.ts'
import { isDigest } from '../../oci/digest.ts'
import type { Tag } from '../../oci/reference.ts'
import { liveManifests, type RepositoryGraph, type TagNode } from '../../store/repository-graph.ts'

/** A tag is kept when any of these holds. */
export interface KeepRule {
  /** So many images that were pushed last, with all of their tags. */
  readonly newest?: number
  readonly pushedWithinMs?: number
  readonly pulledWithinMs?: number
  /** Patterns of tags, as written, with their tests. */
  readonly tags?: readonly { readonly pattern: string; readonly matches: (tag: string) => boolean }[]
}

export interface RetentionRule {
  readonly matches: (repository: string) => boolean
  readonly keep: KeepRule
  /** Manifests that nothing keeps go when they were neither pushed nor pulled for so long; without it they are gc's. */
  readonly untaggedMs?: number
}

export type Reason =
  | { readonly kind: 'newest' | 'pushed' | 'pulled' | 'immutable' }
  | { readonly kind: 'pattern'; readonly pattern: string }
  /** It is a signature or another companion of what is kept. */
  | { readonly kind: 'belongs'; readonly to: Digest }
  /** A companion that came before what it belongs to. */
  | { readonly kind: 'early' }

export interface RetentionDecision {
  readonly kept: readonly { readonly tag: Tag; readonly digest: Digest; readonly reason: Reason }[]
  readonly removed: readonly TagNode[]
  /** Parents before what they hold. */
  readonly untagged: readonly Digest[]
  /** Rows of the manifests that nothing will hold: what is to be freed is in them. */
  readonly going: readonly number[]
}

/** A companion whose image is not there yet is given a day to see it come. */
const EARLY_MS = 24 * 3_600_000

export function decideRetention(
  graph: RepositoryGraph,
  { keep, untaggedMs }: Pick<RetentionRule, 'keep' | 'untaggedMs'>,
  isImmutable: (tag: Tag) => boolean,
  now: number,
): RetentionDecision {
  const ordinary = graph.tags.filter(({ tag }) => companionOf(tag) === undefined)
  const reasonOf = keeper(graph, ordinary, keep, now)
  const reasons = new Map<TagNode, Reason>()
  for (const node of graph.tags) {
    const reason: Reason | undefined = isImmutable(node.tag)
      ? { kind: 'immutable' }
      : companionOf(node.tag) === undefined
        ? reasonOf(node)
        : undefined
    if (reason !== undefined) reasons.set(node, reason)
  }
  keepCompanions(graph, reasons, now)

  const rootsAfter = [...reasons.keys()].map(({ digest }) => digest)
  const untagged = untaggedMs === undefined ? [] : expired(graph, rootsAfter, now - untaggedMs)
  const leaving = new Set(untagged)
  const liveAfter = liveManifests(graph, rootsAfter)
  const liveBefore = liveManifests(
    graph,
    graph.tags.map(({ digest }) => digest),
  )
  return {
    kept: [...reasons].map(([{ tag, digest }, reason]) => ({ tag, digest, reason })),
    removed: graph.tags.filter(node => !reasons.has(node)),
    untagged,
    going: [...graph.manifests.values()]
      .filter(({ digest }) => leaving.has(digest) || (liveBefore.has(digest) && !liveAfter.has(digest)))
      .map(({ id }) => id),
  }
}

/** Why a rule by itself keeps a tag. */
function keeper(
  graph: RepositoryGraph,
  tags: readonly TagNode[],
  keep: KeepRule,
  now: number,
): (node: TagNode) => Reason | undefined {
  const pushedAt = new Map<Digest, number>()
  for (const { digest, taggedAt } of tags)
    pushedAt.set(
      digest,
      Math.max(taggedAt, pushedAt.get(digest) ?? 0, graph.manifests.get(digest)?.pushedAt ?? 0),
    )
  const byAge = [...pushedAt].sort(([a, atA], [b, atB]) => atB - atA || (a < b ? -1 : 1))
  const newest = new Set(byAge.slice(0, keep.newest ?? 0).map(([digest]) => digest))
  const isWithin = (time: number, spanMs: number | undefined): boolean =>
    spanMs !== undefined && time > 0 && time >= now - spanMs
  return ({ tag, digest }) => {
    const pattern = keep.tags?.find(({ matches }) => matches(tag))?.pattern
    if (pattern !== undefined) return { kind: 'pattern', pattern }
    if (newest.has(digest)) return { kind: 'newest' }
    if (isWithin(pushedAt.get(digest) ?? 0, keep.pushedWithinMs)) return { kind: 'pushed' }
    if (isWithin(pulledAt(graph, digest), keep.pulledWithinMs)) return { kind: 'pulled' }
    return undefined
  }
}

/** Who pulls one platform by its digest uses the index too. */
function pulledAt({ manifests }: RepositoryGraph, digest: Digest): number {
  const manifest = manifests.get(digest)
  const children = (manifest?.children ?? []).map(child => manifests.get(child)?.pulledAt ?? 0)
  return Math.max(manifest?.pulledAt ?? 0, ...children)
}

/** Adds tags that belong to what is kept, and to what is kept with that, until none is left. */
function keepCompanions(graph: RepositoryGraph, reasons: Map<TagNode, Reason>, now: number): void {
  let grown = true
  while (grown) {
    grown = false
    const live = liveManifests(
      graph,
      [...reasons.keys()].map(({ digest }) => digest),
    )
    for (const node of graph.tags) {
      if (reasons.has(node)) continue
      const reason = companionReason(graph, node, live, now)
      if (reason === undefined) continue
      reasons.set(node, reason)
      grown = true
    }
  }
}

function companionReason(
  { manifests }: RepositoryGraph,
  { tag, digest, taggedAt }: TagNode,
  live: ReadonlySet<Digest>,
  now: number,
): Reason | undefined {
  const owner = companionOf(tag)
  for (const to of [owner, manifests.get(digest)?.subject])
    if (to !== undefined && live.has(to)) return { kind: 'belongs', to }
  if (owner !== undefined && !manifests.has(owner) && taggedAt >= now - EARLY_MS) return { kind: 'early' }
  return undefined
}

/** What a tag like `sha256-<hex>.sig` belongs to. */
function companionOf(tag: Tag): Digest | undefined {
  const [, algorithm, hex] = /^(sha256|sha512)-([0-9a-f]{64,128})(?:\.[A-Za-z0-9._-]+)?$/.exec(tag) ?? []
  const digest = `${algorithm}:${hex}`
  return isDigest(digest) ? digest : undefined
}

/** Untagged manifests that nobody used since the time, and that nothing which stays needs. */
function expired(graph: RepositoryGraph, roots: readonly Digest[], since: number): readonly Digest[] {
  const tagged = new Set(graph.tags.map(({ digest }) => digest))
  const used = [...graph.manifests.values()].filter(
    ({ digest, pushedAt, pulledAt }) => !tagged.has(digest) && Math.max(pushedAt, pulledAt) >= since,
  )
  const live = liveManifests(graph, [...roots, ...used.map(({ digest }) => digest)])
  const candidates = [...graph.manifests.values()].filter(
    ({ digest, pushedAt, pulledAt }) => !live.has(digest) && Math.max(pushedAt, pulledAt) < since,
  )
  return candidates.sort((a, b) => b.id - a.id).map(({ digest }) => digest)
}
