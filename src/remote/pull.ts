import { Readable } from 'node:stream'
import type { BlobInfo } from '../oci/content.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestAlgorithm, digestOf, isDigest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import { parseManifest } from '../oci/manifest.ts'
import { isImageManifest, isIndex, MANIFEST_MEDIA_TYPES } from '../oci/media-type.ts'
import type { Tag } from '../oci/reference.ts'
import { ContentStream } from './content-stream.ts'
import { isBrokenConnection, isStalled, RemoteError } from './errors.ts'
import type { Endpoint } from './registry-config.ts'
import type { ReadManifest, RepositoryContext } from './repository.ts'
import { contentLength, contentType, smallBody } from './response.ts'
import { backoffMs, MAX_ATTEMPTS } from './retry.ts'
import { pullScopes } from './scopes.ts'
import type { HttpResponse } from './transport.ts'

const ACCEPT = MANIFEST_MEDIA_TYPES.join(', ')

/**
 * Asks with HEAD, which Docker Hub does not count as a pull, and with GET where HEAD does not tell all. A tag's
 * digest is the registry's word until the manifest is read and verified.
 */
export async function resolveManifest(
  context: RepositoryContext,
  endpoint: Endpoint,
  tagOrDigest: Tag | Digest,
): Promise<Descriptor | undefined> {
  const response = await ask(context, endpoint, 'HEAD', `manifests/${tagOrDigest}`, [200, 404, 405, 501])
  response.drop()
  if (response.status === 404) return undefined
  const mediaType = contentType(response)
  const size = contentLength(response)
  const told = response.headers['docker-content-digest'] ?? (isDigest(tagOrDigest) ? tagOrDigest : undefined)
  const isComplete = response.status === 200 && mediaType !== undefined && size !== undefined && size > 0
  if (!isComplete || !isManifestType(mediaType) || typeof told !== 'string' || !isDigest(told))
    return (await readManifest(context, endpoint, tagOrDigest))?.descriptor
  return { mediaType, digest: checked(told, tagOrDigest, endpoint), size }
}

/** @throws OciError `digest-mismatch` for other bytes than the digest, or the registry's own header, promises */
export async function readManifest(
  context: RepositoryContext,
  endpoint: Endpoint,
  tagOrDigest: Tag | Digest,
): Promise<ReadManifest | undefined> {
  const response = await ask(context, endpoint, 'GET', `manifests/${tagOrDigest}`, [200, 404])
  if (response.status === 404) {
    response.drop()
    return undefined
  }
  const bytes = await smallBody(response)
  const told = contentType(response)
  const { mediaType } = parseManifest(bytes, told !== undefined && isManifestType(told) ? told : undefined)
  const header = response.headers['docker-content-digest']
  const promised = isDigest(tagOrDigest) ? tagOrDigest : header
  const isPromise = typeof promised === 'string' && isDigest(promised)
  const digest = digestOf(bytes, isPromise ? digestAlgorithm(promised) : 'sha256')
  const descriptor = {
    mediaType,
    digest: checked(digest, isPromise ? promised : tagOrDigest, endpoint),
    size: bytes.length,
  }
  return { descriptor, bytes }
}

/** @throws RemoteError `response-invalid` where the registry does not tell the size */
export async function statBlob(
  context: RepositoryContext,
  endpoint: Endpoint,
  digest: Digest,
): Promise<BlobInfo | undefined> {
  const response = await ask(context, endpoint, 'HEAD', `blobs/${digest}`, [200, 404])
  response.drop()
  if (response.status === 404) return undefined
  const size = contentLength(response)
  if (size !== undefined) return { digest, size }
  throw new RemoteError(
    'response-invalid',
    `Cannot read ${digest} from ${endpoint.host}: it does not tell the size`,
  )
}

/** Undefined when there is no such manifest. */
export async function openManifest(
  context: RepositoryContext,
  endpoint: Endpoint,
  descriptor: Descriptor,
): Promise<Readable | undefined> {
  const response = await ask(context, endpoint, 'GET', `manifests/${descriptor.digest}`, [200, 404])
  if (response.status === 404) {
    response.drop()
    return undefined
  }
  return Readable.from([await smallBody(response)])
}

/** Undefined when there is no such blob. */
export async function openBlob(
  context: RepositoryContext,
  endpoint: Endpoint,
  descriptor: Descriptor,
): Promise<Readable | undefined> {
  const closing = new AbortController()
  const bound = { ...context, signal: AbortSignal.any([context.signal, closing.signal]) }
  const first = await ask(bound, endpoint, 'GET', `blobs/${descriptor.digest}`, [200, 404])
  if (first.status === 404) {
    first.drop()
    return undefined
  }
  const length = contentLength(first)
  if (length !== undefined && length !== descriptor.size) {
    first.drop()
    throw new OciError(
      'size-mismatch',
      `Cannot read ${descriptor.digest} from ${endpoint.host}: want ${descriptor.size} bytes, it has ${length}`,
    )
  }
  return new ContentStream(download(bound, endpoint, descriptor, first), closing)
}

/** A connection that breaks before it gave so much has brought us no further: a registry could give a byte each time. */
const PROGRESS_BYTES = 256 * 1024

/** The blob's bytes; where the connection breaks, the rest is asked for. Failures in a row are bounded. */
async function* download(
  context: RepositoryContext,
  endpoint: Endpoint,
  descriptor: Descriptor,
  first: HttpResponse,
): AsyncGenerator<Buffer, void, void> {
  const { size, digest } = descriptor
  let response: HttpResponse | undefined = first
  let offset = 0
  let failures = 0
  for (;;) {
    const start = offset
    try {
      response ??= await askForRest(context, endpoint, descriptor, offset)
      for await (const chunk of from(response, offset)) {
        offset += chunk.length
        if (offset - start >= PROGRESS_BYTES) failures = 0
        yield chunk
      }
      if (offset >= size) return
      throw new RemoteError(
        'registry-unreachable',
        `Cannot read ${digest} from ${endpoint.host}: want ${size} bytes, got ${offset}`,
        { detail: { reason: 'ECONNRESET' } },
      )
    } catch (error) {
      failures++
      if (failures >= MAX_ATTEMPTS || !(isBrokenConnection(error) || isStalled(error))) throw error
      await context.delay(backoffMs(failures), context.signal)
      response = undefined
    }
  }
}

async function askForRest(
  context: RepositoryContext,
  endpoint: Endpoint,
  { digest }: Descriptor,
  offset: number,
): Promise<HttpResponse> {
  const headers = offset === 0 ? {} : { range: `bytes=${offset}-` }
  return ask(context, endpoint, 'GET', `blobs/${digest}`, offset === 0 ? [200] : [200, 206], headers)
}

/** What a response holds from the offset on: a registry may answer a Range with the part, or with all. */
async function* from(response: HttpResponse, offset: number): AsyncGenerator<Buffer, void, void> {
  let toSkip = offset
  if (response.status === 206) {
    const start = /^bytes (\d{1,15})-/.exec(response.headers['content-range'] ?? '')?.[1]
    if (Number(start) !== offset) {
      response.drop()
      throw new RemoteError(
        'response-invalid',
        `Cannot resume at byte ${offset}: ${response.url.host} sent another range`,
      )
    }
    toSkip = 0
  }
  for await (const chunk of response.body()) {
    const skipped = Math.min(toSkip, chunk.length)
    toSkip -= skipped
    if (skipped < chunk.length) yield chunk.subarray(skipped)
  }
}

function ask(
  context: RepositoryContext,
  endpoint: Endpoint,
  method: 'GET' | 'HEAD',
  path: string,
  accept: readonly number[],
  headers: Readonly<Record<string, string>> = {},
): Promise<HttpResponse> {
  return context.exchange(endpoint, {
    method,
    target: `${context.path}/${path}`,
    headers: path.startsWith('manifests/') ? { accept: ACCEPT, ...headers } : headers,
    scopes: pullScopes(endpoint, context.path),
    accept,
    action: `Cannot read ${context.name} from ${endpoint.host}`,
    signal: context.signal,
  })
}

function checked(digest: Digest, asked: Tag | Digest, endpoint: Endpoint): Digest {
  if (!isDigest(asked) || asked === digest) return digest
  throw new OciError(
    'digest-mismatch',
    `Cannot resolve ${asked} at ${endpoint.host}: it answered with ${digest}`,
  )
}

function isManifestType(mediaType: string): boolean {
  return isImageManifest(mediaType) || isIndex(mediaType)
}
