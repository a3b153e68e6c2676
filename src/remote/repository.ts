import type { Readable } from 'node:stream'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { type GraphSource, type GraphTarget, isManifestDescriptor, readContent } from '../oci/graph.ts'
import type { RepositoryName, Tag } from '../oci/reference.ts'
import { RemoteError } from './errors.ts'
import type { Exchange } from './exchange.ts'
import type { MirrorChoice } from './mirrors.ts'
import { openBlob, openManifest, resolveManifest } from './pull.ts'
import { collect, hasContent, mountOrUpload, putManifest } from './push.ts'
import type { Endpoint } from './registry-config.ts'
import type { Delay } from './retry.ts'
import { listTags } from './tags.ts'

/**
 * One repository of one registry, for one operation. Reading asks the registry's mirrors first. As a source it
 * gives bytes as the registry sends them, resumed where the connection breaks; whoever reads verifies them
 * (`readContent`, an ingest's commit). Every call throws RemoteError, or the signal's reason.
 */
export interface RemoteRepository extends GraphSource, GraphTarget {
  readonly name: RepositoryName
  /** Undefined when there is no such manifest. */
  resolve(tagOrDigest: Tag | Digest): Promise<Descriptor | undefined>
  /** Points the tag at a manifest that the repository has. */
  tag(descriptor: Descriptor, tag: Tag): Promise<void>
  /** Undefined when there is no such repository. */
  listTags(): Promise<readonly Tag[] | undefined>
}

/** What the calls of one repository share. */
export interface RepositoryContext {
  readonly name: RepositoryName
  /** Within the registry: `library/debian`. */
  readonly path: string
  readonly exchange: Exchange
  readonly delay: Delay
  readonly signal: AbortSignal
}

export interface RepositoryDeps extends RepositoryContext {
  readonly own: Endpoint
  readonly mirrors: readonly Endpoint[]
  readonly mirrorChoice: MirrorChoice
  readonly mountFrom: readonly string[]
}

export function createRepository(deps: RepositoryDeps): RemoteRepository {
  const { name, own, mirrors, mirrorChoice, mountFrom } = deps
  /** The manifest written last: the root of a push, which is what gets tagged. */
  let written: { readonly digest: Digest; readonly bytes: Buffer } | undefined

  const open = async (descriptor: Descriptor): Promise<Readable> => {
    const openContent = isManifestDescriptor(descriptor) ? openManifest : openBlob
    const content = await mirrorChoice.first(mirrors, own, endpoint =>
      openContent(deps, endpoint, descriptor),
    )
    if (content !== undefined) return content
    throw new RemoteError(
      'content-missing',
      `Cannot read ${descriptor.digest}: ${own.host} does not have it in ${name}`,
    )
  }
  return {
    name,
    open,
    resolve: tagOrDigest =>
      mirrorChoice.first(mirrors, own, endpoint => resolveManifest(deps, endpoint, tagOrDigest)),
    has: descriptor => hasContent(deps, own, descriptor),
    async write(descriptor, source, signal) {
      const context = { ...deps, signal: AbortSignal.any([deps.signal, signal]) }
      if (!isManifestDescriptor(descriptor)) return mountOrUpload(context, own, descriptor, source, mountFrom)
      const bytes = await collect(descriptor, source)
      await putManifest(context, own, bytes, descriptor.mediaType, descriptor.digest)
      written = { digest: descriptor.digest, bytes }
    },
    async tag(descriptor, tag) {
      const { digest, mediaType } = descriptor
      const bytes = written?.digest === digest ? written.bytes : await readContent({ open }, descriptor)
      await putManifest(deps, own, bytes, mediaType, tag)
    },
    listTags: () => mirrorChoice.first(mirrors, own, endpoint => listTags(deps, endpoint)),
  }
}
