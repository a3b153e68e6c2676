/**
 * The OCI image layout (image-spec `image-layout.md`), as documents and names; where they lie, in a directory or
 * in a tar, is the business of `store/archive`.
 *
 * ```
 * oci-layout                {"imageLayoutVersion":"1.0.0"}
 * index.json                the images, each with its name as an annotation
 * blobs/sha256/<hex>        all content
 * ```
 */
import type { Descriptor } from './descriptor.ts'
import { type Digest, digestAlgorithm, digestHex } from './digest.ts'
import { OciError } from './errors.ts'
import { isJsonObject, jsonBytes, parseJson } from './json.ts'
import { indexBytes, parseManifest } from './manifest.ts'
import { MEDIA_TYPE } from './media-type.ts'
import { formatReference, onDockerHub, parseReference } from './reference.ts'

export const LAYOUT_FILE = 'oci-layout'
export const INDEX_FILE = 'index.json'

/** An image of a layout or archive. */
export interface NamedImage {
  readonly descriptor: Descriptor
  /** As the archive gives them: `app:1.0`, `docker.io/library/debian:12`, or a bare tag. Foreign text in what was read. */
  readonly names: readonly string[]
}

/** `blobs/sha256/<hex>` */
export function blobPath(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`
}

export function layoutBytes(): Buffer {
  return jsonBytes({ imageLayoutVersion: '1.0.0' })
}

/** @throws OciError `layout-invalid` unless it is a layout of version 1 */
export function checkLayout(bytes: Uint8Array): void {
  const value = parseJson(bytes)
  const version = isJsonObject(value) ? value.imageLayoutVersion : undefined
  if (typeof version !== 'string') throw invalid(`${LAYOUT_FILE} tells no imageLayoutVersion`)
  if (!/^1\.\d+\.\d+$/.test(version))
    throw invalid(`version ${JSON.stringify(version.slice(0, 40))} is not 1.x`)
}

/** Equal images with several names are one. @throws OciError `layout-invalid` */
export function parseLayoutIndex(bytes: Uint8Array): readonly NamedImage[] {
  const index = parseManifest(bytes, MEDIA_TYPE.ociIndex)
  if (index.kind !== 'index') throw invalid(`${INDEX_FILE} is not an index`)
  const images = new Map<Digest, { descriptor: Descriptor; names: string[] }>()
  for (const { annotations = {}, ...descriptor } of index.manifests) {
    const { [REF_NAME]: _ref, [CONTAINERD_NAME]: _name, ...others } = annotations
    const kept = Object.keys(others).length === 0 ? descriptor : { ...descriptor, annotations: others }
    const image: { descriptor: Descriptor; names: string[] } = images.get(descriptor.digest) ?? {
      descriptor: kept,
      names: [],
    }
    images.set(descriptor.digest, image)
    const name = nameOf(annotations)
    if (name !== undefined && !image.names.includes(name)) image.names.push(name)
  }
  return [...images.values()]
}

/** One entry per name, sorted by name; an image without a name is listed too. */
export function layoutIndexBytes(images: readonly NamedImage[]): Buffer {
  const entries = images.flatMap(({ descriptor, names }) =>
    (names.length === 0 ? [undefined] : names).map(name => ({ name, descriptor })),
  )
  entries.sort(
    (a, b) => compare(a.name ?? '', b.name ?? '') || compare(a.descriptor.digest, b.descriptor.digest),
  )
  const manifests = entries.map(({ name, descriptor }) =>
    name === undefined
      ? descriptor
      : { ...descriptor, annotations: { ...descriptor.annotations, ...nameAnnotations(name) } },
  )
  return indexBytes({ mediaType: MEDIA_TYPE.ociIndex, manifests })
}

const REF_NAME = 'org.opencontainers.image.ref.name'
const CONTAINERD_NAME = 'io.containerd.image.name'

/**
 * Tools disagree on what the annotation of the specification holds: podman and we write the whole name, BuildKit
 * only the tag, with the whole name in containerd's annotation.
 */
function nameOf(annotations: Readonly<Record<string, string>>): string | undefined {
  const ref = annotations[REF_NAME]
  const full = annotations[CONTAINERD_NAME]
  return ref !== undefined && (full === undefined || /[/:]/.test(ref)) ? ref : full
}

function nameAnnotations(name: string): Readonly<Record<string, string>> {
  const isWhole = /[/:]/.test(name)
  return {
    ...(isWhole && { [CONTAINERD_NAME]: formatReference(onDockerHub(parseReference(name))) }),
    [REF_NAME]: name,
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function invalid(problem: string): OciError {
  return new OciError('layout-invalid', `Cannot read OCI layout: ${problem}`)
}
