import { resolve } from 'node:path'
import type { Descriptor } from '../../oci/descriptor.ts'
import {
  type CopyEvent,
  copyGraph,
  type GraphSource,
  graphSource,
  graphTarget,
  readContent,
  successors,
} from '../../oci/graph.ts'
import { parseManifest } from '../../oci/manifest.ts'
import { isNonDistributable } from '../../oci/media-type.ts'
import { bestForPlatform, formatPlatform, type Platform } from '../../oci/platform.ts'
import {
  formatReference,
  LATEST,
  onDockerHub,
  type Reference,
  repositoryOf,
  type Tag,
} from '../../oci/reference.ts'
import type { Remote } from '../../remote/client.ts'
import { type ImageArchive, selectImage } from '../../store/archive/image-archive.ts'
import { nameImage } from '../../store/images.ts'
import { CliError } from '../errors.ts'
import type { Session } from '../session.ts'
import type { Terminal } from '../terminal.ts'
import { formatBytes } from '../text/format.ts'
import { openArchive, writeArchive } from './archives.ts'
import { type End, type FileEnd, isFile } from './ends.ts'
import { descriptorOf, findImage } from './stored-images.ts'

export interface TransferDeps {
  readonly session: Session
  readonly remote: Remote
  readonly terminal: Terminal
}

/** An image that is about to be copied. Disposing closes what it is read from. */
export interface OpenImage extends AsyncDisposable {
  readonly source: GraphSource
  readonly root: Descriptor
  /** Repositories of a registry whose blobs a push may reuse. */
  readonly mountFrom: readonly string[]
  /** In the store an index may lack platforms that nobody pulled. */
  readonly isStored: boolean
}

/** @throws CliError `image-unknown`, RemoteError, or the archive's error */
export async function openImage(end: End, deps: TransferDeps): Promise<OpenImage> {
  if (isFile(end)) return openFromFile(end, deps)
  const { session, remote, terminal } = deps
  const { reference } = end
  if (end.kind === 'store') {
    const { manifest } = findImage(session.store, formatReference(reference))
    const source = graphSource(session.store.content)
    return { ...opened(source, descriptorOf(manifest)), isStored: true }
  }
  const repository = remote.repository(reference, { signal: terminal.signal })
  const root = await repository.resolve(reference.digest ?? reference.tag ?? LATEST)
  if (root !== undefined) return opened(repository, root, [reference.path])
  const name = formatReference(onDockerHub(reference))
  throw new CliError(
    'image-unknown',
    `Cannot find image ${name}: its registry does not have it, or wants a login`,
  )
}

/** Writes the image under the name of the target; the name appears when all of it is there. */
export async function writeImage(image: OpenImage, end: End, deps: TransferDeps): Promise<void> {
  const { session, remote, terminal } = deps
  const { source, root } = image
  requireDigest(end, root)
  if (end.kind === 'store') return copyToStore(image, [end.reference], deps)
  if (image.isStored) await requireWhole(image, session)
  if (isFile(end)) {
    const images = [{ descriptor: root, names: end.name === undefined ? [] : [end.name] }]
    const { signal, workingDirectory } = terminal
    return writeArchive(
      end.kind,
      resolve(workingDirectory, end.path),
      { source, images, signal },
      session.hostPlatform,
    )
  }
  const { mountFrom } = image
  const repository = remote.repository(end.reference, { signal: terminal.signal, mountFrom })
  await copyGraph(source, repository, root, copyOptions(terminal))
  for (const tag of tagsOf(end.reference)) await repository.tag(root, tag)
}

async function openFromFile(end: FileEnd, { session, terminal }: TransferDeps): Promise<OpenImage> {
  const archive = await openArchive(resolve(terminal.workingDirectory, end.path), session, terminal)
  try {
    return opened(archive.source, selectImage(archive, end.name).descriptor, [], archive)
  } catch (error) {
    await archive[Symbol.asyncDispose]()
    throw error
  }
}

/** @param names without a tag mean `latest`; of an index without some platforms, what is there is named */
export async function copyToStore(
  image: Pick<OpenImage, 'source' | 'root'>,
  names: readonly Reference[],
  deps: Pick<TransferDeps, 'session' | 'terminal'>,
  wanted?: Platform,
): Promise<void> {
  const { store } = deps.session
  const only = wanted === undefined ? undefined : await platformFilter(image, wanted)
  await copyGraph(image.source, graphTarget(store.content), image.root, {
    ...copyOptions(deps.terminal),
    ...(only && { filter: only }),
  })
  for (const name of names) await nameImage(store, repositoryOf(name), image.root, tagsOf(name))
}

/** A name without a tag means `latest`, unless it has a digest. */
function tagsOf({ tag, digest }: Reference): readonly Tag[] {
  if (tag !== undefined) return [tag]
  return digest === undefined ? [LATEST] : []
}

/** @throws CliError `usage` for a target that promises another digest than the image has */
function requireDigest(end: End, root: Descriptor): void {
  if (isFile(end) || end.reference.digest === undefined || end.reference.digest === root.digest) return
  throw new CliError(
    'usage',
    `Cannot copy to ${formatReference(end.reference)}: the digest of the image is ${root.digest}`,
  )
}

/** The image of one platform out of an index; an image that is no index is that one. @throws CliError `image-unknown` */
export async function onePlatform(
  image: Pick<OpenImage, 'source' | 'root'>,
  wanted: Platform,
): Promise<Descriptor> {
  const manifest = parseManifest(await readContent(image.source, image.root), image.root.mediaType)
  if (manifest.kind === 'image') return image.root
  const best = bestForPlatform(manifest.manifests, wanted)
  if (best !== undefined) return best
  const have = manifest.manifests.map(({ platform }) =>
    platform === undefined ? 'unknown' : formatPlatform(platform),
  )
  throw new CliError(
    'image-unknown',
    `Cannot find an image for ${formatPlatform(wanted)}: there is only ${[...new Set(have)].join(', ')}`,
  )
}

/** Leaves out the other platforms of an index. */
async function platformFilter(
  image: Pick<OpenImage, 'source' | 'root'>,
  wanted: Platform,
): Promise<(child: Descriptor) => boolean> {
  const manifest = parseManifest(await readContent(image.source, image.root), image.root.mediaType)
  if (manifest.kind === 'image') return isDistributable
  const { digest } = await onePlatform(image, wanted)
  const others = new Set(
    manifest.manifests.filter(child => child.digest !== digest).map(child => child.digest),
  )
  return child => isDistributable(child) && !others.has(child.digest)
}

/** What was pulled only in part cannot be passed on: platforms, or layers that nobody asked for. @throws CliError `image-unknown` */
async function requireWhole({ source, root }: OpenImage, { store }: Session): Promise<void> {
  const manifest = parseManifest(await readContent(source, root), root.mediaType)
  if (manifest.kind === 'image') {
    for (const { digest } of successors(manifest).filter(isDistributable)) {
      if ((await store.content.stat(digest)) !== undefined) continue
      throw new CliError(
        'image-unknown',
        `Cannot pass on the image ${root.digest}: its content ${digest} is not in the store`,
        { hint: "'slipway pull' gets what is missing" },
      )
    }
    return
  }
  for (const { digest, platform } of manifest.manifests) {
    if ((await store.content.stat(digest)) !== undefined) continue
    const name = platform === undefined ? digest : formatPlatform(platform)
    throw new CliError(
      'image-unknown',
      `Cannot pass on the index ${root.digest}: its image for ${name} is not in the store`,
      {
        hint: 'give --platform OS/ARCH for one of those that are, or pull it with --all-platforms',
      },
    )
  }
}

function opened(
  source: GraphSource,
  root: Descriptor,
  mountFrom: readonly string[] = [],
  archive?: ImageArchive,
): OpenImage {
  return {
    source,
    root,
    mountFrom,
    isStored: false,
    async [Symbol.asyncDispose]() {
      await archive?.[Symbol.asyncDispose]()
    },
  }
}

function copyOptions({ signal, stderr }: Terminal): Parameters<typeof copyGraph>[3] {
  return {
    signal,
    filter: isDistributable,
    onProgress(event: CopyEvent) {
      if (event.kind === 'bytes') return
      const { digest, size } = event.descriptor
      stderr.write(
        `${event.kind === 'exists' ? 'has   ' : 'copied'} ${digest.slice(0, 19)} ${formatBytes(size)}\n`,
      )
    },
  }
}

function isDistributable(child: Descriptor): boolean {
  return !isNonDistributable(child.mediaType)
}
