import { digestOf } from '../../oci/digest.ts'
import type { RunDefinition, TransferDefinition } from '../plan/op-definition.ts'
import { type CacheKey, type Result, rootKey } from '../solve/vertex.ts'
import { createCacheKey } from './cache-key.ts'

/**
 * The key of a step whose inputs are all results, without a look at their files: all of its definition that its key
 * proper may depend on, and what the inputs are.
 * @param settings what else the key proper depends on
 */
export function createQuickKey(
  definition: RunDefinition | TransferDefinition,
  inputs: readonly Result[],
  settings: CacheKey['parts'],
): CacheKey {
  const text = JSON.stringify({ ...definition, proxyEnv: undefined, createdAt: undefined })
  return createCacheKey(`${definition.kind} by results`, [
    ['parent', rootKey(inputs[0])],
    ...inputs.slice(1).map(input => ['input', rootKey(input)] as const),
    ['definition', digestOf(text)],
    ...settings,
  ])
}

/** False where files come from elsewhere than the inputs. */
export function hasQuickKey(definition: RunDefinition | TransferDefinition): boolean {
  if (definition.kind !== 'run')
    return (
      definition.from === 'stage' &&
      definition.sources.every(({ kind }) => kind === 'path' || kind === 'heredoc')
    )
  if (definition.mounts.some(({ kind }) => kind === 'context')) return false
  return definition.mounts.some(mount => mount.kind === 'bind' || (mount.kind === 'cache' && mount.seed))
}
