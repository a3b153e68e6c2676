import { type ImageConfig, parseImageConfig } from '../../oci/config.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { type Digest, isDigest } from '../../oci/digest.ts'
import { graphSource, readContent } from '../../oci/graph.ts'
import { type ImageManifest, type Manifest, parseManifest } from '../../oci/manifest.ts'
import { MEDIA_TYPE } from '../../oci/media-type.ts'
import { bestForPlatform, formatPlatform, type Platform } from '../../oci/platform.ts'
import {
  LATEST,
  onDockerHub,
  parseReference,
  type Reference,
  type RepositoryName,
  repositoryOf,
  type Tag,
} from '../../oci/reference.ts'
import type { ManifestRecord } from '../../store/metadata.ts'
import type { Store } from '../../store/store.ts'
import { CliError } from '../errors.ts'

/** A manifest that the store holds, and the name by which it was found. */
export interface StoredImage {
  readonly repository: RepositoryName
  /** Undefined when it was found by its digest. */
  readonly tag: Tag | undefined
  readonly manifest: ManifestRecord
}

/** One platform's image, read. */
export interface ImageDetails {
  readonly descriptor: Descriptor
  readonly manifest: ImageManifest
  readonly config: ImageConfig
}

/**
 * Finds an image by what a person types: `app`, `app:1.0`, `debian` (our own, else Docker Hub's as it was pulled),
 * `host/app:1.0`, `app@sha256:...`, or the digest or image ID of a named image, whole or its first digits.
 * @throws CliError `image-unknown`
 */
export function findImage(store: Store, text: string): StoredImage {
  const [found] = findNames(store, text)
  if (found !== undefined) return found
  throw new CliError('image-unknown', `Cannot find image ${JSON.stringify(text)} in the store`, {
    hint: "'slipway images' lists what is there",
  })
}

/** As `findImage`, but of an ID or a digest all images and names that it may mean; empty when there is none. */
export function findNames(store: Store, text: string): readonly StoredImage[] {
  const byID = isImageID(text) ? findByID(store, text) : []
  if (byID.length > 0 || (isImageID(text) && text.length >= 64)) return byID
  const byName = findByName(store, parseReference(text))
  return byName === undefined ? [] : [byName]
}

function findByName(store: Store, reference: Reference): StoredImage | undefined {
  const candidates =
    reference.registry === undefined ? [reference, onDockerHub(reference)] : [onDockerHub(reference)]
  for (const candidate of candidates) {
    const repository = repositoryOf(candidate)
    const tag = candidate.digest === undefined ? (candidate.tag ?? LATEST) : undefined
    const digest = candidate.digest ?? (tag && store.metadata.getTag(repository, tag)?.digest)
    const manifest = digest && store.metadata.getManifest(repository, digest)
    if (manifest !== undefined) return { repository, tag, manifest }
  }
  return undefined
}

/** The image for a platform: of an index the best entry, of a single image that one. Undefined when there is none, as of an artifact. */
export async function findPlatformImage(
  store: Store,
  image: ManifestRecord,
  platform: Platform,
): Promise<ImageDetails | undefined> {
  const descriptor = descriptorOf(image)
  const manifest = await readManifest(store, descriptor)
  if (manifest.kind === 'image')
    return isImageConfig(manifest.config) ? readDetails(store, descriptor, manifest) : undefined
  const best = bestForPlatform(manifest.manifests, platform)
  if (best === undefined) return undefined
  const inner = await readManifest(store, best)
  return inner.kind === 'image' ? readDetails(store, best, inner) : undefined
}

/** @throws CliError `image-unknown` when the image is not for this platform */
export async function readImage(
  store: Store,
  image: ManifestRecord,
  platform: Platform,
): Promise<ImageDetails> {
  const found = await findPlatformImage(store, image, platform)
  if (found !== undefined) return found
  throw new CliError(
    'image-unknown',
    `Cannot read ${image.digest}: it has no image for ${formatPlatform(platform)}`,
  )
}

/** False for artifacts that only have the form of an image, such as build caches. */
function isImageConfig({ mediaType }: Descriptor): boolean {
  return mediaType === MEDIA_TYPE.ociConfig || mediaType === MEDIA_TYPE.dockerConfig
}

export function descriptorOf({ mediaType, digest, size }: ManifestRecord): Descriptor {
  return { mediaType, digest, size }
}

/** What the image takes as it is stored, in bytes: config and layers. */
export function imageSize(manifest: ImageManifest): number {
  return manifest.layers.reduce((sum, layer) => sum + layer.size, manifest.config.size)
}

async function readManifest(store: Store, descriptor: Descriptor): Promise<Manifest> {
  return parseManifest(await readContent(graphSource(store.content), descriptor), descriptor.mediaType)
}

async function readDetails(
  store: Store,
  descriptor: Descriptor,
  manifest: ImageManifest,
): Promise<ImageDetails> {
  const config = parseImageConfig(await readContent(graphSource(store.content), manifest.config))
  return { descriptor, manifest, config }
}

function isImageID(text: string): boolean {
  return isDigest(text) || /^(sha256:)?[0-9a-f]{12,64}$/.test(text)
}

function findByID(store: Store, text: string): readonly StoredImage[] {
  const found: StoredImage[] = []
  const start = text.startsWith('sha') ? text : `sha256:${text}`
  for (const { repository, tag, digest } of store.metadata.listAllTags()) {
    const manifest = store.metadata.getManifest(repository, digest)
    if (manifest === undefined) continue
    // Of an image manifest, the first reference is its config: the image ID.
    const ids: readonly (Digest | undefined)[] = [digest, manifest.references[0]]
    if (ids.some(id => id?.startsWith(start))) found.push({ repository, tag, manifest })
  }
  return found
}

/** For messages and lists: `app:1.0`. */
export function imageName({ repository, tag, manifest }: StoredImage): string {
  return tag === undefined ? `${repository}@${manifest.digest}` : `${repository}:${tag}`
}
