import { type Digest, digestOf } from './digest.ts'

/**
 * The chainID of a stack of layers, lowest first (image-spec `config.md#layer-chainid`): the identity of the
 * root filesystem after the last of them. Undefined for no layers: an empty root has no chainID.
 */
export function chainID(diffIDs: readonly Digest[]): Digest | undefined {
  let chain: Digest | undefined
  for (const diffID of diffIDs) chain = extendChain(chain, diffID)
  return chain
}

/** The chainID after one more layer. */
export function extendChain(parent: Digest | undefined, diffID: Digest): Digest {
  return parent === undefined ? diffID : digestOf(`${parent} ${diffID}`)
}
