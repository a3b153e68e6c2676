import type { Descriptor } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import type { DiskStore } from '../../store/open.ts'
import type { RepositoryStore } from '../repository-store.ts'
import { createAsking } from './asking.ts'
import { createDownloads } from './downloads.ts'
import { createEviction } from './eviction.ts'
import { createFailures } from './failures.ts'
import { createOutageLog } from './outage-log.ts'
import { createWrapBlobs } from './proxy-blobs.ts'
import { createProxyLists } from './proxy-lists.ts'
import type { ProxyLog } from './proxy-log.ts'
import { createRequireManifest } from './proxy-manifests.ts'
import { type ProxyUsage, UNWATCHED } from './proxy-usage.ts'
import { createStatUpstreamBlob } from './stat-blob.ts'
import type { FindUpstream } from './upstreams.ts'

export interface ProxyStoreDeps {
  /** What is stored; it refuses writes to names of other registries. */
  readonly repositories: RepositoryStore
  /** The store behind it. */
  readonly store: Pick<DiskStore, 'content' | 'metadata' | 'disk'>
  readonly findUpstream: FindUpstream
  /** The registries that are pulled through from. */
  readonly hosts: readonly string[]
  /** How long a tag is believed without asking its registry. */
  readonly revalidateMs: number
  /** What of them may be cached; without it there is no limit. */
  readonly maxBytes?: number
  readonly log: ProxyLog
  readonly usage?: ProxyUsage
  readonly now: () => number
}

export interface ProxyStore {
  readonly repositories: RepositoryStore
  /** Ends what goes on behind the answers. The store must stay open until it returns. */
  close(): Promise<void>
}

/**
 * Repositories of other registries, as if they were here: what is asked for is fetched, stored under its full name,
 * and served from the store from then on. The builder keeps its base images under the same names. Writes go to the
 * store, which refuses them.
 */
export function createProxyStore(deps: ProxyStoreDeps): ProxyStore {
  const { repositories, store, findUpstream, now, usage = UNWATCHED } = deps
  const closing = new AbortController()
  const { signal } = closing
  const asking = createAsking({ failures: createFailures(now), signal })
  const outages = createOutageLog(deps.log, now)
  const requireManifest = createRequireManifest({ ...deps, asking, outages, usage, signal })
  const lists = createProxyLists({ asking, outages, now })
  const eviction = createEviction({ ...deps, disk: store.disk, signal })
  const statUpstream = createStatUpstreamBlob(asking)
  const downloads = createDownloads({ ...deps, statUpstream, usage, onStored: eviction.noteStored, signal })
  const wrapBlobs = createWrapBlobs({ store, database: store.disk.database, statUpstream, downloads, usage })

  const proxied: RepositoryStore = {
    ...repositories,
    async statManifest(name, reference) {
      const upstream = findUpstream(name)
      if (upstream !== undefined && !(await requireManifest(upstream, reference))) return undefined
      return repositories.statManifest(name, reference)
    },
    async getManifest(name, reference) {
      const upstream = findUpstream(name)
      if (upstream !== undefined && !(await requireManifest(upstream, reference))) return undefined
      return repositories.getManifest(name, reference)
    },
    async listTags(name, page) {
      const upstream = findUpstream(name)
      const listed = upstream && (await lists.listTags(upstream, page))
      return listed ?? repositories.listTags(name, page)
    },
    async *listReferrers(name, subject, after) {
      const upstream = findUpstream(name)
      if (upstream === undefined) return yield* repositories.listReferrers(name, subject, after)
      const all = new Map<Digest, Descriptor>()
      for await (const own of repositories.listReferrers(name, subject)) all.set(own.digest, own)
      for (const theirs of await lists.listReferrers(upstream, subject))
        if (!all.has(theirs.digest)) all.set(theirs.digest, theirs)
      const listed = [...all.values()]
      yield* listed.slice(listed.findIndex(({ digest }) => digest === after) + 1)
    },
    blobs(name) {
      const upstream = findUpstream(name)
      const cached = repositories.blobs(name)
      return upstream === undefined ? cached : wrapBlobs(upstream, cached)
    },
  }
  return {
    repositories: proxied,
    async close() {
      closing.abort()
      await downloads.settled()
      await eviction.settled()
    },
  }
}
