import type { Readable } from 'node:stream'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { isManifestDescriptor, readContent } from '../oci/graph.ts'
import { RemoteError } from './errors.ts'
import type { MirrorChoice } from './mirrors.ts'
import { openBlob, openManifest, readManifest, resolveManifest, statBlob } from './pull.ts'
import { collect, hasContent, mountOrUpload, putManifest } from './push.ts'
import { listReferrers } from './referrers.ts'
import type { Endpoint } from './registry-config.ts'
import type { RemoteRepository, RepositoryContext } from './repository.ts'
import { listTags } from './tags.ts'

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
    readManifest: tagOrDigest =>
      mirrorChoice.first(mirrors, own, endpoint => readManifest(deps, endpoint, tagOrDigest)),
    statBlob: digest => mirrorChoice.first(mirrors, own, endpoint => statBlob(deps, endpoint, digest)),
    listReferrers: async subject =>
      (await mirrorChoice.first(mirrors, own, endpoint => listReferrers(deps, endpoint, subject))) ?? [],
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
