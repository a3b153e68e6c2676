import { type Handlers, jsonAnswer } from '../exchange.ts'
import { readPage } from '../page.ts'

/** `_catalog`: not of the specification, but of every client that lists repositories. */
export function catalogHandlers(): Handlers {
  return {
    async GET({ repositories, query }) {
      const page = await readPage(query, '/v2/_catalog', page => repositories.listRepositories(page))
      return jsonAnswer({ repositories: page?.names ?? [] }, page?.headers)
    },
  }
}
