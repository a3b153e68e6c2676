/**
 * Attestations as BuildKit attaches them: beside the image, in its index, a manifest for a platform that does not
 * exist. Its layers are in-toto statements about the image; its annotations name the image.
 *
 * ```
 * index ─┬─ image manifest                          linux/amd64
 *        └─ attestation manifest                    unknown/unknown, vnd.docker.reference.digest: the image's
 *             └─ layers: in-toto statements         in-toto.io/predicate-type: what each is
 * ```
 */
import { type Descriptor, describeBytes } from '../../oci/descriptor.ts'
import { digestHex } from '../../oci/digest.ts'
import { jsonBytes } from '../../oci/json.ts'
import { imageManifestBytes } from '../../oci/manifest.ts'
import { MEDIA_TYPE } from '../../oci/media-type.ts'
import type { Platform } from '../../oci/platform.ts'
import type { Reference } from '../../oci/reference.ts'
import { imagePurl } from './purl.ts'

/** What is said of an image. */
export interface Claim {
  /** `https://slsa.dev/provenance/v1` */
  readonly predicateType: string
  readonly predicate: unknown
}

export interface Attestation {
  /** As an index lists it. */
  readonly manifest: Descriptor
  readonly documents: readonly { readonly descriptor: Descriptor; readonly bytes: Buffer }[]
}

export interface AttestationSubject {
  /** Of the image manifest. */
  readonly image: Descriptor
  readonly platform: Platform
  readonly names: readonly Reference[]
}

const IN_TOTO = 'application/vnd.in-toto+json'

export function createAttestation(subject: AttestationSubject, claims: readonly Claim[]): Attestation {
  const { image, platform, names } = subject
  const statements = claims.map(({ predicateType, predicate }) => {
    const bytes = jsonBytes({
      _type: 'https://in-toto.io/Statement/v0.1',
      predicateType,
      subject: names.map(name => ({
        name: imagePurl(name, platform),
        digest: { sha256: digestHex(image.digest) },
      })),
      predicate,
    })
    const annotations = { 'in-toto.io/predicate-type': predicateType }
    return { descriptor: { ...describeBytes(IN_TOTO, bytes), annotations }, bytes }
  })
  const configBytes = jsonBytes({
    architecture: 'unknown',
    os: 'unknown',
    config: {},
    rootfs: { type: 'layers', diff_ids: statements.map(({ descriptor }) => descriptor.digest) },
  })
  const config = { descriptor: describeBytes(MEDIA_TYPE.ociConfig, configBytes), bytes: configBytes }
  const bytes = imageManifestBytes({
    mediaType: MEDIA_TYPE.ociManifest,
    config: config.descriptor,
    layers: statements.map(({ descriptor }) => descriptor),
  })
  const descriptor = describeBytes(MEDIA_TYPE.ociManifest, bytes)
  return {
    manifest: {
      ...descriptor,
      annotations: {
        'vnd.docker.reference.digest': image.digest,
        'vnd.docker.reference.type': 'attestation-manifest',
      },
      platform: { architecture: 'unknown', os: 'unknown' },
    },
    documents: [...statements, config, { descriptor, bytes }],
  }
}
