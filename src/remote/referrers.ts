import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestAlgorithm, digestHex } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import { parseManifest } from '../oci/manifest.ts'
import { isTag } from '../oci/reference.ts'
import { RemoteError } from './errors.ts'
import { locationURL } from './exchange.ts'
import { readManifest } from './pull.ts'
import type { Endpoint } from './registry-config.ts'
import type { RepositoryContext } from './repository.ts'
import { smallBody } from './response.ts'
import { pullScopes } from './scopes.ts'

const MAX_PAGES = 50

/**
 * What refers to a manifest (distribution-spec end-12a); from the tag `sha256-<hex>` where the registry has no such
 * API. Undefined when there is neither.
 */
export async function listReferrers(
  context: RepositoryContext,
  endpoint: Endpoint,
  subject: Digest,
): Promise<readonly Descriptor[] | undefined> {
  const action = `Cannot list what refers to ${subject} in ${context.name}`
  const found: Descriptor[] = []
  let target: string | URL = `${context.path}/referrers/${subject}`
  for (let page = 0; page < MAX_PAGES; page++) {
    const response = await context.exchange(endpoint, {
      method: 'GET',
      target,
      scopes: pullScopes(endpoint, context.path),
      accept: [200, 400, 404, 405],
      action,
      signal: context.signal,
    })
    if (response.status !== 200) {
      response.drop()
      return page === 0 ? listTagged(context, endpoint, subject) : found
    }
    found.push(...listed(await smallBody(response)))
    const { link } = response.headers
    const next = /<([^>]*)>\s*;\s*rel="?next"?/i.exec(String(link ?? ''))?.[1]
    if (next === undefined) return found
    target = locationURL(endpoint, response.url, next, action)
    if (target.href === response.url.href)
      throw new RemoteError('response-invalid', `${action}: a page names itself as the next`)
  }
  throw new RemoteError('response-invalid', `${action}: more than ${MAX_PAGES} pages`)
}

async function listTagged(
  context: RepositoryContext,
  endpoint: Endpoint,
  subject: Digest,
): Promise<readonly Descriptor[] | undefined> {
  const tag = `${digestAlgorithm(subject)}-${digestHex(subject).slice(0, 64)}`
  const manifest = isTag(tag) ? await readManifest(context, endpoint, tag) : undefined
  return manifest && listed(manifest.bytes)
}

/** Nothing for an answer that is no index: some registries show a page instead of a 404. */
function listed(bytes: Buffer): readonly Descriptor[] {
  try {
    const manifest = parseManifest(bytes)
    return manifest.kind === 'index' ? manifest.manifests : []
  } catch (error) {
    if (error instanceof OciError) return []
    throw error
  }
}
