import type { ImageConfig } from '../oci/config.ts'
import { parseImageConfig } from '../oci/config.ts'
import type { ContentProvider } from '../oci/content.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { CodedError } from '../oci/errors.ts'
import { graphSource, readContent } from '../oci/graph.ts'
import type { ImageIndex, ImageManifest, Manifest } from '../oci/manifest.ts'
import { MEDIA_TYPE } from '../oci/media-type.ts'
import { formatPlatform, type Platform } from '../oci/platform.ts'

/** What lists show of a manifest, and what only its content and its config's can tell. */
export interface ManifestDetails {
  /** Of an image alone: it and what it names, each digest once. Of an index the store counts what it has. */
  readonly bytes?: number
  /** Milliseconds since the epoch. */
  readonly createdAt?: number
  readonly platforms: readonly { readonly platform: string; readonly digest: Digest }[]
  readonly labels: Readonly<Record<string, string>>
}

/** Of what is hostile only so much is kept in rows. */
const MAX_PLATFORMS = 100
const MAX_LABELS = 20
const MAX_LABEL_LENGTH = 512

/**
 * Reads what `self` (the manifest's own descriptor) cannot tell by itself. A config that is missing, damaged or of
 * another kind only leaves things out.
 */
export async function describeManifest(
  content: Pick<ContentProvider, 'open'>,
  manifest: Manifest,
  self: Pick<Descriptor, 'digest' | 'size'>,
): Promise<ManifestDetails> {
  return manifest.kind === 'index' ? describeIndex(manifest) : describeImage(content, manifest, self)
}

async function describeImage(
  content: Pick<ContentProvider, 'open'>,
  manifest: ImageManifest,
  { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
): Promise<ManifestDetails> {
  const config = await readConfig(content, manifest.config)
  const sizes = new Map([manifest.config, ...manifest.layers].map(child => [child.digest, child.size]))
  const bytes = [...sizes.values()].reduce((sum, one) => sum + one, size)
  const createdAt = timeOf(config?.created ?? manifest.annotations?.[CREATED])
  return {
    bytes: Math.min(bytes, Number.MAX_SAFE_INTEGER),
    ...(createdAt !== undefined && { createdAt }),
    platforms: config === undefined || !isKnown(config) ? [] : [{ platform: formatPlatform(config), digest }],
    labels: notable({ ...config?.config.Labels, ...manifest.annotations }),
  }
}

function describeIndex({ manifests, annotations }: ImageIndex): ManifestDetails {
  const createdAt = timeOf(annotations?.[CREATED])
  const platforms = manifests.flatMap(({ platform, digest }) =>
    platform !== undefined && isKnown(platform) ? [{ platform: formatPlatform(platform), digest }] : [],
  )
  return {
    ...(createdAt !== undefined && { createdAt }),
    platforms: platforms.slice(0, MAX_PLATFORMS),
    labels: notable(annotations ?? {}),
  }
}

/** Attestations stand in an index as images for `unknown/unknown`. */
function isKnown({ os, architecture }: Platform): boolean {
  return os !== 'unknown' && architecture !== 'unknown' && os.length + architecture.length < 100
}

async function readConfig(
  content: Pick<ContentProvider, 'open'>,
  descriptor: Descriptor,
): Promise<ImageConfig | undefined> {
  const { mediaType } = descriptor
  if (mediaType !== MEDIA_TYPE.ociConfig && mediaType !== MEDIA_TYPE.dockerConfig) return undefined
  try {
    return parseImageConfig(await readContent(graphSource(content), descriptor))
  } catch (error) {
    if (error instanceof CodedError && UNREADABLE.has(error.code)) return undefined
    throw error
  }
}

const UNREADABLE: ReadonlySet<string> = new Set([
  'content-missing',
  'content-corrupt',
  'digest-mismatch',
  'size-mismatch',
  'config-invalid',
])

const PREFIX = 'org.opencontainers.image.'
const CREATED = `${PREFIX}created`

/** The labels and annotations that the image-spec defines (`annotations.md`). */
function notable(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const kept = Object.entries(labels).filter(
    ([name, value]) => name.startsWith(PREFIX) && name.length + value.length <= MAX_LABEL_LENGTH,
  )
  return Object.fromEntries(kept.slice(0, MAX_LABELS))
}

function timeOf(text: string | undefined): number | undefined {
  const time = Date.parse(text ?? '')
  return Number.isNaN(time) ? undefined : time
}
