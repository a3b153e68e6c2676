import type { RepositoryStore } from './repository-store.ts'

/** Does what frees space where it may use what is kept in reserve for that. */
export type WithReserve = <T>(action: () => Promise<T>) => Promise<T>

/** A repository store whose deletions work on a full disk: else nobody could make room in it from outside. */
export function createFreeingStore(store: RepositoryStore, withReserve: WithReserve): RepositoryStore {
  return {
    ...store,
    deleteManifest: (name, digest) => withReserve(() => store.deleteManifest(name, digest)),
    deleteTag: (name, tag) => withReserve(() => store.deleteTag(name, tag)),
    blobs(name) {
      const blobs = store.blobs(name)
      return { ...blobs, delete: digest => withReserve(() => blobs.delete(digest)) }
    },
  }
}
