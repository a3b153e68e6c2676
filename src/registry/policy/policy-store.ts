import type { Inventory } from '../../store/inventory.ts'
import { quotasOf, requireRoom, type StoreRules } from '../../store/rules.ts'
import type { RepositoryStore } from '../repository-store.ts'
import type { PullTimes } from './pull-times.ts'

export interface PolicyStoreDeps {
  readonly store: RepositoryStore
  readonly inventory: Inventory
  readonly rules: StoreRules
  readonly pulls: PullTimes
}

/**
 * Notes pulls, and refuses an upload that a quota has no room for before its bytes become content: they are dropped
 * at once and need no garbage collection. (That quotas and immutable tags hold, the store itself sees to, in the
 * transaction that writes.)
 */
export function createPolicyStore({ store, inventory, rules, pulls }: PolicyStoreDeps): RepositoryStore {
  return {
    ...store,
    async getManifest(name, reference) {
      const manifest = await store.getManifest(name, reference)
      if (manifest !== undefined) pulls.note(name, manifest.digest)
      return manifest
    },
    uploads(name) {
      const uploads = store.uploads(name)
      const quotas = quotasOf(rules, name)
      if (quotas.length === 0) return uploads
      return {
        ...uploads,
        async commit(id, digest) {
          const { offset: size } = await uploads.status(id)
          try {
            for (const quota of quotas) {
              const used = inventory.quotaUsage(quota.prefix) ?? 0
              requireRoom(quota, name, used, inventory.bytesNewBelow(quota.prefix, { digest, size }))
            }
          } catch (error) {
            await uploads.cancel(id)
            throw error
          }
          return uploads.commit(id, digest)
        },
      }
    },
  }
}
