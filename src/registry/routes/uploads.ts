import type { IngestID } from '../../oci/content.ts'
import { type Digest, type DigestAlgorithm, digestAlgorithm, parseDigest } from '../../oci/digest.ts'
import { isRepositoryPath, parseRepositoryName, type RepositoryName } from '../../oci/reference.ts'
import { RegistryError } from '../errors.ts'
import type { Answer, Call, Handlers } from '../exchange.ts'
import { formatUploadRange, parseContentRange } from '../http-range.ts'
import type { Chunk, Upload } from '../repository-store.ts'

/** How many repositories are tried for one that the client may pull from: everyone's empty layer is in all of them. */
const MAX_MOUNT_SOURCES = 100

/** Begins uploads: end-4a (in parts), end-4b (in one), end-4c (naming the algorithm), end-11 (no upload: a mount) */
export function uploadsHandlers(name: RepositoryName): Handlers {
  return {
    async POST(call) {
      const { repositories, query } = call
      const mount = query.get('mount')
      if (mount !== null) {
        const digest = parseDigest(mount)
        if (await mountBlob(call, name, digest)) return blobCreated(name, digest)
      }
      const digest = query.get('digest')
      if (digest !== null) return uploadWhole(call, name, parseDigest(digest))
      const algorithm = parseAlgorithm(query.get('digest-algorithm'))
      return uploadAnswer(202, name, await repositories.uploads(name).begin(algorithm))
    },
  }
}

/** Goes on with an upload: end-5 (PATCH), end-6 (PUT), end-13 (GET), end-14 (DELETE) */
export function uploadHandlers(name: RepositoryName, id: IngestID): Handlers {
  return {
    async GET({ repositories }) {
      return uploadAnswer(204, name, await repositories.uploads(name).status(id))
    },
    async PATCH(call) {
      const upload = await call.repositories.uploads(name).append(id, chunkOf(call), call.connection.signal)
      return uploadAnswer(202, name, upload)
    },
    async PUT(call) {
      const uploads = call.repositories.uploads(name)
      const digest = requireDigest(call.query.get('digest'))
      const algorithm = digestAlgorithm(digest)
      if (hasBody(call)) await uploads.append(id, { ...chunkOf(call), algorithm }, call.connection.signal)
      await uploads.commit(id, digest)
      return blobCreated(name, digest)
    },
    async DELETE({ repositories }) {
      await repositories.uploads(name).cancel(id)
      return { status: 204 }
    },
  }
}

/**
 * Without `from` the blob may come from anywhere ("automatic content discovery"). Who may not pull at the source learns
 * nothing: as where nobody has such a blob, an upload begins.
 */
async function mountBlob(call: Call, name: RepositoryName, digest: Digest): Promise<boolean> {
  const { repositories, query } = call
  const blobs = repositories.blobs(name)
  const from = query.get('from')
  // Of a name that nothing can have, nothing can be mounted.
  if (from !== null && !isRepositoryPath(from)) return false
  const sources =
    from === null
      ? await repositories.listRepositoriesWithBlob(digest, MAX_MOUNT_SOURCES)
      : [parseRepositoryName(from)]
  for (const source of sources)
    if (call.may('pull', source) && (await blobs.mount(digest, source))) return true
  return false
}

async function uploadWhole(call: Call, name: RepositoryName, digest: Digest): Promise<Answer> {
  const uploads = call.repositories.uploads(name)
  const { id } = await uploads.begin(digestAlgorithm(digest))
  try {
    await uploads.append(id, chunkOf(call), call.connection.signal)
  } catch (error) {
    await uploads.cancel(id)
    throw error
  }
  await uploads.commit(id, digest)
  return blobCreated(name, digest)
}

/** @throws RegistryError `size-invalid` when the headers contradict each other: nothing has been read then */
function chunkOf({ headers, connection: { body } }: Call): Chunk {
  const contentLength = headers['content-length']
  const sent = contentLength === undefined ? undefined : Number(contentLength)
  const contentRange = headers['content-range']
  if (contentRange === undefined) return { source: body, ...(sent !== undefined && { length: sent }) }
  const { start, length } = parseContentRange(contentRange)
  if (sent !== undefined && sent !== length) {
    throw new RegistryError(
      'size-invalid',
      `Cannot append chunk: Content-Range has ${length} bytes, Content-Length ${sent}`,
    )
  }
  return { source: body, start, length }
}

function hasBody({ headers }: Call): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function requireDigest(text: string | null): Digest {
  if (text !== null) return parseDigest(text)
  throw new RegistryError('digest-invalid', 'Cannot end upload: the query parameter digest is missing')
}

/** The store finds the digest of either algorithm; the client's word saves it from reading the bytes again. */
function parseAlgorithm(algorithm: string | null): DigestAlgorithm | undefined {
  if (algorithm === null) return undefined
  if (algorithm === 'sha256' || algorithm === 'sha512') return algorithm
  throw new RegistryError(
    'digest-invalid',
    `Cannot begin upload: digest-algorithm is ${JSON.stringify(algorithm.slice(0, 100))}, want sha256 or sha512`,
  )
}

/** Locations are relative, so that they hold behind any proxy; the session is in the path, so that no query is needed. */
function uploadAnswer(status: 202 | 204, name: RepositoryName, { id, offset }: Upload): Answer {
  return {
    status,
    headers: {
      Location: `/v2/${name}/blobs/uploads/${id}`,
      Range: formatUploadRange(offset),
      'Docker-Upload-UUID': id,
      ...(status === 202 && { 'Content-Length': '0' }),
    },
  }
}

function blobCreated(name: RepositoryName, digest: Digest): Answer {
  return {
    status: 201,
    headers: {
      Location: `/v2/${name}/blobs/${digest}`,
      'Docker-Content-Digest': digest,
      'Content-Length': '0',
    },
  }
}
