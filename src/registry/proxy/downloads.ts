/**
 * Blobs of other registries on their way to our clients, by way of the store. Whoever asks first starts a download
 * into an ingest; whoever asks for the same blob meanwhile, in this process or another, reads the same file as it
 * grows. When it is whole and verified it is content like any other.
 */
import type { Readable } from 'node:stream'
import type { BlobInfo, ByteRange, IngestID } from '../../oci/content.ts'
import type { Digest } from '../../oci/digest.ts'
import { isErrno } from '../../oci/errors.ts'
import { createLimit } from '../../oci/limit.ts'
import type { RepositoryName } from '../../oci/reference.ts'
import { ChunkShares } from '../../store/content-stream.ts'
import type { DiskStore } from '../../store/open.ts'
import type { StoreFile } from '../../store/store-files.ts'
import { createDownloadClaims } from '../../store/upstream-rows.ts'
import { RegistryError } from '../errors.ts'
import { FollowedDownload, OwnDownload } from './download.ts'
import { type Growing, GrowingContent } from './growing-content.ts'
import type { ProxyLog } from './proxy-log.ts'
import type { ProxyUsage } from './proxy-usage.ts'
import type { StatUpstreamBlob } from './stat-blob.ts'
import type { Upstream } from './upstreams.ts'

export interface Downloads {
  /**
   * The blob, from the store or on its way there. It becomes a blob of the upstream's repository here.
   * @throws RegistryError `blob-unknown`, `upstream-failed` ... while nothing of it has been read
   */
  open(upstream: Upstream, blob: BlobInfo, range?: ByteRange): Promise<Readable>
  /** Returns when those that the signal has ended have left the store alone. */
  settled(): Promise<void>
}

export interface DownloadsDeps {
  readonly store: Pick<DiskStore, 'content' | 'metadata' | 'disk'>
  /** What one repository fetched is no right of another: its own upstream must have it too. */
  readonly statUpstream: StatUpstreamBlob
  readonly onStored: () => void
  readonly log: ProxyLog
  readonly usage: ProxyUsage
  /** Ends everything. */
  readonly signal: AbortSignal
}

/** Each holds about 2 MiB. Whoever comes later waits. */
const MAX_DOWNLOADS = 16
/** A download may end just when its file is to be opened. */
const ATTEMPTS = 5

interface Running {
  readonly download: OwnDownload
  readonly ingest: IngestID
  readonly names: Set<RepositoryName>
  /** Never rejects. */
  readonly ended: Promise<void>
}

export function createDownloads(deps: DownloadsDeps): Downloads {
  const { store, signal } = deps
  const { content, metadata, disk } = store
  const claims = createDownloadClaims(disk.database, disk.locks)
  const limit = createLimit(MAX_DOWNLOADS)
  const running = new Map<Digest, Running>()
  const shares = new ChunkShares()

  /** Undefined when another process was first. */
  const start = async (upstream: Upstream, blob: BlobInfo): Promise<Running | undefined> => {
    const { digest, size } = blob
    const ingest = await content.begin()
    // Others of this process may have come here too while the file was made.
    if (running.has(digest) || claims.take(digest, { ingest: ingest.id, size }) !== undefined) {
      await ingest.abort()
      return running.get(digest)
    }
    const names = new Set([upstream.name])
    const onStored = (): void => {
      for (const name of names) metadata.linkBlob(name, digest)
      deps.onStored()
    }
    const download = new OwnDownload({ upstream, blob, ingest, onStored, signal, usage: deps.usage })
    const ended = limit(() => download.run())
      .catch(error => deps.log.problem('an unfinished download is left to garbage collection', error))
      .finally(() => {
        running.delete(digest)
        claims.free(digest, ingest.id)
      })
    const started = { download, ingest: ingest.id, names, ended }
    running.set(digest, started)
    return started
  }

  /** Undefined when it has just ended. */
  const join = async (
    { download, ingest, names }: Running,
    upstream: Upstream,
    blob: BlobInfo,
    range: ByteRange | undefined,
  ): Promise<Readable | undefined> => {
    const file = await openIngest(ingest)
    if (file === undefined) return undefined
    download.addReader()
    try {
      if (!names.has(upstream.name)) {
        await requireThere(upstream, blob.digest)
        names.add(upstream.name)
        if (download.outcome === 'whole') metadata.linkBlob(upstream.name, blob.digest)
      }
      await download.begun()
      return read(file, download, blob, range, () => download.removeReader())
    } catch (error) {
      download.removeReader()
      await file.close()
      throw error
    }
  }

  /** Undefined when there is nothing to follow any more. */
  const follow = async (
    upstream: Upstream,
    blob: BlobInfo,
    range: ByteRange | undefined,
  ): Promise<Readable | undefined> => {
    const claim = claims.find(blob.digest)
    const file = claim && (await openIngest(claim.ingest))
    if (claim === undefined || file === undefined) return undefined
    try {
      await requireThere(upstream, blob.digest)
      const download = new FollowedDownload(blob.digest, claim, claims, content)
      return read(file, download, blob, range, () => {
        if (download.outcome === 'whole') metadata.linkBlob(upstream.name, blob.digest)
      })
    } catch (error) {
      await file.close()
      throw error
    }
  }

  const read = (
    file: StoreFile,
    growing: Growing,
    { size }: BlobInfo,
    range: ByteRange | undefined,
    onClose: () => void,
  ): Readable => {
    const end = Math.min(range?.end ?? Number.POSITIVE_INFINITY, size - 1)
    return new GrowingContent({ file, growing, range: { start: range?.start ?? 0, end }, shares, onClose })
  }

  const requireThere = async (upstream: Upstream, digest: Digest): Promise<void> => {
    if ((await deps.statUpstream(upstream, digest)) !== undefined) return
    throw new RegistryError('blob-unknown', `Cannot read ${digest}: ${upstream.name} has no such blob`)
  }

  /** Undefined when it is no ingest any more. */
  const openIngest = async (id: IngestID): Promise<StoreFile | undefined> => {
    try {
      return await disk.files.open(disk.layout.ingest(id))
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined
      throw error
    }
  }

  return {
    async open(upstream, blob, range) {
      const { digest } = blob
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const isStored = (await content.stat(digest)) !== undefined
        if (isStored && metadata.isBlobLinked(upstream.name, digest)) return content.open(digest, range)
        const own = running.get(digest)
        if (isStored && own === undefined) {
          await requireThere(upstream, digest)
          metadata.linkBlob(upstream.name, digest)
          continue
        }
        if (own?.download.isAbandoned) await own.ended
        const begun = running.get(digest) ?? (await start(upstream, blob))
        const opened =
          begun === undefined ? await follow(upstream, blob, range) : await join(begun, upstream, blob, range)
        if (opened !== undefined) return opened
        await begun?.ended
      }
      throw new RegistryError(
        'upstream-failed',
        `Cannot get ${digest} from ${upstream.host}: its downloads end at once; try again`,
      )
    },
    async settled() {
      await Promise.all([...running.values()].map(({ ended }) => ended))
    },
  }
}
