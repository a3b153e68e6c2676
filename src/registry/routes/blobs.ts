import type { BlobInfo } from '../../oci/content.ts'
import type { Digest } from '../../oci/digest.ts'
import type { RepositoryName } from '../../oci/reference.ts'
import { etagOf, IMMUTABLE, isNotModified, isRangeWanted } from '../conditional.ts'
import { RegistryError } from '../errors.ts'
import type { Answer, Call, Handlers } from '../exchange.ts'
import { parseRange } from '../http-range.ts'

/** end-2 (GET, HEAD) and end-10 (DELETE) */
export function blobHandlers(name: RepositoryName, digest: Digest): Handlers {
  return {
    async HEAD(call) {
      const blob = await statBlob(call, name, digest)
      if (isNotModified(call.headers, digest)) return notModified(digest)
      return { status: 200, headers: { ...headersOf(digest), 'Content-Length': String(blob.size) } }
    },
    async GET(call) {
      const blob = await statBlob(call, name, digest)
      if (isNotModified(call.headers, digest)) return notModified(digest)
      return readBlob(call, name, blob)
    },
    async DELETE({ repositories }) {
      await repositories.blobs(name).delete(digest)
      return { status: 202, headers: { 'Content-Length': '0' } }
    },
  }
}

async function statBlob({ repositories }: Call, name: RepositoryName, digest: Digest): Promise<BlobInfo> {
  const blob = await repositories.blobs(name).stat(digest)
  if (blob !== undefined) return blob
  throw new RegistryError('blob-unknown', `Cannot read ${digest}: ${name} has no such blob`)
}

async function readBlob(call: Call, name: RepositoryName, { digest, size }: BlobInfo): Promise<Answer> {
  const blobs = call.repositories.blobs(name)
  const range = isRangeWanted(call.headers, digest) ? parseRange(call.headers.range, size) : 'whole'
  if (range === 'unsatisfiable') {
    throw new RegistryError(
      'range-unsatisfiable',
      `Cannot read range ${JSON.stringify(call.headers.range)} of ${digest}: it has ${size} bytes`,
      { headers: { 'Content-Range': `bytes */${size}` } },
    )
  }
  const headers = headersOf(digest)
  if (range === 'whole')
    return {
      status: 200,
      headers: { ...headers, 'Content-Length': String(size) },
      body: await blobs.open(digest),
    }
  const { start, end } = range
  return {
    status: 206,
    headers: {
      ...headers,
      'Content-Length': String(end - start + 1),
      'Content-Range': `bytes ${start}-${end}/${size}`,
    },
    body: await blobs.open(digest, range),
  }
}

function notModified(digest: Digest): Answer {
  return { status: 304, headers: validatorsOf(digest) }
}

function headersOf(digest: Digest): Record<string, string> {
  return {
    ...validatorsOf(digest),
    'Content-Type': 'application/octet-stream',
    'Accept-Ranges': 'bytes',
  }
}

function validatorsOf(digest: Digest): Record<string, string> {
  return { 'Docker-Content-Digest': digest, ETag: etagOf(digest), 'Cache-Control': IMMUTABLE }
}
