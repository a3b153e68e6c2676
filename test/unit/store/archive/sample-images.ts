import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import type { TestContext } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { pack } from 'tar-stream'
import type { Descriptor } from '../../../../src/oci/descriptor.ts'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { OciError } from '../../../../src/oci/errors.ts'
import { type GraphSource, type GraphTarget, readContent } from '../../../../src/oci/graph.ts'
import { imageManifestBytes, indexBytes } from '../../../../src/oci/manifest.ts'
import { type Compression, MEDIA_TYPE } from '../../../../src/oci/media-type.ts'

export const { signal } = new AbortController()

/** Content in memory, as both ends of a copy. */
export class MemoryContent implements GraphSource, GraphTarget {
  readonly blobs = new Map<Digest, Buffer>()

  add(mediaType: string, bytes: Buffer): Descriptor {
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length }
    this.blobs.set(descriptor.digest, bytes)
    return descriptor
  }

  async open({ digest }: Descriptor): Promise<Readable> {
    const bytes = this.blobs.get(digest)
    if (bytes === undefined) throw new OciError('content-missing', `Cannot read ${digest}: not there`)
    return Readable.from([bytes])
  }

  async has({ digest }: Descriptor): Promise<boolean> {
    return this.blobs.has(digest)
  }

  async write(descriptor: Descriptor, source: AsyncIterable<Buffer>): Promise<void> {
    const open = async () => Readable.from(source)
    this.blobs.set(descriptor.digest, await readContent({ open }, descriptor, 2 ** 30))
  }
}

const LAYER_TYPES = {
  none: [MEDIA_TYPE.ociLayer, (tar: Buffer) => tar],
  gzip: [MEDIA_TYPE.ociLayerGzip, (tar: Buffer) => gzipSync(tar)],
  zstd: [MEDIA_TYPE.ociLayerZstd, (tar: Buffer) => zstdCompressSync(tar)],
} as const

/** An image whose layers hold one file each. */
export async function addImage(
  content: MemoryContent,
  compressions: readonly Compression[],
  architecture = 'amd64',
): Promise<Descriptor> {
  const diffIDs: Digest[] = []
  const layers: Descriptor[] = []
  for (const [index, compression] of compressions.entries()) {
    const tar = await tarOf([{ name: `file-${index}`, body: `layer ${index} `.repeat(1000) }])
    const [mediaType, compress] = LAYER_TYPES[compression]
    diffIDs.push(digestOf(tar))
    layers.push(content.add(mediaType, compress(tar)))
  }
  const config = { os: 'linux', architecture, config: {}, rootfs: { type: 'layers', diff_ids: diffIDs } }
  const manifest = imageManifestBytes({
    mediaType: MEDIA_TYPE.ociManifest,
    config: content.add(MEDIA_TYPE.ociConfig, Buffer.from(JSON.stringify(config))),
    layers,
  })
  return { ...content.add(MEDIA_TYPE.ociManifest, manifest), platform: { os: 'linux', architecture } }
}

export function addIndex(content: MemoryContent, manifests: readonly Descriptor[]): Descriptor {
  return content.add(MEDIA_TYPE.ociIndex, indexBytes({ mediaType: MEDIA_TYPE.ociIndex, manifests }))
}

export interface TarFile {
  readonly name: string
  readonly body?: string | Buffer
  readonly linkTo?: string
}

export async function tarOf(files: readonly TarFile[]): Promise<Buffer> {
  const tar = pack()
  for (const { name, body = '', linkTo } of files) {
    const common = { name, mtime: new Date(0) }
    if (linkTo === undefined) tar.entry({ ...common, mode: 0o644 }, body)
    else tar.entry({ ...common, mode: 0o777, type: 'symlink', linkname: linkTo })
  }
  tar.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of tar) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** Takes all that is written. */
export class Sink extends Writable {
  readonly #chunks: Buffer[] = []

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  get digest(): string {
    return createHash('sha256').update(this.bytes).digest('hex')
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#chunks.push(chunk)
    done()
  }
}

export async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'slipway-archive-'))
  t.after(() => rm(directory, { recursive: true }))
  return directory
}
