/**
 * The format of `docker save` and `docker load`: a tar with `manifest.json`, which names for each image the file
 * of its config and the files of its layers, lowest first. Where those files lie is up to the writer:
 *
 * ```
 * docker < 25      <id>.json   <id>/layer.tar (at times a symlink to that of another image)
 * podman, skopeo   <id>.json   <diffID>.tar   and symlinks as docker had them
 * docker >= 25     blobs/sha256/<hex>, beside an OCI layout of the same content: what we write
 * ```
 *
 * Readers take layers plain or gzipped. Old ones know no zstd: such layers are written uncompressed.
 */
import { Readable, type Writable } from 'node:stream'
import { parseImageConfig } from '../../oci/config.ts'
import { type Descriptor, describeBytes } from '../../oci/descriptor.ts'
import { type Digest, Digester, DigestVerifier } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { type GraphSource, readContent } from '../../oci/graph.ts'
import {
  blobPath,
  INDEX_FILE,
  LAYOUT_FILE,
  layoutBytes,
  layoutIndexBytes,
  type NamedImage,
} from '../../oci/image-layout.ts'
import { isJsonObject, isStringArray, jsonBytes, parseJson } from '../../oci/json.ts'
import { decompress, detectCompression } from '../../oci/layer/decompression.ts'
import {
  type ImageManifest,
  imageManifestBytes,
  MAX_MANIFEST_BYTES,
  parseManifest,
} from '../../oci/manifest.ts'
import { layerCompression, MEDIA_TYPE, OCI_LAYER_TYPES } from '../../oci/media-type.ts'
import { bestForPlatform, type Platform } from '../../oci/platform.ts'
import { blobMember, bytesMember, type EnvelopeMember, writeEnvelope } from './envelope.ts'
import type { ImageArchive, ImagesToWrite } from './image-archive.ts'
import { checkSize } from './oci-archive.ts'
import type { TarIndex } from './tar-index.ts'

export const DOCKER_MANIFEST_FILE = 'manifest.json'

export interface DockerArchiveOptions extends ImagesToWrite {
  /** Neither ended nor closed. */
  readonly to: Writable
  /** Which image to take from an index of several: the format knows none. */
  readonly platform?: Platform
  /** Leaves zstd as it is, for readers that know it (Docker 23 and later); else such layers are written uncompressed. */
  readonly keepsZstd?: boolean
}

/** @throws OciError `content-missing` when the platform is not there, `manifest-invalid` for what is no image */
export async function writeDockerArchive(options: DockerArchiveOptions): Promise<void> {
  const { source, images, to, platform, keepsZstd = false, signal } = options
  const written: { readonly image: NamedImage; readonly entry: object }[] = []
  const members: EnvelopeMember[] = []
  for (const image of images) {
    const root = await imageOf(source, image.descriptor, platform)
    const files = await imageFiles(source, root, keepsZstd, signal)
    members.push(...files.members)
    const entry = { Config: files.config, RepoTags: image.names, Layers: files.layers }
    written.push({ image: { descriptor: files.manifest, names: image.names }, entry })
  }
  members.push(
    bytesMember(DOCKER_MANIFEST_FILE, jsonBytes(written.map(({ entry }) => entry))),
    bytesMember(INDEX_FILE, layoutIndexBytes(written.map(({ image }) => image))),
    bytesMember(LAYOUT_FILE, layoutBytes()),
  )
  await writeEnvelope(members, to, signal)
}

async function imageOf(source: GraphSource, root: Descriptor, platform?: Platform): Promise<Descriptor> {
  const manifest = parseManifest(await readContent(source, root), root.mediaType)
  if (manifest.kind === 'image') return root
  const images = manifest.manifests.filter(({ platform }) => platform?.os !== 'unknown')
  const [only] = images
  if (only !== undefined && images.length === 1) return imageOf(source, only, platform)
  const best = platform && bestForPlatform(images, platform)
  if (best !== undefined) return imageOf(source, best, platform)
  throw new OciError(
    'content-missing',
    `Cannot write ${root.digest} as a docker archive: it has ${images.length} platforms and none of them is the wanted one`,
  )
}

interface ImageFiles {
  readonly manifest: Descriptor
  readonly config: string
  readonly layers: readonly string[]
  readonly members: readonly EnvelopeMember[]
}

async function imageFiles(
  source: GraphSource,
  root: Descriptor,
  keepsZstd: boolean,
  signal: AbortSignal,
): Promise<ImageFiles> {
  const rootBytes = await readContent(source, root)
  const manifest = parseManifest(rootBytes, root.mediaType)
  if (manifest.kind !== 'image')
    throw new OciError('manifest-invalid', `Cannot write ${root.digest}: no image`)
  const configBytes = await readContent(source, manifest.config)
  const diffIDs = parseImageConfig(configBytes).rootfs.diff_ids
  if (diffIDs.length !== manifest.layers.length)
    throw new OciError(
      'manifest-invalid',
      `Cannot write ${root.digest}: ${manifest.layers.length} layers, but ${diffIDs.length} diffIDs`,
    )
  const layers: Descriptor[] = []
  const members: EnvelopeMember[] = []
  for (const [index, layer] of manifest.layers.entries()) {
    const diffID = diffIDs[index]
    const isPlain = keepsZstd || layerCompression(layer.mediaType) !== 'zstd' || diffID === undefined
    const file = isPlain
      ? { layer, member: blobMember(source, layer) }
      : await uncompressed(source, layer, diffID, signal)
    layers.push(file.layer)
    members.push(file.member)
  }
  const isChanged = layers.some((layer, index) => layer !== manifest.layers[index])
  const bytes = isChanged ? imageManifestBytes(rewritten(manifest, layers)) : rootBytes
  const written = isChanged ? { ...root, ...describeBytes(MEDIA_TYPE.ociManifest, bytes) } : root
  return {
    manifest: written,
    config: blobPath(manifest.config.digest),
    layers: layers.map(({ digest }) => blobPath(digest)),
    members: [
      ...members,
      bytesMember(blobPath(manifest.config.digest), configBytes),
      bytesMember(blobPath(written.digest), bytes),
    ],
  }
}

function rewritten(manifest: ImageManifest, layers: readonly Descriptor[]): Omit<ImageManifest, 'kind'> {
  const { kind: _, ...rest } = manifest
  return {
    ...rest,
    mediaType: MEDIA_TYPE.ociManifest,
    config: { ...manifest.config, mediaType: MEDIA_TYPE.ociConfig },
    layers,
  }
}

/** Read twice: a tar wants the size first, and only the end of the layer tells it. */
async function uncompressed(
  source: GraphSource,
  layer: Descriptor,
  diffID: Digest,
  signal: AbortSignal,
): Promise<{ readonly layer: Descriptor; readonly member: EnvelopeMember }> {
  const open = async () => decompress(await source.open(layer), 'zstd')
  let size = 0
  for await (const chunk of await open()) {
    signal.throwIfAborted()
    size += chunk.length
  }
  return {
    layer: { mediaType: MEDIA_TYPE.ociLayer, digest: diffID, size },
    member: {
      path: blobPath(diffID),
      size,
      open: async () => Readable.from(await open()).compose(new DigestVerifier({ digest: diffID, size })),
    },
  }
}

/**
 * Each image gets a manifest of ours over the files as they are. Compressed layers are read once here, to learn
 * their digests; plain ones have that of the config's diffID, which is verified when they are copied.
 * @param index is closed by the archive
 * @throws OciError `tar-invalid`, `layout-invalid`, `config-invalid`, `content-missing`; StoreError
 */
export async function readDockerArchive(index: TarIndex, signal: AbortSignal): Promise<ImageArchive> {
  const reader = createReader(index, signal)
  const images: NamedImage[] = []
  for (const entry of parseEntries(await index.read(DOCKER_MANIFEST_FILE, MAX_MANIFEST_BYTES)))
    images.push({ descriptor: await reader.describe(entry), names: entry.names })
  return {
    format: 'docker-archive',
    images,
    source: reader.source,
    [Symbol.asyncDispose]: () => index[Symbol.asyncDispose](),
  }
}

interface ArchiveEntry {
  readonly config: string
  readonly names: readonly string[]
  readonly layers: readonly string[]
}

const MAX_IMAGES = 1000
/** Layers of one image; overlayfs takes fewer. */
const MAX_LAYERS = 1000

function parseEntries(bytes: Uint8Array): readonly ArchiveEntry[] {
  const value = parseJson(bytes)
  if (!Array.isArray(value) || value.length > MAX_IMAGES)
    throw invalid(`${DOCKER_MANIFEST_FILE} is not a list of up to ${MAX_IMAGES} images`)
  return value.map((item: unknown) => {
    const { Config: config, RepoTags, Layers } = isJsonObject(item) ? item : {}
    const names = RepoTags ?? []
    const layers = Layers ?? []
    if (typeof config !== 'string' || !isStringArray(names) || !isStringArray(layers))
      throw invalid(`${DOCKER_MANIFEST_FILE} lacks Config, RepoTags or Layers`)
    if (layers.length > MAX_LAYERS) throw invalid(`an image has ${layers.length} layers`)
    return { config, names: [...new Set(names)], layers }
  })
}

function createReader(index: TarIndex, signal: AbortSignal) {
  /** Content by digest: a document of ours, or the path of a file. */
  const content = new Map<Digest, Buffer | string>()
  const layersByPath = new Map<string, Descriptor>()

  const describeLayer = async (path: string, diffID: Digest): Promise<Descriptor> => {
    const known = layersByPath.get(path)
    if (known !== undefined) return known
    const compression = detectCompression(await index.head(path, 6))
    if (compression === 'xz' || compression === 'bzip2')
      throw invalid(`layer ${JSON.stringify(path)} is compressed by ${compression}`)
    const layer =
      compression === 'none'
        ? { mediaType: MEDIA_TYPE.ociLayer, digest: diffID, size: index.size(path) ?? 0 }
        : {
            mediaType: OCI_LAYER_TYPES[compression],
            ...(await measuredFile(index, path, signal)),
          }
    content.set(layer.digest, path)
    // A plain file that two images claim under different diffIDs must answer for both.
    if (compression !== 'none') layersByPath.set(path, layer)
    return layer
  }

  const source: GraphSource = {
    async open(descriptor) {
      const found = content.get(descriptor.digest)
      if (found === undefined) checkSize(descriptor, undefined)
      if (typeof found === 'string') {
        checkSize(descriptor, index.size(found))
        return index.open(found)
      }
      return Readable.from(found === undefined ? [] : [found])
    },
  }

  return {
    source,
    async describe({ config, layers }: ArchiveEntry): Promise<Descriptor> {
      const configBytes = await index.read(config, MAX_MANIFEST_BYTES)
      const { rootfs, os, architecture, variant } = parseImageConfig(configBytes)
      if (rootfs.diff_ids.length !== layers.length)
        throw invalid(`an image has ${layers.length} layers, but its config ${rootfs.diff_ids.length}`)
      const descriptors: Descriptor[] = []
      for (const [at, diffID] of rootfs.diff_ids.entries())
        descriptors.push(await describeLayer(layers[at] ?? '', diffID))
      const configDescriptor = describeBytes(MEDIA_TYPE.ociConfig, configBytes)
      const manifest = imageManifestBytes({
        mediaType: MEDIA_TYPE.ociManifest,
        config: configDescriptor,
        layers: descriptors,
      })
      const descriptor = describeBytes(MEDIA_TYPE.ociManifest, manifest)
      content.set(configDescriptor.digest, configBytes)
      content.set(descriptor.digest, manifest)
      return { ...descriptor, platform: { os, architecture, ...(variant !== undefined && { variant }) } }
    },
  }
}

async function measuredFile(
  index: TarIndex,
  path: string,
  signal: AbortSignal,
): Promise<Pick<Descriptor, 'digest' | 'size'>> {
  const digester = new Digester()
  for await (const chunk of index.open(path)) {
    signal.throwIfAborted()
    digester.update(chunk)
  }
  return { size: digester.size, digest: digester.digest() }
}

function invalid(problem: string): OciError {
  return new OciError('layout-invalid', `Cannot read docker archive: ${problem}`)
}
