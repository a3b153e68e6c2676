import type { Descriptor } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import type { RepositoryName, Tag } from '../../oci/reference.ts'
import type { NamePage } from '../repository-store.ts'
import type { Asking } from './asking.ts'
import { isOutage, upstreamError } from './failures.ts'
import type { OutageLog } from './outage-log.ts'
import { createSingleFlight } from './single-flight.ts'
import type { Upstream } from './upstreams.ts'

export interface ProxyListsDeps {
  readonly asking: Asking
  readonly outages: OutageLog
  readonly now: () => number
}

/** Lists are the upstream's: what is cached is a small part of them. During an outage they are what is cached. */
export interface ProxyLists {
  /** Undefined when the upstream has no such repository, or is down. */
  listTags(upstream: Upstream, page: NamePage): Promise<readonly Tag[] | undefined>
  /** Only those that the upstream tells of. */
  listReferrers(upstream: Upstream, subject: Digest): Promise<readonly Descriptor[]>
}

/** A client that pages through a list must not make us read all of it for each page. */
const KEPT_MS = 30_000
const MAX_KEPT_LISTS = 16
const MAX_KEPT_TAGS = 20_000

interface KeptList {
  readonly tags: readonly Tag[]
  readonly until: number
}

export function createProxyLists({ asking, outages, now }: ProxyListsDeps): ProxyLists {
  const tagsOnce = createSingleFlight<readonly Tag[] | undefined>()
  const referrersOnce = createSingleFlight<readonly Descriptor[]>()
  const kept = new Map<RepositoryName, KeptList>()

  const readTags = async (upstream: Upstream): Promise<readonly Tag[] | undefined> => {
    const { name } = upstream
    const list = kept.get(name)
    if (list !== undefined && list.until > now()) return list.tags
    kept.delete(name)
    const listed = await asking.ask(upstream, 'tags', repository => repository.listTags())
    if (listed === undefined) return undefined
    const tags = [...new Set(listed)].sort()
    if (tags.length <= MAX_KEPT_TAGS) kept.set(name, { tags, until: now() + KEPT_MS })
    const oldest = kept.size > MAX_KEPT_LISTS ? kept.keys().next().value : undefined
    if (oldest !== undefined) kept.delete(oldest)
    return tags
  }

  /** @param without what to say during an outage */
  const orDuringOutage = async <T>(upstream: Upstream, without: T, work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      if (!isOutage(error)) throw upstreamError(error, upstream.host)
      outages.note(upstream.host, error)
      return without
    }
  }

  return {
    listTags: (upstream, { after, limit }) =>
      orDuringOutage(upstream, undefined, async () => {
        const tags = await tagsOnce(upstream.name, () => readTags(upstream))
        const start = after === undefined ? 0 : (tags?.findIndex(tag => tag > after) ?? 0)
        return start < 0 ? [] : tags?.slice(start, start + limit)
      }),
    listReferrers: (upstream, subject) =>
      orDuringOutage(upstream, [], () =>
        referrersOnce(`${upstream.name}@${subject}`, async () => {
          const what = `referrers of ${subject}`
          return (await asking.ask(upstream, what, repository => repository.listReferrers(subject))) ?? []
        }),
      ),
  }
}
