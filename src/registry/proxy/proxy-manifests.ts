/**
 * Makes manifests of other registries ours before they are asked for. A digest never changes, so it is fetched once.
 * A tag is believed for as long as the configuration says, then asked for with HEAD, which Docker Hub does not
 * count; an upstream that is down or has had enough of us leaves us with what we have.
 *
 * Children are fetched when somebody asks for them: all that a manifest references is recorded as optional.
 */
import type { Digest } from '../../oci/digest.ts'
import { graphTarget, writeContent } from '../../oci/graph.ts'
import { parseManifest } from '../../oci/manifest.ts'
import type { RepositoryName, Tag } from '../../oci/reference.ts'
import type { ReadManifest } from '../../remote/repository.ts'
import { manifestRecordOf } from '../../store/images.ts'
import type { ManifestReference } from '../../store/metadata.ts'
import type { RegistryStore } from '../registry-store.ts'
import type { Asking } from './asking.ts'
import { isOutage, upstreamError } from './failures.ts'
import type { OutageLog } from './outage-log.ts'
import type { ProxyUsage } from './proxy-usage.ts'
import { createSingleFlight } from './single-flight.ts'
import type { Upstream } from './upstreams.ts'

export interface ProxyManifestsDeps {
  readonly store: RegistryStore
  readonly asking: Asking
  readonly outages: OutageLog
  readonly usage: ProxyUsage
  /** How long a tag is believed without asking. */
  readonly revalidateMs: number
  readonly now: () => number
  readonly signal: AbortSignal
}

/** False when neither we nor the upstream has it. @throws RegistryError for an upstream that fails */
export type RequireManifest = (upstream: Upstream, reference: ManifestReference) => Promise<boolean>

type Found = 'here' | 'fetched' | undefined

/** For a tag that we have. */
const REVALIDATION_MS = 8000

export function createRequireManifest(deps: ProxyManifestsDeps): RequireManifest {
  const { store, asking } = deps
  const { content, metadata } = store
  const once = createSingleFlight<Found>()

  const fetch = async (upstream: Upstream, reference: Tag | Digest, tags: readonly Tag[]): Promise<Found> => {
    const read = await asking.ask(upstream, reference, repository => repository.readManifest(reference))
    if (read === undefined) return undefined
    deps.usage.received(read.bytes.length)
    await keep(deps, upstream, read, tags)
    return 'fetched'
  }

  const hasManifest = async (name: RepositoryName, digest: Digest): Promise<boolean> =>
    metadata.getManifest(name, digest) !== undefined && (await content.stat(digest)) !== undefined

  const requireDigest = async (upstream: Upstream, digest: Digest): Promise<Found> =>
    (await hasManifest(upstream.name, digest))
      ? 'here'
      : once(`${upstream.name}@${digest}`, () => fetch(upstream, digest, []))

  const revalidate = async (upstream: Upstream, tag: Tag, local: Digest): Promise<Found> => {
    try {
      const current = await asking.ask(upstream, tag, repository => repository.resolve(tag), REVALIDATION_MS)
      if (current === undefined) return undefined
      if (current.digest !== local) return await fetch(upstream, current.digest, [tag])
      metadata.putUpstreamTag(upstream.name, tag, local)
      return 'here'
    } catch (error) {
      if (!isOutage(error)) throw error
      deps.outages.note(upstream.host, error)
      return 'here'
    }
  }

  const requireTag = async (upstream: Upstream, tag: Tag): Promise<Found> => {
    const { name } = upstream
    const local = metadata.getTag(name, tag)?.digest
    const isHere = local !== undefined && (await hasManifest(name, local))
    if (!isHere) return once(`${name}:${tag}`, () => fetch(upstream, tag, [tag]))
    const noted = metadata.getUpstreamTag(name, tag)
    // Whoever tagged an image here under this name wants to see that one.
    if (noted?.digest !== local || deps.now() - noted.checkedAt < deps.revalidateMs) return 'here'
    return once(`${name}:${tag}`, () => revalidate(upstream, tag, local))
  }

  return async (upstream, reference) => {
    try {
      const found = await ('tag' in reference
        ? requireTag(upstream, reference.tag)
        : requireDigest(upstream, reference.digest))
      if (found !== undefined) deps.usage.served('manifest', found === 'here')
      return found !== undefined
    } catch (error) {
      throw upstreamError(error, upstream.host)
    }
  }
}

async function keep(
  { store, signal }: ProxyManifestsDeps,
  { name }: Upstream,
  { descriptor, bytes }: ReadManifest,
  tags: readonly Tag[],
): Promise<void> {
  const { content, metadata } = store
  const manifest = parseManifest(bytes, descriptor.mediaType)
  await writeContent(graphTarget(content), descriptor, bytes, signal)
  const record = metadata.getManifest(name, descriptor.digest)
  metadata.putManifest(name, record ?? manifestRecordOf(manifest, descriptor, () => true), tags)
  for (const tag of tags) metadata.putUpstreamTag(name, tag, descriptor.digest)
}
