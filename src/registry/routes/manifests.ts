import { MAX_MANIFEST_BYTES } from '../../oci/manifest.ts'
import { isTag, type RepositoryName, type Tag } from '../../oci/reference.ts'
import type { ManifestReference } from '../../store/metadata.ts'
import { etagOf, IMMUTABLE, isNotModified } from '../conditional.ts'
import { RegistryError } from '../errors.ts'
import type { Answer, Call, Handlers } from '../exchange.ts'
import type { ManifestInfo } from '../repository-store.ts'

/**
 * end-3 (GET, HEAD), end-7a, end-7b (PUT), end-9 (DELETE). A manifest is served as it was stored, whatever `Accept`
 * says: it has one media type, and to convert it would change its digest.
 */
export function manifestHandlers(name: RepositoryName, reference: ManifestReference): Handlers {
  return {
    async HEAD({ repositories, headers }) {
      const manifest = found(await repositories.statManifest(name, reference), name, reference)
      return manifestAnswer(manifest, reference, isNotModified(headers, manifest.digest))
    },
    async GET({ repositories, headers }) {
      const manifest = found(await repositories.getManifest(name, reference), name, reference)
      const notModified = isNotModified(headers, manifest.digest)
      const answer = manifestAnswer(manifest, reference, notModified)
      return notModified ? answer : { ...answer, body: manifest.bytes }
    },
    PUT: call => putManifest(call, name, reference),
    async DELETE({ repositories }) {
      if ('tag' in reference) await repositories.deleteTag(name, reference.tag)
      else await repositories.deleteManifest(name, reference.digest)
      return { status: 202, headers: { 'Content-Length': '0' } }
    },
  }
}

/** A reference that can be neither tag nor digest: nothing has it, and nothing gets it. */
export function badTagHandlers(name: RepositoryName, text: string): Handlers {
  const unknown = async () => {
    throw new RegistryError(
      'manifest-unknown',
      `Cannot find manifest: ${name} has no tag ${JSON.stringify(text.slice(0, 150))}`,
    )
  }
  const refuse = async () => {
    throw badTag(text)
  }
  return { GET: unknown, HEAD: unknown, DELETE: unknown, PUT: refuse }
}

async function putManifest(call: Call, name: RepositoryName, reference: ManifestReference): Promise<Answer> {
  const extraTags = call.query.getAll('tag').map(parseTagParameter)
  const bytes = await readManifestBody(call)
  const mediaType = call.contentType?.split(';')[0]?.trim()
  const put = await call.repositories.putManifest(name, {
    bytes,
    ...(mediaType && { mediaType }),
    ...('digest' in reference && { digest: reference.digest }),
    tags: 'tag' in reference ? [reference.tag, ...extraTags] : extraTags,
  })
  return {
    status: 201,
    headers: {
      Location: `/v2/${name}/manifests/${put.digest}`,
      'Docker-Content-Digest': put.digest,
      'Content-Length': '0',
      ...(put.subject !== undefined && { 'OCI-Subject': put.subject }),
      ...(extraTags.length > 0 && { 'OCI-Tag': extraTags }),
    },
  }
}

function manifestAnswer(manifest: ManifestInfo, reference: ManifestReference, notModified: boolean): Answer {
  const { digest, mediaType, size } = manifest
  const validators = {
    ETag: etagOf(digest),
    'Docker-Content-Digest': digest,
    ...('digest' in reference && { 'Cache-Control': IMMUTABLE }),
  }
  if (notModified) return { status: 304, headers: validators }
  return {
    status: 200,
    headers: { ...validators, 'Content-Type': mediaType, 'Content-Length': String(size) },
  }
}

function found<Manifest>(
  manifest: Manifest | undefined,
  name: RepositoryName,
  reference: ManifestReference,
): Manifest {
  if (manifest !== undefined) return manifest
  const what = 'tag' in reference ? `tag ${reference.tag}` : reference.digest
  throw new RegistryError('manifest-unknown', `Cannot find manifest: ${name} has no ${what}`)
}

/** Reads no further than the limit, whatever the client announces. */
async function readManifestBody({ headers, connection }: Call): Promise<Buffer> {
  if (Number(headers['content-length'] ?? 0) > MAX_MANIFEST_BYTES) throw tooLarge()
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of connection.body) {
    size += chunk.length
    if (size > MAX_MANIFEST_BYTES) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function tooLarge(): RegistryError {
  return new RegistryError(
    'manifest-too-large',
    `Cannot store manifest: it is larger than ${MAX_MANIFEST_BYTES} bytes`,
  )
}

function parseTagParameter(text: string): Tag {
  if (isTag(text)) return text
  throw badTag(text)
}

function badTag(text: string): RegistryError {
  return new RegistryError(
    'manifest-invalid',
    `Cannot store manifest: ${JSON.stringify(text.slice(0, 150))} is not a tag; want up to 128 letters, digits and ._- that do not start with . or -`,
  )
}
