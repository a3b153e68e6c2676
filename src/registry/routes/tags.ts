import type { RepositoryName } from '../../oci/reference.ts'
import { RegistryError } from '../errors.ts'
import { type Handlers, jsonAnswer } from '../exchange.ts'
import { readPage } from '../page.ts'

/** end-8a, end-8b */
export function tagsHandlers(name: RepositoryName): Handlers {
  return {
    async GET({ repositories, query }) {
      const page = await readPage(query, `/v2/${name}/tags/list`, page => repositories.listTags(name, page))
      if (page === undefined)
        throw new RegistryError('name-unknown', `Cannot list tags: there is no repository ${name}`)
      return jsonAnswer({ name, tags: page.names }, page.headers)
    },
  }
}
