/**
 * What FROM and `--from` mean by a name. A name without a host means our own image of that name where there is
 * one, else Docker Hub's. Images from elsewhere are kept in the store under their full name, and found there
 * without asking the registry, until `--pull`.
 */
import type { Descriptor } from '../../oci/descriptor.ts'
import { CodedError } from '../../oci/errors.ts'
import { graphSource } from '../../oci/graph.ts'
import type { Limits } from '../../oci/limits.ts'
import type { Platform } from '../../oci/platform.ts'
import {
  formatReference,
  LATEST,
  onDockerHub,
  type Reference,
  repositoryOf,
  type Tag,
} from '../../oci/reference.ts'
import { RemoteError } from '../../remote/errors.ts'
import type { Store } from '../../store/store.ts'
import { BuildError } from '../errors.ts'
import { type ProgressSink, withProgress } from '../solve/progress.ts'
import type { BaseImage, ResolveImage } from './base-image.ts'
import type { ImageLayers } from './image-layers.ts'
import { keepImage } from './keep-image.ts'
import type { ImageRegistries } from './registry-source.ts'
import { type SelectedImage, selectImage } from './select-image.ts'
import { unavailable } from './unavailable.ts'

export interface ResolveImageDeps {
  readonly store: Pick<Store, 'content' | 'metadata'>
  readonly remote: ImageRegistries
  readonly layers: ImageLayers
  /** Asks the registry even for what is stored. */
  readonly pull: boolean
  readonly progress: ProgressSink
  readonly monotonicNow: () => number
  readonly contentLimits?: Partial<Limits>
}

export function createResolveImage(deps: ResolveImageDeps): ResolveImage {
  return async (reference, platform, signal) => {
    if (reference.registry === undefined) {
      const own = await findStored(deps, withTag(reference), platform)
      if (own !== undefined) return own
    }
    const full = withTag(onDockerHub(reference))
    const isPinned = reference.digest !== undefined
    const stored = deps.pull && !isPinned ? undefined : await findStored(deps, full, platform)
    if (stored !== undefined) return stored
    const title = `[internal] load metadata for ${formatReference(full)}`
    return withProgress(title, { ...deps, signal }, () => findRemote(deps, reference, full, platform, signal))
  }
}

type Tagged = Reference & { readonly tag: Tag }

async function findStored(
  { store, contentLimits }: Pick<ResolveImageDeps, 'store' | 'contentLimits'>,
  reference: Tagged,
  platform: Platform,
): Promise<BaseImage | undefined> {
  const root = storedRoot(store, reference)
  if (root === undefined) return undefined
  const name = formatReference({ ...reference, digest: root.digest })
  try {
    const source = graphSource(store.content)
    const image = baseImage(name, await selectImage(source, root, platform, name, contentLimits))
    return reference.registry === undefined || (await hasLayers(store, image)) ? image : undefined
  } catch (error) {
    // An index whose other platforms were not pulled: the registry may have the one that is wanted now.
    if (error instanceof CodedError && error.code === 'content-missing' && reference.registry !== undefined)
      return undefined
    throw error
  }
}

/** A registry that pulls through has the layers that were asked for: a client may have stopped half way. */
async function hasLayers({ content }: ResolveImageDeps['store'], { layers }: BaseImage): Promise<boolean> {
  for (const { digest } of layers) if ((await content.stat(digest)) === undefined) return false
  return true
}

function storedRoot(store: ResolveImageDeps['store'], reference: Tagged): Descriptor | undefined {
  const repository = repositoryOf(reference)
  const digest = reference.digest ?? store.metadata.getTag(repository, reference.tag)?.digest
  if (digest === undefined) return undefined
  const record = store.metadata.getManifest(repository, digest)
  return record === undefined ? undefined : { digest, mediaType: record.mediaType, size: record.size }
}

async function findRemote(
  deps: ResolveImageDeps,
  asked: Reference,
  full: Tagged,
  platform: Platform,
  signal: AbortSignal,
): Promise<BaseImage> {
  const text = formatReference(full)
  try {
    const repository = deps.remote.repository(full, { signal })
    const root = await repository.resolve(full.digest ?? full.tag)
    if (root === undefined) throw missing(asked, text)
    const name = formatReference({ ...full, digest: root.digest })
    const selected = await selectImage(repository, root, platform, name, deps.contentLimits)
    const image = baseImage(name, selected)
    deps.layers.add({
      name,
      layers: image.layers,
      open: fetchSignal => deps.remote.repository(full, { signal: fetchSignal }),
      onWhole: () => keepImage(deps.store, full, selected, signal),
    })
    return image
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error
    if (error.code === 'content-missing') throw missing(asked, text)
    throw unavailable(error, `Cannot get image ${text}`, ownHint(asked))
  }
}

function ownHint(asked: Reference): string {
  const name = formatReference(asked)
  return asked.registry === undefined
    ? `there is no image of ours called ${name} either: 'slipway images' lists what is there`
    : `'slipway load' or 'slipway copy' bring an image in from a file`
}

function missing(asked: Reference, full: string): BuildError {
  const ours =
    asked.registry === undefined ? `no image of ours has the name ${formatReference(asked)}, and ` : ''
  const where = asked.registry === undefined ? full : 'it'
  return new BuildError(
    'image-missing',
    `Cannot find image ${formatReference(asked)}: ${ours}the registry does not have ${where}`,
  )
}

function baseImage(name: string, selected: SelectedImage): BaseImage {
  const { manifest, config, layers } = selected
  return { name, digest: manifest.descriptor.digest, config, layers }
}

function withTag(reference: Reference): Tagged {
  return { ...reference, tag: reference.tag ?? LATEST }
}
