import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { digestAlgorithm, digestOf } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import { isManifestDescriptor } from '../oci/graph.ts'
import { MAX_MANIFEST_BYTES } from '../oci/manifest.ts'
import type { Tag } from '../oci/reference.ts'
import { RemoteError } from './errors.ts'
import { locationURL } from './exchange.ts'
import type { Endpoint } from './registry-config.ts'
import type { RepositoryContext } from './repository.ts'
import { pullScopes, pushScopes } from './scopes.ts'
import type { HttpResponse } from './transport.ts'

/** Blobs up to this are sent from memory, so that they can be sent again when the connection breaks. */
const SMALL_BYTES = 1024 * 1024
/** A registry may hash and move all of a large blob before it answers. */
const COMMIT_TIMEOUT_MS = 10 * 60_000

export async function hasContent(
  context: RepositoryContext,
  endpoint: Endpoint,
  descriptor: Descriptor,
): Promise<boolean> {
  const isManifest = isManifestDescriptor(descriptor)
  const response = await send(context, endpoint, {
    method: 'HEAD',
    target: `${context.path}/${isManifest ? 'manifests' : 'blobs'}/${descriptor.digest}`,
    ...(isManifest && { headers: { accept: descriptor.mediaType } }),
    accept: [200, 404],
  })
  response.drop()
  return response.status === 200
}

/** All of a source that must be the descriptor's content. @throws OciError `size-mismatch`, `digest-mismatch` */
export async function collect(descriptor: Descriptor, source: AsyncIterable<Buffer>): Promise<Buffer> {
  const { digest, size } = descriptor
  if (size > MAX_MANIFEST_BYTES)
    throw new OciError(
      'size-mismatch',
      `Cannot push ${digest}: ${size} bytes are more than ${MAX_MANIFEST_BYTES}`,
    )
  const chunks: Buffer[] = []
  for await (const chunk of exactly(descriptor, source)) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  const got = digestOf(bytes, digestAlgorithm(digest))
  if (got !== digest)
    throw new OciError('digest-mismatch', `Cannot push ${digest}: its bytes have the digest ${got}`)
  return bytes
}

/** distribution-spec end-7. */
export async function putManifest(
  context: RepositoryContext,
  endpoint: Endpoint,
  bytes: Uint8Array,
  mediaType: string,
  tagOrDigest: Tag | Digest,
): Promise<void> {
  const response = await send(context, endpoint, {
    method: 'PUT',
    target: `${context.path}/manifests/${tagOrDigest}`,
    headers: { 'content-type': mediaType },
    body: bytes,
    accept: [200, 201, 204],
  })
  response.drop()
}

/** Mounts the blob from one of the repositories (end-11), else uploads it (end-4a, end-6). */
export async function mountOrUpload(
  context: RepositoryContext,
  endpoint: Endpoint,
  descriptor: Descriptor,
  source: AsyncIterable<Buffer>,
  mountFrom: readonly string[],
): Promise<void> {
  let upload: URL | undefined
  for (const from of mountFrom.filter(path => path !== context.path)) {
    const opened = await tryToMount(context, endpoint, { mount: descriptor.digest, from })
    if (opened === undefined) continue
    if (upload !== undefined) await cancel(context, endpoint, upload)
    if (opened === 'mounted') return
    upload = opened
  }
  const opened = upload ?? (await open(context, endpoint, undefined))
  if (opened !== 'mounted') await put(context, endpoint, descriptor, source, opened)
}

interface Mount {
  readonly mount: Digest
  readonly from: string
}

const REFUSALS: ReadonlySet<string> = new Set([
  'unauthorized',
  'denied',
  'content-missing',
  'content-refused',
])

/** Undefined when the registry will not hear of it: we may push, but not read the other repository. */
async function tryToMount(
  context: RepositoryContext,
  endpoint: Endpoint,
  mount: Mount,
): Promise<URL | 'mounted' | undefined> {
  try {
    return await open(context, endpoint, mount)
  } catch (error) {
    if (error instanceof RemoteError && REFUSALS.has(error.code)) return undefined
    throw error
  }
}

async function open(
  context: RepositoryContext,
  endpoint: Endpoint,
  mount: Mount | undefined,
): Promise<URL | 'mounted'> {
  const query = mount === undefined ? '' : `?${new URLSearchParams({ ...mount })}`
  const response = await send(
    context,
    endpoint,
    {
      method: 'POST',
      target: `${context.path}/blobs/uploads/${query}`,
      headers: { 'content-length': '0' },
      accept: mount === undefined ? [202] : [201, 202],
    },
    mount === undefined ? [] : pullScopes(endpoint, mount.from),
  )
  response.drop()
  if (response.status === 201) return 'mounted'
  const { location } = response.headers
  const action = actionOf(context, endpoint)
  if (location === undefined)
    throw new RemoteError('response-invalid', `${action}: it opened an upload without a Location`)
  return locationURL(endpoint, response.url, location, action)
}

async function put(
  context: RepositoryContext,
  endpoint: Endpoint,
  descriptor: Descriptor,
  source: AsyncIterable<Buffer>,
  upload: URL,
): Promise<void> {
  const { digest, size } = descriptor
  const target = new URL(upload)
  // Appended, not parsed: the registry's own query must come back byte for byte.
  target.search += `${target.search === '' ? '?' : '&'}digest=${encodeURIComponent(digest)}`
  const response = await send(context, endpoint, {
    method: 'PUT',
    target,
    headers: { 'content-type': 'application/octet-stream', 'content-length': String(size) },
    body: size <= SMALL_BYTES ? await collect(descriptor, source) : exactly(descriptor, source),
    responseTimeoutMs: COMMIT_TIMEOUT_MS,
    accept: [200, 201, 204],
  })
  response.drop()
}

/** Tells the registry that an upload will not be used (end-14); not all of them listen. */
async function cancel(context: RepositoryContext, endpoint: Endpoint, upload: URL): Promise<void> {
  const accept = [200, 202, 204, 404, 405]
  const response = await send(context, endpoint, { method: 'DELETE', target: upload, accept })
  response.drop()
}

async function* exactly(
  { digest, size }: Descriptor,
  source: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void, void> {
  let got = 0
  for await (const chunk of source) {
    got += chunk.length
    if (got > size) throw sizeMismatch(digest, size, `more than ${size}`)
    yield chunk
  }
  if (got !== size) throw sizeMismatch(digest, size, String(got))
}

function sizeMismatch(digest: Digest, want: number, got: string): OciError {
  return new OciError('size-mismatch', `Cannot push ${digest}: want ${want} bytes, got ${got}`)
}

function send(
  context: RepositoryContext,
  endpoint: Endpoint,
  request: Omit<Parameters<RepositoryContext['exchange']>[1], 'scopes' | 'action' | 'signal'>,
  moreScopes: readonly string[] = [],
): Promise<HttpResponse> {
  return context.exchange(endpoint, {
    ...request,
    scopes: [...pushScopes(endpoint, context.path), ...moreScopes],
    action: actionOf(context, endpoint),
    signal: context.signal,
  })
}

function actionOf({ name }: RepositoryContext, { host }: Endpoint): string {
  return `Cannot push ${name} to ${host}`
}
