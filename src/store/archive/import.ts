import { imageConfigBytes, type RuntimeConfig } from '../../oci/config.ts'
import { type Descriptor, describeBytes } from '../../oci/descriptor.ts'
import { OciError } from '../../oci/errors.ts'
import { graphTarget, writeContent } from '../../oci/graph.ts'
import { decompress, sniffCompression } from '../../oci/layer/decompression.ts'
import { withinRatio } from '../../oci/layer/ratio.ts'
import type { ArchiveLimits } from '../../oci/limits.ts'
import { imageManifestBytes } from '../../oci/manifest.ts'
import { type Compression, MEDIA_TYPE } from '../../oci/media-type.ts'
import type { Platform } from '../../oci/platform.ts'
import { formatTime } from '../../oci/time.ts'
import type { Store } from '../store.ts'
import type { Decompress } from './open-archive.ts'

export interface ImportOptions {
  readonly store: Pick<Store, 'content' | 'layers'>
  /** A root filesystem as a tar: plain, gzip or zstd; xz and bzip2 where `decompressWith` is given. */
  readonly tar: AsyncIterable<Uint8Array>
  readonly decompressWith?: Decompress
  /** Of the tar, should it be compressed. */
  readonly limits?: Partial<ArchiveLimits>
  /** The image's configuration (`docker import --change`). */
  readonly config: RuntimeConfig
  readonly platform: Platform
  /** Of the layer as it is stored. */
  readonly compression: Compression
  /** Of the history: `Imported from rootfs.tar`. */
  readonly comment: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly signal: AbortSignal
}

export interface ImportedImage {
  /** The manifest; it and all that it needs is stored, but has no name yet (`nameImage`). */
  readonly descriptor: Descriptor
  /** The config, whose digest is the image ID. */
  readonly config: Descriptor
}

/**
 * Makes an image of one layer, whose entries are kept exactly as they are.
 * @throws OciError `tar-invalid`, `layer-invalid`; StoreError; what `tar` throws; the signal's reason
 */
export async function importRootfs(options: ImportOptions): Promise<ImportedImage> {
  const { store, config, platform, compression, comment, now, signal } = options
  const layer = await store.layers.ingest(await plainTar(options), compression, signal)
  const created = formatTime(now())
  const configBytes = imageConfigBytes({
    ...platform,
    created,
    config,
    rootfs: { type: 'layers', diff_ids: [layer.diffID] },
    history: [{ created, comment }],
    unknown: {},
  })
  const { digest, size, mediaType } = layer
  const configDescriptor = await put(store, MEDIA_TYPE.ociConfig, configBytes, signal)
  const manifest = imageManifestBytes({
    mediaType: MEDIA_TYPE.ociManifest,
    config: configDescriptor,
    layers: [{ mediaType, digest, size }],
  })
  const descriptor = await put(store, MEDIA_TYPE.ociManifest, manifest, signal)
  return { descriptor: { ...descriptor, platform }, config: configDescriptor }
}

async function put(
  { content }: Pick<Store, 'content'>,
  mediaType: string,
  bytes: Buffer,
  signal: AbortSignal,
): Promise<Descriptor> {
  const descriptor = describeBytes(mediaType, bytes)
  await writeContent(graphTarget(content), descriptor, bytes, signal)
  return descriptor
}

async function plainTar({ tar, decompressWith, limits }: ImportOptions): Promise<AsyncIterable<Uint8Array>> {
  const { compression, isEmpty, whole } = await sniffCompression(tar)
  // A producer that failed in a pipe sends nothing; an empty root filesystem is a tar of two zero blocks.
  if (isEmpty) throw new OciError('tar-invalid', 'Cannot import root filesystem: there are no bytes')
  if (compression === 'none') return whole
  if (compression === 'gzip' || compression === 'zstd') return decompress(whole, compression, limits)
  if (decompressWith !== undefined)
    return withinRatio(whole, compression, from => decompressWith(compression, from), limits)
  throw new OciError('layer-invalid', `Cannot import root filesystem: it is compressed by ${compression}`)
}
