import { type Digest, digestOf, isDigest } from './digest.ts'
import { OciError } from './errors.ts'
import { describeJson, isJsonObject, isStringArray, isStringMap, type JsonObject } from './json.ts'
import { type Platform, readPlatform } from './platform.ts'

/** Points at content: what it is, how long, and its digest (image-spec `descriptor.md`). */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  /** In bytes. */
  readonly size: number
  readonly urls?: readonly string[]
  readonly annotations?: Readonly<Record<string, string>>
  readonly platform?: Platform
  readonly artifactType?: string
  /** Base64 of the content itself. */
  readonly data?: string
}

/** Of bytes that are there. */
export function describeBytes(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length }
}

/**
 * @param where names the place in the document, such as `layers[2]`, for the message
 * @throws OciError `descriptor-invalid`
 */
export function parseDescriptor(value: unknown, where: string): Descriptor {
  if (!isJsonObject(value)) throw invalid(where, 'not an object')
  const { mediaType, digest, size, urls, annotations, platform, artifactType, data } = value
  if (typeof mediaType !== 'string' || mediaType === '') throw invalid(where, 'mediaType is missing')
  if (typeof digest !== 'string' || !isDigest(digest))
    throw invalid(where, `digest ${describeJson(digest)} is not a digest`)
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw invalid(where, `size ${describeJson(size)} is not a number of bytes`)
  return {
    mediaType,
    digest,
    size,
    ...(isStringArray(urls) && { urls }),
    ...(isStringMap(annotations) && { annotations }),
    ...(isJsonObject(platform) && { platform: parsePlatformObject(platform, where) }),
    ...(typeof artifactType === 'string' && { artifactType }),
    ...(typeof data === 'string' && { data }),
  }
}

function parsePlatformObject(value: JsonObject, where: string): Platform {
  const platform = readPlatform(value)
  if (platform === undefined) throw invalid(where, 'platform lacks os or architecture')
  return platform
}

function invalid(where: string, problem: string): OciError {
  return new OciError('descriptor-invalid', `Cannot read descriptor ${where}: ${problem}`)
}
