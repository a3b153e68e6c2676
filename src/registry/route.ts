/**
 * Paths below `/v2/`. A repository name has any number of parts and may itself hold the words `manifests`, `blobs`
 * or `tags`, so a path is read from the right: `/v2/a/manifests/b/tags/list` lists the tags of `a/manifests/b`.
 */
import type { IngestID } from '../oci/content.ts'
import { type Digest, parseDigest } from '../oci/digest.ts'
import { isTag, parseRepositoryName, type RepositoryName } from '../oci/reference.ts'
import type { ManifestReference } from '../store/metadata.ts'
import { RegistryError } from './errors.ts'

export type Target =
  | { readonly kind: 'ping' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'tags'; readonly name: RepositoryName }
  | { readonly kind: 'manifest'; readonly name: RepositoryName; readonly reference: ManifestReference }
  | { readonly kind: 'bad-tag'; readonly name: RepositoryName; readonly text: string }
  | { readonly kind: 'referrers'; readonly name: RepositoryName; readonly digest: Digest }
  | { readonly kind: 'blob'; readonly name: RepositoryName; readonly digest: Digest }
  | { readonly kind: 'uploads'; readonly name: RepositoryName }
  | { readonly kind: 'upload'; readonly name: RepositoryName; readonly id: IngestID }

/** Our upload ids; anything else was never given out. */
const UPLOAD_ID = /^[A-Za-z0-9-]{1,128}$/

/**
 * @param path of a URL, still escaped, without the query
 * @throws RegistryError `endpoint-unknown`, `name-invalid`, `upload-unknown`; OciError `reference-invalid`, `digest-invalid`
 */
export function parseTarget(path: string): Target {
  if (path === '/v2' || path === '/v2/') return { kind: 'ping' }
  if (!path.startsWith('/v2/')) throw endpointUnknown(path)
  const parts = path.slice('/v2/'.length).split('/').map(unescapePart)
  if (parts.length === 1 && parts[0] === '_catalog') return { kind: 'catalog' }

  const [beforeLast = '', last = ''] = parts.slice(-2)
  const head = parts.slice(0, -2)
  if (beforeLast === 'tags' && last === 'list') return { kind: 'tags', name: parseName(head) }
  if (beforeLast === 'manifests') return parseManifestTarget(parseName(head), last)
  if (beforeLast === 'referrers')
    return { kind: 'referrers', name: parseName(head), digest: parseDigest(last) }
  if (beforeLast === 'uploads' && head.at(-1) === 'blobs')
    return parseUploadTarget(parseName(head.slice(0, -1)), last)
  if (beforeLast === 'blobs' && last === 'uploads') return { kind: 'uploads', name: parseName(head) }
  if (beforeLast === 'blobs') return { kind: 'blob', name: parseName(head), digest: parseDigest(last) }
  throw endpointUnknown(path)
}

function parseManifestTarget(name: RepositoryName, text: string): Target {
  if (isTag(text)) return { kind: 'manifest', name, reference: { tag: text } }
  if (text.includes(':')) return { kind: 'manifest', name, reference: { digest: parseDigest(text) } }
  return { kind: 'bad-tag', name, text }
}

function parseUploadTarget(name: RepositoryName, id: string): Target {
  if (id === '') return { kind: 'uploads', name }
  if (isUploadID(id)) return { kind: 'upload', name, id }
  throw new RegistryError('upload-unknown', `Cannot find upload ${quote(id)}: no such upload`)
}

function isUploadID(text: string): text is IngestID {
  return UPLOAD_ID.test(text)
}

/** A slash that was escaped does not divide: `a%2Fb` is one part, and no name has such a part. */
function parseName(parts: readonly string[]): RepositoryName {
  if (parts.some(part => part.includes('/'))) {
    throw new RegistryError(
      'name-invalid',
      `Cannot read repository name ${quote(parts.join('/'))}: a / in it must not be escaped`,
    )
  }
  return parseRepositoryName(parts.join('/'))
}

function unescapePart(part: string): string {
  if (!part.includes('%')) return part
  try {
    return decodeURIComponent(part)
  } catch (error) {
    if (!(error instanceof URIError)) throw error
    throw new RegistryError('name-invalid', `Cannot read path: ${quote(part)} is not escaped UTF-8`)
  }
}

function endpointUnknown(path: string): RegistryError {
  return new RegistryError(
    'endpoint-unknown',
    `Cannot serve ${quote(path)}: the distribution API has no such path`,
  )
}

function quote(text: string): string {
  return JSON.stringify(text.length > 300 ? `${text.slice(0, 300)}...` : text)
}
