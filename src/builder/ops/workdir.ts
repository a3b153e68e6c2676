import { posix } from 'node:path'
import { byteStringOf } from '../../oci/byte-string.ts'
import { type LayerOp, rootKey } from '../solve/vertex.ts'
import { createCacheKey } from './cache-key.ts'
import type { LayerOpDeps } from './deps.ts'
import { LayerDraft } from './layer-draft.ts'
import { makeDirectories, resolveDestination } from './placement.ts'
import { ingestDraft, rootOf } from './transfer.ts'
import { resolveOwner } from './users.ts'

export interface WorkdirSpec {
  /** Absolute, joined with the previous ones, not necessarily clean. */
  readonly path: string
  /** The config's `User`; empty for root. Owns the directories that are created. */
  readonly user: string
}

/**
 * WORKDIR: creates the levels that are missing, 0755. Always one layer, perhaps an empty one.
 * Executing throws BuildError `copy-conflict` where a file is in the way.
 */
export function createWorkdirOp(spec: WorkdirSpec, deps: LayerOpDeps): LayerOp {
  const path = posix.join('/', spec.path).replace(/(?<=.)\/$/, '')
  return {
    kind: 'layer',
    async cacheKey(inputs) {
      return createCacheKey('workdir', [
        ['parent', rootKey(rootOf(inputs))],
        ['path', path],
        ['user', spec.user],
      ])
    },
    async exec(inputs, context) {
      await using root = await deps.openTree(rootOf(inputs), context.signal)
      const draft = new LayerDraft(root)
      const { uid, gid } = await resolveOwner(async () => root, spec.user)
      const resolved = await resolveDestination(draft, byteStringOf(path.slice(1)))
      await makeDirectories(draft, resolved, { owner: { uid, gid }, createdAt: deps.createdAt })
      return await ingestDraft(draft, deps, context)
    },
  }
}
