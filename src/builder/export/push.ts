import type { Descriptor } from '../../oci/descriptor.ts'
import { copyGraph, type GraphTarget, graphSource } from '../../oci/graph.ts'
import { isNonDistributable } from '../../oci/media-type.ts'
import { formatReference, LATEST, type Reference, repositoryOf, type Tag } from '../../oci/reference.ts'
import { RemoteError } from '../../remote/errors.ts'
import type { Store } from '../../store/store.ts'
import { BuildError } from '../errors.ts'
import type { OpContext } from '../solve/vertex.ts'
import type { ImageGraph } from './image-graph.ts'
import type { Output } from './output.ts'

/** Registries, as far as an image is sent to them. `Remote` is one. */
export interface PushRegistries {
  repository(reference: Reference, options: { readonly signal: AbortSignal }): PushRepository
}

export interface PushRepository extends GraphTarget {
  tag(descriptor: Descriptor, tag: Tag): Promise<void>
}

export interface PushDeps {
  readonly store: Pick<Store, 'content'>
  readonly remote: PushRegistries
}

/**
 * Sends an image that is stored to the registries that its names tell; a name without one is our own, and needs no
 * push. The tag comes last, when all is there.
 * @throws BuildError `export-failed`
 */
export async function pushImage(
  { root }: ImageGraph,
  names: readonly Reference[],
  how: 'by-tag' | 'by-digest',
  { store, remote }: PushDeps,
  { signal, status }: Pick<OpContext, 'signal' | 'status'>,
): Promise<void> {
  for (const name of pushed(names)) {
    const tag = name.tag ?? LATEST
    const shown =
      how === 'by-tag' ? formatReference({ ...name, tag }) : `${repositoryOf(name)}@${root.digest}`
    status(`pushing ${shown}`)
    const repository = remote.repository(name, { signal })
    try {
      const filter = (child: Descriptor): boolean => !isNonDistributable(child.mediaType)
      await copyGraph(graphSource(store.content), repository, root, { signal, filter })
      if (how === 'by-tag') await repository.tag(root, tag)
    } catch (error) {
      if (!(error instanceof RemoteError)) throw error
      const hint = error.hint === undefined ? {} : { hint: error.hint }
      throw new BuildError('export-failed', `Cannot push ${shown}: ${error.message}`, {
        cause: error,
        ...hint,
      })
    }
  }
}

/** @throws BuildError `build-option-invalid` where no name says to which registry, before anything is built */
export function checkPush(outputs: readonly Output[], tags: readonly Reference[]): void {
  for (const output of outputs) {
    if (output.type !== 'store' || output.push === undefined) continue
    if (pushed([...tags, ...(output.settings?.names ?? [])]).length > 0) continue
    throw new BuildError('build-option-invalid', 'Cannot push: no name says to which registry', {
      hint: "give it one with -t HOST/NAME; images without a host are there for all who reach 'slipway serve'",
    })
  }
}

/** Those of other registries. */
function pushed(names: readonly Reference[]): readonly Reference[] {
  return names.filter(({ registry }) => registry !== undefined)
}
