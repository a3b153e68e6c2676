/**
 * Manifests form a graph: an index points at manifests, a manifest at its config and layers. Push, pull, save and
 * load are one walk over it, children first, so that whatever is visible at the destination is whole.
 */
import { Readable } from 'node:stream'
import { chunksOf } from './chunks.ts'
import type { ContentIngester, ContentProvider } from './content.ts'
import type { Descriptor } from './descriptor.ts'
import { type Digest, digestAlgorithm, digestOf } from './digest.ts'
import { OciError } from './errors.ts'
import { createLimit } from './limit.ts'
import { MAX_MANIFEST_BYTES, type Manifest, parseManifest } from './manifest.ts'
import { isImageManifest, isIndex } from './media-type.ts'

/** What a manifest points at and needs to be whole. Its subject is not among them: that is another image. */
export function successors(manifest: Manifest): readonly Descriptor[] {
  return manifest.kind === 'index' ? manifest.manifests : [manifest.config, ...manifest.layers]
}

/** True for content that points at other content. */
export function isManifestDescriptor(descriptor: Descriptor): boolean {
  return isImageManifest(descriptor.mediaType) || isIndex(descriptor.mediaType)
}

/** Far beyond any image, and small enough to hold. */
export const MAX_GRAPH_NODES = 100_000
/** Indexes may point at indexes; nobody needs more than this. */
export const MAX_INDEX_DEPTH = 4

/** Reads small content whole and verified. @throws OciError `size-mismatch`, `digest-mismatch`, or the source's */
export async function readContent(
  from: GraphSource,
  descriptor: Descriptor,
  limitBytes = MAX_MANIFEST_BYTES,
): Promise<Buffer> {
  const { digest, size } = descriptor
  if (size > limitBytes)
    throw new OciError('size-mismatch', `Cannot read ${digest}: ${size} bytes are more than ${limitBytes}`)
  const chunks: Buffer[] = []
  let got = 0
  for await (const chunk of await from.open(descriptor)) {
    chunks.push(chunk)
    got += chunk.length
    if (got > size) break
  }
  if (got !== size)
    throw new OciError(
      'size-mismatch',
      `Cannot read ${digest}: want ${size} bytes, got ${got > size ? 'more' : got}`,
    )
  const bytes = Buffer.concat(chunks)
  const actual = digestOf(bytes, digestAlgorithm(digest))
  if (actual !== digest)
    throw new OciError('digest-mismatch', `Cannot read ${digest}: its bytes have the digest ${actual}`)
  return bytes
}

/** Where a graph is read. Asked by descriptor, because registries keep manifests apart from other blobs. */
export interface GraphSource {
  /** @throws code `content-missing` when it is not there */
  open(descriptor: Descriptor): Promise<Readable>
}

/** Where a graph is written. */
export interface GraphTarget {
  has(descriptor: Descriptor): Promise<boolean>
  /** Verifies and stores all of the source; a failed write leaves nothing visible. */
  write(descriptor: Descriptor, source: AsyncIterable<Buffer>, signal: AbortSignal): Promise<void>
}

/** Content that is kept by digest alone, as the source of a graph. */
export function graphSource(content: Pick<ContentProvider, 'open'>): GraphSource {
  return { open: descriptor => content.open(descriptor.digest) }
}

/** Content that is kept by digest alone, as the target of a graph. */
export function graphTarget(content: Pick<ContentProvider, 'stat'> & ContentIngester): GraphTarget {
  return {
    has: async descriptor => (await content.stat(descriptor.digest)) !== undefined,
    async write(descriptor, source, signal) {
      await using ingest = await content.begin()
      try {
        await ingest.append(source, signal)
        await ingest.commit({ digest: descriptor.digest, size: descriptor.size })
      } catch (error) {
        await ingest.abort()
        throw error
      }
    },
  }
}

/** Writes small content that is in one piece, unless the target has it. */
export async function writeContent(
  to: GraphTarget,
  descriptor: Descriptor,
  bytes: Buffer,
  signal: AbortSignal,
): Promise<void> {
  if (!(await to.has(descriptor))) await to.write(descriptor, Readable.from([bytes]), signal)
}

export interface CopyOptions {
  readonly signal: AbortSignal
  /** Copies at once. */
  readonly concurrency?: number
  /** Leaves out children, such as platforms that nobody wants or layers that are not to be distributed. */
  readonly filter?: (descriptor: Descriptor) => boolean
  readonly onProgress?: (event: CopyEvent) => void
}

export type CopyEvent =
  | { readonly kind: 'exists' | 'done'; readonly descriptor: Descriptor }
  | { readonly kind: 'bytes'; readonly descriptor: Descriptor; readonly offset: number }

/**
 * Copies `root` and all that it needs, children before parents; what the target has is not sent again. The first
 * failure stops the copies that run beside it, and begins no more.
 * @throws OciError `manifest-invalid` for a graph of no honest size
 */
export async function copyGraph(
  from: GraphSource,
  to: GraphTarget,
  root: Descriptor,
  options: CopyOptions,
): Promise<void> {
  const started = new Map<Digest, Promise<void>>()
  const limit = createLimit(options.concurrency ?? 4)
  const failed = new AbortController()
  const signal = AbortSignal.any([options.signal, failed.signal])

  const copyNode = (node: Descriptor, depth: number): Promise<void> => {
    const running = started.get(node.digest)
    if (running !== undefined) return running
    const copied = started.size < MAX_GRAPH_NODES ? copyOnce(node, depth) : Promise.reject(tooMany(root))
    started.set(node.digest, copied)
    copied.catch(error => failed.abort(error))
    return copied
  }
  const copyOnce = async (node: Descriptor, depth: number): Promise<void> => {
    if (isManifestDescriptor(node)) {
      // The innermost index points at images.
      if (depth > MAX_INDEX_DEPTH + 1) throw tooDeep(root)
      const bytes = await turn(() => readContent(from, node))
      const children = successors(parseManifest(bytes, node.mediaType))
      await all(
        children.filter(child => options.filter?.(child) ?? true).map(child => copyNode(child, depth + 1)),
      )
    }
    await turn(() => copyContent(from, to, node, { ...options, signal }))
  }
  const turn = <T>(task: () => Promise<T>): Promise<T> =>
    limit(async () => {
      signal.throwIfAborted()
      return task()
    })
  await copyNode(root, 0).catch(error => {
    throw failed.signal.reason ?? error
  })
}

function tooMany({ digest }: Descriptor): OciError {
  return new OciError('manifest-invalid', `Cannot copy ${digest}: it has more than ${MAX_GRAPH_NODES} parts`)
}

function tooDeep({ digest }: Descriptor): OciError {
  return new OciError('manifest-invalid', `Cannot copy ${digest}: its indexes are nested too deeply`)
}

async function copyContent(
  from: GraphSource,
  to: GraphTarget,
  node: Descriptor,
  options: CopyOptions,
): Promise<void> {
  const { signal, onProgress } = options
  if (await to.has(node)) {
    onProgress?.({ kind: 'exists', descriptor: node })
    return
  }
  const source = await from.open(node)
  try {
    await to.write(node, counted(chunksOf(source), node, onProgress), signal)
  } finally {
    source.destroy()
  }
  onProgress?.({ kind: 'done', descriptor: node })
}

/** Stops a source that goes on beyond its descriptor's size. */
async function* counted(
  source: AsyncIterable<Buffer>,
  node: Descriptor,
  onProgress: CopyOptions['onProgress'],
): AsyncIterable<Buffer> {
  let offset = 0
  for await (const chunk of source) {
    offset += chunk.length
    if (offset > node.size)
      throw new OciError(
        'size-mismatch',
        `Cannot copy ${node.digest}: it goes on after its ${node.size} bytes`,
      )
    onProgress?.({ kind: 'bytes', descriptor: node, offset })
    yield chunk
  }
}

/** Waits for all, then throws the first failure: nothing is left running behind the caller's back. */
async function all(promises: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(promises)).find(result => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
