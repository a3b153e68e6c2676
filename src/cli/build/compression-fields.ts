/** How layers are compressed, in the words of `docker buildx build`: `compression=zstd,compression-level=9`. */
import { COMPRESSION_LEVELS } from '../../oci/layer/compression.ts'
import type { Compression } from '../../oci/media-type.ts'
import type { Refuse } from '../command.ts'

const COMPRESSIONS: ReadonlyMap<string, Compression> = new Map([
  ['gzip', 'gzip'],
  ['zstd', 'zstd'],
  ['uncompressed', 'none'],
])

/** @param option of which it is a field: `--output` @throws what `refuse` makes */
export function readCompression(
  option: string,
  given: string | undefined,
  refuse: Refuse,
): Compression | undefined {
  if (given === undefined) return undefined
  const known = COMPRESSIONS.get(given)
  if (known !== undefined) return known
  if (given === 'estargz')
    throw refuse(`${option} compression=estargz is not supported: zstd is small, and every engine reads it`)
  throw refuse(
    `${option} compression= is ${[...COMPRESSIONS.keys()].join(', ')}, not ${JSON.stringify(given)}`,
  )
}

/** @param option see `readCompression` @throws what `refuse` makes */
export function readCompressionLevel(
  option: string,
  given: string | undefined,
  compression: Compression | undefined,
  refuse: Refuse,
): number | undefined {
  if (given === undefined) return undefined
  const levels = compression && COMPRESSION_LEVELS[compression]
  if (levels === undefined) throw refuse(`${option} compression-level= needs compression=gzip or zstd`)
  const level = /^\d{1,2}$/.test(given) ? Number(given) : -1
  if (level >= levels.min && level <= levels.max) return level
  const range = `${levels.min} to ${levels.max}`
  throw refuse(`${option} compression-level= of ${compression} is ${range}, not ${JSON.stringify(given)}`)
}
