import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import type { BuildDeps } from '../../../../src/builder/build-options.ts'
import { byteStringOf } from '../../../../src/oci/byte-string.ts'
import type { Descriptor } from '../../../../src/oci/descriptor.ts'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { jsonBytes } from '../../../../src/oci/json.ts'
import { layerCompression, MEDIA_TYPE } from '../../../../src/oci/media-type.ts'
import type { Platform } from '../../../../src/oci/platform.ts'
import { repositoryOf } from '../../../../src/oci/reference.ts'
import type { TarEntry } from '../../../../src/oci/tar/entry.ts'
import { writeTar } from '../../../../src/oci/tar/writer.ts'
import { RemoteError } from '../../../../src/remote/errors.ts'

/** All registries there are, in memory. */
export function createRegistry() {
  const contents = new Map<Digest, { readonly bytes: Buffer; readonly kind: string }>()
  const tags = new Map<string, Descriptor>()
  const registry = {
    isDown: false,
    /** Kinds of what was read, in order. */
    opened: [] as string[],
    /** What was pushed, in order. */
    written: [] as Digest[],
    put(bytes: Buffer, mediaType: string, kind = 'document'): Descriptor {
      const digest = digestOf(bytes)
      contents.set(digest, { bytes, kind })
      return { mediaType, digest, size: bytes.length }
    },
    putManifest(parts: { readonly config: Descriptor; readonly layers: readonly Descriptor[] }): Descriptor {
      const mediaType = MEDIA_TYPE.ociManifest
      return registry.put(jsonBytes({ schemaVersion: 2, mediaType, ...parts }), mediaType)
    },
    tag(repository: string, tag: string, descriptor: Descriptor): void {
      tags.set(`${repository}:${tag}`, descriptor)
    },
    /** An image of two layers for each platform, as an index where there are several. */
    async publish(
      repository: string,
      tag: string,
      platforms: readonly Platform[],
      salt = '',
      wrongDiffID?: Digest,
    ): Promise<Descriptor> {
      const manifests: Descriptor[] = []
      for (const platform of platforms) {
        const tars = [await tarOf(`a${salt}`), await tarOf(`b${platform.architecture}`)]
        const layers: Descriptor[] = []
        for (const tar of tars) layers.push(registry.put(gzipSync(tar), MEDIA_TYPE.dockerLayerGzip, 'layer'))
        const diffIDs = tars.map(tar => wrongDiffID ?? digestOf(tar))
        const config = registry.put(
          jsonBytes({ ...platform, config: {}, rootfs: { type: 'layers', diff_ids: diffIDs } }),
          MEDIA_TYPE.ociConfig,
        )
        manifests.push({ ...registry.putManifest({ config, layers }), platform })
      }
      const [only, ...others] = manifests
      const root =
        only !== undefined && others.length === 0
          ? only
          : registry.put(
              jsonBytes({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests }),
              MEDIA_TYPE.ociIndex,
            )
      registry.tag(repository, tag, root)
      return root
    },
    repository: (reference => ({
      async resolve(tagOrDigest) {
        if (registry.isDown)
          throw new RemoteError('registry-unreachable', 'Cannot reach host.test: connection refused')
        return tags.get(`${repositoryOf(reference)}:${tagOrDigest}`)
      },
      async open({ digest }) {
        const content = contents.get(digest)
        if (content === undefined || registry.isDown)
          throw new RemoteError('content-missing', `Cannot read ${digest}: it is not there`)
        registry.opened.push(content.kind)
        // A reader may give the memory of a chunk back.
        return Readable.from([Buffer.from(content.bytes)])
      },
      async has({ digest }) {
        return contents.has(digest)
      },
      async write({ digest, mediaType }, source) {
        const bytes = Buffer.concat(await Array.fromAsync(source))
        if (registry.isDown) throw new RemoteError('denied', 'Cannot push: denied')
        if (digestOf(bytes) !== digest) throw new Error(`${digest} was sent with other bytes`)
        registry.written.push(digest)
        contents.set(digest, {
          bytes,
          kind: layerCompression(mediaType) === undefined ? 'document' : 'layer',
        })
      },
      async tag(descriptor, tag) {
        tags.set(`${repositoryOf(reference)}:${tag}`, descriptor)
      },
    })) satisfies BuildDeps['remote']['repository'],
    /** Takes content away, as a registry's own collection does. */
    forget(digest: Digest): void {
      contents.delete(digest)
    },
    resolve(repository: string, tag: string): Descriptor | undefined {
      return tags.get(`${repository}:${tag}`)
    },
    read(digest: Digest): Buffer | undefined {
      return contents.get(digest)?.bytes
    },
  }
  return registry
}

async function tarOf(content: string): Promise<Buffer> {
  const body = Buffer.from(content)
  const entry: TarEntry = {
    type: 'file',
    path: byteStringOf('file'),
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: body.length,
    mtime: 1,
  }
  return Buffer.concat(await Array.fromAsync(writeTar([{ entry, body }])))
}
