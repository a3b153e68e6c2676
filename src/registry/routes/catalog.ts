import { setImmediate } from 'node:timers/promises'
import type { RepositoryName } from '../../oci/reference.ts'
import { type Call, type Handlers, jsonAnswer } from '../exchange.ts'
import { readPage } from '../page.ts'
import type { NamePage } from '../repository-store.ts'

/** `_catalog`: not of the specification, but of every client that lists repositories. */
export function catalogHandlers(): Handlers {
  return {
    async GET(call) {
      const page = await readPage(call.query, '/v2/_catalog', page => listPullable(call, page))
      return jsonAnswer({ repositories: page?.names ?? [] }, page?.headers)
    },
  }
}

/** Names tell something too, so those are left out that the client may not pull. */
async function listPullable(
  { repositories, may, connection }: Call,
  { after, limit }: NamePage,
): Promise<readonly RepositoryName[]> {
  const names: RepositoryName[] = []
  let last = after
  for (;;) {
    const page = await repositories.listRepositories({ ...(last !== undefined && { after: last }), limit })
    names.push(...page.filter(name => may('pull', name)))
    if (page.length < limit || names.length >= limit) return names.slice(0, limit)
    last = page.at(-1)
    // Who may see little of a large registry must not hold up others meanwhile.
    await setImmediate(undefined, { signal: connection.signal })
  }
}
