import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Digest } from '../../oci/digest.ts'
import type { RepositoryName, Tag } from '../../oci/reference.ts'
import type { Database } from '../../store/database.ts'
import { bytesOnlyNeededBy } from '../../store/freed-bytes.ts'
import type { Metadata } from '../../store/metadata.ts'
import { deleteUntagged, type RepositoryGraph, readRepositoryGraph } from '../../store/repository-graph.ts'
import type { StoreRules } from '../../store/rules.ts'
import { decideRetention, type RetentionDecision, type RetentionRule } from './retention.ts'

export interface RetentionOptions {
  /** The first that matches a repository decides; a repository that none matches is left alone. */
  readonly rules: readonly RetentionRule[]
  readonly isImmutable: StoreRules['isImmutable']
  /** Decides, and removes nothing. */
  readonly dryRun: boolean
  readonly now: () => number
  readonly signal: AbortSignal
  /** Told of each repository that a rule matches, when it is done. */
  readonly onRepository?: (done: RepositoryRetention) => void
  /** Told of each tag and each manifest without one that was removed, at once. */
  readonly onRemoved?: (removed: RemovedManifest) => void
}

export interface RemovedManifest {
  readonly repository: RepositoryName
  readonly digest: Digest
  /** Absent where the manifest itself went. */
  readonly tag?: Tag
  readonly mediaType?: string
  readonly size?: number
}

export interface RepositoryRetention extends Omit<RetentionDecision, 'going'> {
  readonly repository: RepositoryName
}

export interface RetentionReport {
  readonly repositories: number
  readonly tags: number
  /** Manifests without a tag. */
  readonly untagged: number
  /** What garbage collection can free of it; counted by a dry run only. */
  readonly bytes?: number
}

export interface RetentionStore {
  readonly metadata: Metadata
  readonly disk: { readonly database: Database }
}

const PAGE = 200
const DELETES_PER_TURN = 20

/** Applies retention rules. What was pushed or tagged again meanwhile stays, and is decided about the next time. */
export async function runRetention(
  store: RetentionStore,
  options: RetentionOptions,
): Promise<RetentionReport> {
  const { signal } = options
  const going = new Set<number>()
  const report = { repositories: 0, tags: 0, untagged: 0 }
  for await (const [repository, rule] of ruled(store, options)) {
    const graph = await readRepositoryGraph(store.disk.database, repository, signal)
    if (graph === undefined) continue
    const isImmutable = (tag: Parameters<StoreRules['isImmutable']>[1]): boolean =>
      options.isImmutable(repository, tag)
    const { going: rows, ...decided } = decideRetention(graph, rule, isImmutable, options.now())
    if (options.dryRun) for (const row of rows) going.add(row)
    const done = options.dryRun ? decided : await remove(store, repository, graph, decided, rule, options)
    report.repositories++
    report.tags += done.removed.length
    report.untagged += done.untagged.length
    options.onRepository?.({ repository, ...done })
  }
  return options.dryRun ? { ...report, bytes: await countBytes(store, going, signal) } : report
}

async function* ruled(
  { metadata }: RetentionStore,
  { rules, signal }: RetentionOptions,
): AsyncGenerator<readonly [RepositoryName, RetentionRule]> {
  let after = ''
  while (true) {
    signal.throwIfAborted()
    const page = metadata.listRepositories({ after, limit: PAGE })
    for (const repository of page) {
      const rule = rules.find(({ matches }) => matches(repository))
      if (rule !== undefined) yield [repository, rule]
    }
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return
    after = last
    await nextTurn()
  }
}

type Decided = Omit<RetentionDecision, 'going'>

/** The ordinary deletes, each of which looks once more. */
async function remove(
  store: RetentionStore,
  repository: RepositoryName,
  graph: RepositoryGraph,
  decided: Decided,
  { untaggedMs }: RetentionRule,
  { now, signal, onRemoved }: RetentionOptions,
): Promise<Decided> {
  const tell = (digest: Digest, tag?: Tag): void => {
    const { mediaType, size } = graph.manifests.get(digest) ?? {}
    onRemoved?.({
      repository,
      digest,
      ...(tag !== undefined && { tag }),
      ...(mediaType !== undefined && { mediaType }),
      ...(size !== undefined && { size }),
    })
  }
  const removed: RetentionDecision['removed'][number][] = []
  for (const [index, node] of decided.removed.entries()) {
    if (store.metadata.deleteTag(repository, node.tag, node.digest)) {
      removed.push(node)
      tell(node.digest, node.tag)
    }
    if (index % DELETES_PER_TURN === 0) await nextTurn(undefined, { signal })
  }
  const untagged: Digest[] = []
  for (const [index, digest] of decided.untagged.entries()) {
    if (deleteUntagged(store.disk.database, repository, digest, now() - (untaggedMs ?? 0))) {
      untagged.push(digest)
      tell(digest)
    }
    if (index % DELETES_PER_TURN === 0) await nextTurn(undefined, { signal })
  }
  return { kept: decided.kept, removed, untagged }
}

/** In turns, because it may be about all of a large store. */
async function countBytes(
  { disk }: RetentionStore,
  going: ReadonlySet<number>,
  signal: AbortSignal,
): Promise<number> {
  const seen = new Set<Digest>()
  const rows = [...going]
  let bytes = 0
  for (let start = 0; start < rows.length; start += DELETES_PER_TURN) {
    bytes += bytesOnlyNeededBy(disk.database, going, rows.slice(start, start + DELETES_PER_TURN), seen)
    await nextTurn(undefined, { signal })
  }
  return bytes
}
