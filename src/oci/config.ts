import { type Digest, isDigest } from './digest.ts'
import { OciError } from './errors.ts'
import { describeJson, isJsonObject, isStringArray, isStringMap, type JsonObject, parseJson } from './json.ts'
import { type Platform, readPlatform } from './platform.ts'

/** Health check of Docker's config; durations in nanoseconds, 0 inherits. */
export interface Healthcheck {
  readonly Test?: readonly string[]
  readonly Interval?: number
  readonly Timeout?: number
  readonly StartPeriod?: number
  readonly StartInterval?: number
  readonly Retries?: number
}

/** How containers of the image run (image-spec `config.md#properties`, with Docker's additions). */
export interface RuntimeConfig {
  readonly User?: string
  readonly ExposedPorts?: Readonly<Record<string, object>>
  /** `NAME=value`, in order. */
  readonly Env?: readonly string[]
  readonly Entrypoint?: readonly string[] | null
  readonly Cmd?: readonly string[] | null
  readonly Volumes?: Readonly<Record<string, object>>
  readonly WorkingDir?: string
  readonly Labels?: Readonly<Record<string, string>>
  readonly StopSignal?: string
  readonly Healthcheck?: Healthcheck
  readonly OnBuild?: readonly string[] | null
  readonly Shell?: readonly string[]
  readonly ArgsEscaped?: boolean
}

export interface HistoryEntry {
  readonly created?: string
  readonly created_by?: string
  readonly author?: string
  readonly comment?: string
  readonly empty_layer?: boolean
}

/** The image config (image-spec `config.md`). Its digest is Docker's image ID. */
export interface ImageConfig extends Platform {
  /** RFC 3339. */
  readonly created?: string
  readonly author?: string
  readonly config: RuntimeConfig
  readonly rootfs: { readonly type: 'layers'; readonly diff_ids: readonly Digest[] }
  readonly history: readonly HistoryEntry[]
  /** Fields of the document that we do not know; they are written back as they were. */
  readonly unknown: JsonObject
}

/**
 * Reads a config with the fields of `config` as they are: unknown ones stay in it and are written back.
 * @throws OciError `config-invalid`
 */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const value = parseJson(bytes)
  if (!isJsonObject(value)) throw invalid('not a JSON object')
  const platform = readPlatform(value)
  if (platform === undefined) throw invalid('os or architecture is missing')
  const { created, author, config, rootfs, history, ...rest } = value
  if (!isJsonObject(rootfs) || !Array.isArray(rootfs.diff_ids)) throw invalid('rootfs.diff_ids is missing')
  const diffIDs = rootfs.diff_ids.map(id => {
    if (typeof id === 'string' && isDigest(id)) return id
    throw invalid(`rootfs.diff_ids holds ${describeJson(id)}`)
  })
  const { os, architecture, variant, 'os.version': _version, 'os.features': _features, ...unknown } = rest
  return {
    ...platform,
    ...(typeof created === 'string' && { created }),
    ...(typeof author === 'string' && { author }),
    config: parseRuntimeConfig(config),
    rootfs: { type: 'layers', diff_ids: diffIDs },
    history: Array.isArray(history) ? history.filter(isJsonObject) : [],
    unknown,
  }
}

/**
 * The bytes of a config as BuildKit writes them, so that an image with the same content has the same ID: the names of
 * the document sorted, and escaped what Go's encoder escapes for HTML.
 */
export function imageConfigBytes(image: ImageConfig): Buffer {
  const { unknown, ...known } = image
  const sorted = Object.entries({ ...unknown, ...known }).toSorted(([a], [b]) => (a < b ? -1 : 1))
  const text = JSON.stringify(Object.fromEntries(sorted))
  return Buffer.from(
    text.replace(
      /[<>&\u2028\u2029]/g,
      character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
  )
}

type Check = (value: unknown) => boolean
const isString: Check = value => typeof value === 'string'
const isStringsOrNull: Check = value => value === null || isStringArray(value)
const isKeySet: Check = value => isJsonObject(value) && Object.values(value).every(isJsonObject)

const FIELDS: Readonly<Record<keyof RuntimeConfig, Check>> = {
  User: isString,
  ExposedPorts: isKeySet,
  Env: isStringArray,
  Entrypoint: isStringsOrNull,
  Cmd: isStringsOrNull,
  Volumes: isKeySet,
  WorkingDir: isString,
  Labels: isStringMap,
  StopSignal: isString,
  Healthcheck: isJsonObject,
  OnBuild: isStringsOrNull,
  Shell: isStringArray,
  ArgsEscaped: value => typeof value === 'boolean',
}

function parseRuntimeConfig(value: unknown): RuntimeConfig {
  if (value === undefined || value === null) return {}
  if (!isJsonObject(value)) throw invalid('config is not an object')
  const kept = Object.entries(value).filter(([, item]) => item !== null)
  for (const [name, item] of kept) {
    if (Object.hasOwn(FIELDS, name) && !FIELDS[name as keyof RuntimeConfig](item))
      throw invalid(`config.${name} is ${describeJson(item)}`)
  }
  return Object.fromEntries(kept)
}

function invalid(problem: string): OciError {
  return new OciError('config-invalid', `Cannot read image config: ${problem}`)
}
