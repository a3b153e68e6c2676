/** Makes content as the conformance tests push it: manifests with whatever they refer to, children first. */
import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { type Digest, type DigestAlgorithm, digestOf } from '../../../../src/oci/digest.ts'

export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'
export const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json'
export const EMPTY_TYPE = 'application/vnd.oci.empty.v1+json'
export const EXAMPLE_TYPE = 'application/vnd.example.slipway.v1'
const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json'
const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar'
const NONDISTRIBUTABLE_TYPE = 'application/vnd.oci.image.layer.nondistributable.v1.tar'

export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

export interface Content {
  readonly blobs: ReadonlyMap<Digest, Buffer>
  /** In the order in which they must be pushed. */
  readonly manifests: ReadonlyMap<
    Digest,
    { readonly bytes: Buffer; readonly mediaType: string; readonly subject: Digest | undefined }
  >
  readonly tags: ReadonlyMap<string, Digest>
  /** By subject, oldest first. */
  readonly referrers: ReadonlyMap<Digest, readonly Descriptor[]>
}

export interface Made {
  /** Everything that this maker has made so far. */
  readonly content: Content
  readonly descriptor: Descriptor
}

interface Common {
  readonly tag?: string
  readonly subject?: Descriptor
  readonly annotations?: Readonly<Record<string, string>>
  readonly artifactType?: string
  /** Fields that no specification knows. */
  readonly extra?: Readonly<Record<string, unknown>>
}

interface ImageOptions extends Common {
  readonly layers?: readonly Buffer[]
  readonly gzip?: boolean
  /** Puts blobs into their descriptors. */
  readonly data?: boolean
  readonly nondistributable?: number
}

interface ArtifactOptions extends Common {
  readonly layers?: readonly string[]
  readonly layerType?: string
}

interface IndexOptions extends Common {
  readonly children?: readonly Descriptor[]
}

export function contentMaker(algorithm: DigestAlgorithm = 'sha256') {
  const blobs = new Map<Digest, Buffer>()
  const manifests: Map<Digest, { bytes: Buffer; mediaType: string; subject: Digest | undefined }> = new Map()
  const tags = new Map<string, Digest>()
  const referrers = new Map<Digest, Descriptor[]>()
  const content: Content = { blobs, manifests, tags, referrers }

  const blob = (bytes: Buffer, mediaType: string, data = false): Descriptor => {
    const digest = digestOf(bytes, algorithm)
    blobs.set(digest, bytes)
    return { mediaType, digest, size: bytes.length, ...(data && { data: bytes.toString('base64') }) }
  }

  const manifest = (
    mediaType: string,
    fields: Record<string, unknown>,
    { tag, subject, annotations, artifactType, extra }: Common,
    typeForReferrers: string | undefined,
  ): Made => {
    const unique =
      subject === undefined
        ? annotations
        : { ...annotations, 'org.example.unique': randomBytes(6).toString('hex') }
    const bytes = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType,
        artifactType,
        ...fields,
        subject,
        annotations: unique,
        ...extra,
      }),
    )
    const digest = digestOf(bytes, algorithm)
    const descriptor = { mediaType, digest, size: bytes.length }
    manifests.set(digest, { bytes, mediaType, subject: subject?.digest })
    if (tag !== undefined) tags.set(tag, digest)
    if (subject !== undefined)
      referrers.set(subject.digest, [
        ...(referrers.get(subject.digest) ?? []),
        {
          ...descriptor,
          ...(typeForReferrers !== undefined && { artifactType: typeForReferrers }),
          ...(unique !== undefined && { annotations: unique }),
        },
      ])
    return { content, descriptor }
  }

  const image = (options: ImageOptions): Made => {
    const { gzip = true, data = false, nondistributable = 0 } = options
    const texts = options.layers ?? [randomBytes(200), randomBytes(200)]
    const absent = Array.from({ length: nondistributable }, () => {
      const digest = digestOf(randomBytes(32), algorithm)
      return {
        mediaType: NONDISTRIBUTABLE_TYPE,
        digest,
        size: 12345,
        urls: [`https://store.example/${digest}`],
      }
    })
    const layers = texts.map(text =>
      gzip ? blob(gzipSync(text), `${LAYER_TYPE}+gzip`, data) : blob(text, LAYER_TYPE, data),
    )
    const config = {
      architecture: 'amd64',
      os: 'linux',
      author: randomBytes(6).toString('hex'),
      rootfs: { type: 'layers', diff_ids: texts.map(text => digestOf(text)) },
    }
    const fields = {
      config: blob(Buffer.from(JSON.stringify(config)), CONFIG_TYPE, data),
      layers: [...absent, ...layers],
    }
    return manifest(MANIFEST_TYPE, fields, options, options.artifactType ?? CONFIG_TYPE)
  }

  const artifact = (options: ArtifactOptions): Made => {
    const { layers = [randomBytes(30).toString('hex')], layerType = EXAMPLE_TYPE } = options
    const artifactType = options.artifactType ?? EXAMPLE_TYPE
    const fields = {
      config: blob(Buffer.from('{}'), EMPTY_TYPE),
      layers: layers.map(text => blob(Buffer.from(text), layerType)),
    }
    return manifest(MANIFEST_TYPE, fields, { ...options, artifactType }, artifactType)
  }

  const index = (options: IndexOptions): Made => {
    const children = options.children ?? [image({}).descriptor, image({}).descriptor]
    const platforms = ['amd64', 'arm64'].map(architecture => ({ os: 'linux', architecture }))
    const fields = { manifests: children.map((child, at) => ({ ...child, platform: platforms[at % 2] })) }
    return manifest(INDEX_TYPE, fields, options, options.artifactType)
  }

  return { image, artifact, index }
}
