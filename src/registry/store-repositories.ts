import { isHost, isRepositoryPath, type RepositoryName } from '../oci/reference.ts'
import { RegistryError } from './errors.ts'
import type { RegistryStore, RequireOurs } from './registry-store.ts'
import type { NamePage, RepositoryStore } from './repository-store.ts'
import { createRepositoryBlobs } from './store-blobs.ts'
import { createManifests } from './store-manifests.ts'
import { createRepositoryUploads } from './store-uploads.ts'

/**
 * Serves the content store. Repositories whose first part is a host (`docker.io/library/debian`) hold images from
 * elsewhere, as the builder fetched them: anyone may pull them, nobody may push to them or delete from them.
 */
export function createRepositoryStore(deps: { readonly store: RegistryStore }): RepositoryStore {
  const { store } = deps
  const { metadata } = store
  const manifests = createManifests(store)
  return {
    statManifest: manifests.stat,
    getManifest: manifests.get,
    listReferrers: manifests.listReferrers,
    async putManifest(name, manifest) {
      requireOurs(name, 'push to')
      return manifests.put(name, manifest)
    },
    async deleteManifest(name, digest) {
      requireOurs(name, 'delete from')
      if (metadata.deleteManifest(name, digest)) return
      throw new RegistryError('manifest-unknown', `Cannot delete ${digest}: ${name} has no such manifest`)
    },
    async deleteTag(name, tag) {
      requireOurs(name, 'delete from')
      if (metadata.deleteTag(name, tag)) return
      throw new RegistryError('manifest-unknown', `Cannot delete tag ${tag}: ${name} has no such tag`)
    },
    listTags: async (name, page) => metadata.listTags(name, page)?.map(record => record.tag),
    listRepositoriesWithBlob: async (digest, limit) => metadata.listRepositoriesWithBlob(digest, limit),
    listRepositories: async page => listServable(store, page),
    blobs: name => createRepositoryBlobs(store, name, action => requireOurs(name, action)),
    uploads: name => createRepositoryUploads(store, name, action => requireOurs(name, action)),
  }
}

/** @throws RegistryError `denied` for repositories that hold images from elsewhere */
function requireOurs(name: RepositoryName, action: Parameters<RequireOurs>[0]): void {
  const slash = name.indexOf('/')
  const first = slash < 0 ? '' : name.slice(0, slash)
  if (!isHost(first)) return
  throw new RegistryError(
    'denied',
    `Cannot ${action} ${name}: names that begin with a host (${first}) hold images from elsewhere and are read-only here`,
  )
}

/** Leaves out names that no URL can say, such as `localhost:5000/app`. */
function listServable({ metadata }: RegistryStore, { after, limit }: NamePage): readonly RepositoryName[] {
  const names: RepositoryName[] = []
  let last = after
  while (names.length < limit) {
    const page = metadata.listRepositories({ ...(last !== undefined && { after: last }), limit })
    names.push(...page.filter(isRepositoryPath))
    if (page.length < limit) break
    last = page.at(-1)
  }
  return names.slice(0, limit)
}
