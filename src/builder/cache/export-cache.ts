import { Readable } from 'node:stream'
import { type Descriptor, describeBytes } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import { CodedError } from '../../oci/errors.ts'
import { copyGraph, type GraphSource, graphTarget } from '../../oci/graph.ts'
import { imageManifestBytes } from '../../oci/manifest.ts'
import { MEDIA_TYPE } from '../../oci/media-type.ts'
import { formatReference, LATEST, repositoryOf } from '../../oci/reference.ts'
import { writeOciLayout } from '../../store/archive/oci-layout.ts'
import { nameImage } from '../../store/images.ts'
import type { Store } from '../../store/store.ts'
import type { LayerVariants } from '../export/layer-variants.ts'
import type { PushRegistries } from '../export/push.ts'
import type { ImageLayers } from '../images/image-layers.ts'
import { type ProgressSink, withProgress } from '../solve/progress.ts'
import type { OpContext, ResultLayer } from '../solve/vertex.ts'
import {
  CACHE_ARTIFACT_TYPE,
  CACHE_CONFIG_TYPE,
  cacheDocumentBytes,
  type DocumentedStep,
} from './cache-document.ts'
import type { CacheMountChoice, CacheTarget } from './cache-end.ts'
import type { DocumentedMount } from './mount-document.ts'

/** Where an artifact is pushed. */
export type CacheRegistries = PushRegistries

export interface ExportDeps {
  readonly store: Pick<Store, 'content' | 'metadata'>
  readonly layers: ImageLayers
  readonly variants: LayerVariants
  readonly remote: CacheRegistries
  mountsFor(choice: CacheMountChoice, context: OpContext): Promise<readonly DocumentedMount[]>
  readonly progress: ProgressSink
  readonly monotonicNow: () => number
  readonly signal: AbortSignal
}

export type ArtifactTarget = Exclude<CacheTarget, { type: 'inline' }>

/**
 * Writes one cache. Layers that were never fetched are, unless the target has them.
 * @param held layers that go with the steps
 * @throws what registry, layout or store throw, unless the target says that it does not matter
 */
export async function exportCache(
  target: ArtifactTarget,
  steps: readonly DocumentedStep[],
  held: readonly ResultLayer[],
  deps: ExportDeps,
): Promise<void> {
  const to = target.type === 'local' ? target.directory : formatReference(target.reference)
  await withProgress(`exporting cache to ${to}`, deps, async context => {
    try {
      const { cacheMounts } = target
      const mounts = cacheMounts === undefined ? [] : await deps.mountsFor(cacheMounts, context)
      const artifact = await compressed(target, { steps, mounts, held }, deps, context)
      await writeArtifact(target, artifact, deps, context)
    } catch (error) {
      deps.signal.throwIfAborted()
      if (!target.ignoresErrors || !(error instanceof CodedError)) throw error
      deps.progress({ kind: 'warning', text: `Cannot export cache to ${to}: ${error.message}` })
    }
  })
}

interface Artifact {
  readonly manifest: Descriptor
  readonly documents: ReadonlyMap<string, Buffer>
  readonly layers: ReadonlyMap<string, ResultLayer>
}

interface Contents {
  readonly steps: readonly DocumentedStep[]
  readonly mounts: readonly DocumentedMount[]
  readonly held: readonly ResultLayer[]
}

function cacheArtifact({ steps, mounts, held }: Contents): Artifact {
  const configBytes = cacheDocumentBytes(steps, mounts)
  const config = describeBytes(CACHE_CONFIG_TYPE, configBytes)
  const layers = new Map([...held, ...mounts.map(({ layer }) => layer)].map(layer => [layer.digest, layer]))
  const manifestBytes = imageManifestBytes({
    mediaType: MEDIA_TYPE.ociManifest,
    artifactType: CACHE_ARTIFACT_TYPE,
    config,
    layers: [...layers.values()].map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
  })
  const manifest = describeBytes(MEDIA_TYPE.ociManifest, manifestBytes)
  const documents = new Map([
    [config.digest, configBytes],
    [manifest.digest, manifestBytes],
  ])
  return { manifest, documents, layers }
}

/** With the layers that are held as the target wants them. */
async function compressed(
  { compression, compressionLevel: level }: ArtifactTarget,
  contents: Contents,
  { variants }: ExportDeps,
  context: OpContext,
): Promise<Artifact> {
  if (compression === undefined) return cacheArtifact(contents)
  const { steps, mounts, held } = contents
  const wanted = { compression, ...(level !== undefined && { level }) }
  const converted = new Map<Digest, ResultLayer>()
  for (const layer of [...held, ...mounts.map(mount => mount.layer)])
    converted.set(layer.digest, await variants.get(layer, wanted, context))
  const asWanted = <T extends { readonly layer: ResultLayer }>(part: T): T => ({
    ...part,
    layer: converted.get(part.layer.digest) ?? part.layer,
  })
  return cacheArtifact({
    steps: steps.map(asWanted),
    mounts: mounts.map(asWanted),
    held: held.map(layer => converted.get(layer.digest) ?? layer),
  })
}

async function writeArtifact(
  target: ArtifactTarget,
  artifact: Artifact,
  deps: ExportDeps,
  context: OpContext,
): Promise<void> {
  const { store, remote } = deps
  const { signal } = context
  const { manifest } = artifact
  const source = artifactSource(artifact, deps, context)
  if (target.type === 'local') {
    const images = [{ descriptor: manifest, names: [target.tag] }]
    return writeOciLayout({ source, images, directory: target.directory, signal })
  }
  const { reference } = target
  const tag = reference.tag ?? LATEST
  if (reference.registry === undefined) {
    await copyGraph(source, graphTarget(store.content), manifest, { signal })
    return nameImage(store, repositoryOf(reference), manifest, [tag])
  }
  const repository = remote.repository(reference, { signal })
  await copyGraph(source, repository, manifest, { signal })
  await repository.tag(manifest, tag)
}

function artifactSource(
  { documents, layers }: Artifact,
  { store, layers: imageLayers }: ExportDeps,
  context: OpContext,
): GraphSource {
  return {
    async open({ digest }) {
      const bytes = documents.get(digest)
      if (bytes !== undefined) return Readable.from([bytes])
      const layer = layers.get(digest)
      if (layer !== undefined) await imageLayers.require([layer], context)
      return store.content.open(digest)
    },
  }
}
