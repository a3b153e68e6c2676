import { isJsonObject } from '../oci/json.ts'
import { isTag, type Tag } from '../oci/reference.ts'
import { RemoteError } from './errors.ts'
import { locationURL } from './exchange.ts'
import type { Endpoint } from './registry-config.ts'
import type { RepositoryContext } from './repository.ts'
import { jsonBody } from './response.ts'
import { pullScopes } from './scopes.ts'

const MAX_PAGES = 1000
const MAX_TAGS = 1_000_000

/** All tags, over all pages (distribution-spec end-8). Undefined when there is no such repository. */
export async function listTags(
  context: RepositoryContext,
  endpoint: Endpoint,
): Promise<readonly Tag[] | undefined> {
  const action = `Cannot list the tags of ${context.name} at ${endpoint.host}`
  const tags: Tag[] = []
  let target: string | URL = `${context.path}/tags/list?n=1000`
  for (let page = 0; page < MAX_PAGES; page++) {
    const response = await context.exchange(endpoint, {
      method: 'GET',
      target,
      scopes: pullScopes(endpoint, context.path),
      accept: [200, 404],
      action,
      signal: context.signal,
    })
    if (response.status === 404) {
      response.drop()
      return undefined
    }
    const value = await jsonBody(response)
    // Some registries say null for none.
    const listed = isJsonObject(value) ? (value.tags ?? []) : undefined
    if (!Array.isArray(listed)) throw new RemoteError('response-invalid', `${action}: the answer is no list`)
    for (const tag of listed) if (typeof tag === 'string' && isTag(tag)) tags.push(tag)
    if (tags.length > MAX_TAGS)
      throw new RemoteError('response-invalid', `${action}: more than ${MAX_TAGS} tags`)
    const next = /<([^>]*)>\s*;\s*rel="?next"?/i.exec(headerText(response.headers.link))?.[1]
    if (next === undefined) return tags
    target = locationURL(endpoint, response.url, next, action)
    if (target.href === response.url.href)
      throw new RemoteError('response-invalid', `${action}: a page names itself as the next`)
  }
  throw new RemoteError('response-invalid', `${action}: more than ${MAX_PAGES} pages`)
}

function headerText(value: string | string[] | undefined): string {
  return Array.isArray(value) ? value.join(', ') : (value ?? '')
}
