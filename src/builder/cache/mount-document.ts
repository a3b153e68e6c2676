/**
 * The cache mounts that a cache passes on (`cache-mounts=true`): the field `mounts` of its document.
 * ```
 * {"key": of the mount, "id": as the Dockerfile has it, "mode": 493, "uid": 0, "gid": 0, "layer": as of a step}
 * ```
 * Mode and owner are those of the directory itself, which is not in the layer.
 */
import { type Digest, isDigest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { isJsonObject } from '../../oci/json.ts'
import { layerCompression } from '../../oci/media-type.ts'
import type { ResultLayer } from '../solve/vertex.ts'

export interface DocumentedMount {
  /** Tells one cache from another, as `CacheMountRequest.key` does. */
  readonly key: Digest
  readonly id: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly layer: ResultLayer
}

const MAX_MOUNTS = 1000
const MAX_ID = 4096
const MAX_NUMBER = 0xffff_fffe

export function plainMount({ key, id, mode, uid, gid, layer }: DocumentedMount): Readonly<object> {
  const { mediaType, digest, size, diffID } = layer
  return { key, id: id.slice(0, MAX_ID), mode, uid, gid, layer: { mediaType, digest, size, diffID } }
}

/** @param document of a cache; without the field there are none @throws OciError `config-invalid` */
export function readMounts(document: unknown): readonly DocumentedMount[] {
  if (!isJsonObject(document) || document.mounts === undefined) return []
  const { mounts } = document
  if (!Array.isArray(mounts) || mounts.length > MAX_MOUNTS)
    throw invalid(`its mounts are no list of up to ${MAX_MOUNTS}`)
  return mounts.map((mount, index) => readMount(mount, `mount ${index}`))
}

function readMount(value: unknown, where: string): DocumentedMount {
  if (!isJsonObject(value)) throw invalid(`${where} is no object`)
  const { key, id, mode, uid, gid, layer } = value
  if (typeof key !== 'string' || !isDigest(key)) throw invalid(`${where} has no key`)
  if (typeof id !== 'string' || id.length > MAX_ID) throw invalid(`${where} has no id`)
  if (!isWhole(mode, 0o7777) || !isWhole(uid, MAX_NUMBER) || !isWhole(gid, MAX_NUMBER))
    throw invalid(`${where} has no mode or owner`)
  if (!isJsonObject(layer)) throw invalid(`${where} has no layer`)
  const { mediaType, digest, size, diffID } = layer
  const isLayer = typeof mediaType === 'string' && layerCompression(mediaType) !== undefined
  if (!isLayer || !isWhole(size, Number.MAX_SAFE_INTEGER)) throw invalid(`${where} has no layer of files`)
  if (typeof digest !== 'string' || !isDigest(digest) || typeof diffID !== 'string' || !isDigest(diffID))
    throw invalid(`${where} has a layer without digests`)
  return { key, id, mode, uid, gid, layer: { mediaType, digest, size, diffID } }
}

function isWhole(value: unknown, most: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= most
}

function invalid(problem: string): OciError {
  return new OciError('config-invalid', `Cannot read build cache: ${problem}`)
}
