/** A store in memory and roots made of tar entries, to run ops on. */
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { parseIgnoreFile } from '../../../../src/builder/context/ignore.ts'
import { type LocalContext, openLocalContext } from '../../../../src/builder/context/local-context.ts'
import { openStatCache } from '../../../../src/builder/context/stat-cache.ts'
import { NO_LIMITS } from '../../../../src/builder/exec/limits.ts'
import type { Download } from '../../../../src/builder/fetch/downloads.ts'
import type { GitCommit } from '../../../../src/builder/fetch/git-refs.ts'
import type { LayerOpDeps } from '../../../../src/builder/ops/deps.ts'
import type { LayerOp, OpContext, Result } from '../../../../src/builder/solve/vertex.ts'
import type { FileTree } from '../../../../src/builder/tree/file-tree.ts'
import { createImageTree, type OpenTree } from '../../../../src/builder/tree/image-tree.ts'
import { createMergedTrees } from '../../../../src/builder/tree/merged-trees.ts'
import { byteStringOf } from '../../../../src/oci/byte-string.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { chainID } from '../../../../src/oci/identity.ts'
import type { LayerToc } from '../../../../src/oci/layer/toc.ts'
import { TocRecorder } from '../../../../src/oci/layer/toc-recorder.ts'
import type { TarEntry } from '../../../../src/oci/tar/entry.ts'
import { type TarItem, writeTar } from '../../../../src/oci/tar/writer.ts'
import type { Layers } from '../../../../src/store/layers.ts'
import type { LayerRecord } from '../../../../src/store/metadata.ts'

export const CREATED_AT = 1_000_000_000

/** Layers kept as uncompressed tars. */
export class MemoryLayers implements Layers {
  readonly tars = new Map<string, Buffer>()
  readonly #tocs = new Map<string, LayerToc>()
  /** Times that a layer's tar was read. */
  reads = 0

  async ingest(tar: AsyncIterable<Uint8Array>): Promise<LayerRecord> {
    const chunks: Uint8Array[] = []
    const recorder = new TocRecorder()
    // As a disk would: an op that has already closed its trees by now is found out.
    await nextTurn()
    for await (const chunk of tar) {
      chunks.push(chunk)
      recorder.update(chunk)
    }
    const bytes = Buffer.concat(chunks)
    const digest = digestOf(bytes)
    this.tars.set(digest, bytes)
    this.#tocs.set(digest, recorder.finish())
    const size = bytes.length
    return { digest, mediaType: 'tar', size, diffID: digest, uncompressedSize: size }
  }

  toc(layer: LayerRecord): LayerToc {
    const toc = this.#tocs.get(layer.digest)
    if (toc === undefined) throw new Error(`no layer ${layer.digest}`)
    return toc
  }

  async openTar(layer: LayerRecord): Promise<AsyncIterable<Buffer>> {
    this.reads++
    const bytes = this.tars.get(layer.digest) ?? Buffer.alloc(0)
    return (async function* () {
      for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700)
    })()
  }
}

/** What a test says of an entry; a string with a `/` at the end is a directory, a Buffer or text a file. */
export type EntryOf = Partial<Omit<TarEntry, 'path' | 'linkPath'>> & {
  readonly content?: string
  readonly link?: string
}

export function itemOf(path: string, { content, link, ...rest }: EntryOf): TarItem {
  const body = Buffer.from(content ?? '')
  const type = rest.type ?? (link === undefined ? (path.endsWith('/') ? 'directory' : 'file') : 'symlink')
  const entry: TarEntry = {
    mode: type === 'directory' ? 0o755 : type === 'symlink' ? 0o777 : 0o644,
    uid: 0,
    gid: 0,
    size: body.length,
    mtime: 500,
    ...rest,
    type,
    path: byteStringOf(path.replace(/\/$/, '')),
    ...(link !== undefined && { linkPath: byteStringOf(link) }),
  }
  return { entry, body }
}

export async function tarOf(entries: Readonly<Record<string, EntryOf>>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of writeTar(Object.entries(entries).map(([path, entry]) => itemOf(path, entry))))
    chunks.push(chunk)
  return Buffer.concat(chunks)
}

export class Bench {
  readonly layers = new MemoryLayers()
  readonly directory = mkdtempSync(join(tmpdir(), 'slipway-ops-'))
  readonly statuses: string[] = []

  readonly deps: LayerOpDeps = {
    layers: this.layers,
    compression: 'none',
    limits: NO_LIMITS,
    createdAt: CREATED_AT,
    temporaryDirectory: join(this.directory, 'tmp'),
    openTree: async result => this.tree(result),
    downloads: { get: async url => this.download(url) },
    git: {
      resolve: async ({ remote }) => this.repository(remote).commit,
      open: async ({ remote }) => this.repository(remote).tree,
    },
  }

  readonly context: OpContext = {
    signal: new AbortController().signal,
    output: () => undefined,
    status: text => this.statuses.push(text),
  }

  /** What is at URLs. */
  readonly web = new Map<string, { readonly content: Buffer; readonly mtime?: number }>()

  /** Git repositories by their remotes. */
  readonly repositories = new Map<string, { readonly commit: GitCommit; readonly tree: FileTree }>()

  repository(remote: string): { readonly commit: GitCommit; readonly tree: FileTree } {
    const found = this.repositories.get(remote)
    if (found === undefined) throw new Error(`no repository ${remote} in this test`)
    return found
  }

  async download(url: URL): Promise<Download> {
    const { content, ...rest } = this.web.get(url.href) ?? { content: Buffer.from('not found') }
    return { ...rest, digest: digestOf(content), size: content.length, open: async () => content }
  }

  tree(result: Result): OpenTree {
    return createImageTree(result.layers as readonly LayerRecord[], {
      layers: this.layers,
      trees: createMergedTrees(this.layers),
      temporaryDirectory: join(this.directory, 'tmp'),
    })
  }

  async root(...layers: Readonly<Record<string, EntryOf>>[]): Promise<Result> {
    const records: LayerRecord[] = []
    for (const entries of layers) {
      const tar = await tarOf(entries)
      records.push(
        await this.layers.ingest(
          (async function* () {
            yield tar
          })(),
        ),
      )
    }
    return { chainID: chainID(records.map(record => record.diffID)), layers: records }
  }

  /** A build context; `->` before a content makes a symlink, `=` a hard link, a trailing `/` a directory. */
  async localContext(
    files: Readonly<Record<string, string | { readonly mode: number; readonly content?: string }>>,
    ignore?: string,
  ): Promise<LocalContext & { readonly directory: string }> {
    const directory = mkdtempSync(join(this.directory, 'context-'))
    for (const [path, file] of Object.entries(files)) makeFile(join(directory, path), file, directory)
    const fileDigests = await openStatCache({
      directory: join(this.directory, 'digests'),
      context: directory,
      now: () => Date.now(),
    })
    const tree = await openLocalContext({
      directory,
      fileDigests,
      ...(ignore !== undefined && { ignore: parseIgnoreFile(ignore, '.dockerignore') }),
    })
    return Object.assign(tree, { directory })
  }

  /** Runs an op and tells the entries of the layer that it made. */
  async run(op: LayerOp, ...inputs: Result[]): Promise<LayerToc['entries']> {
    return (await this.runToc(op, ...inputs)).entries
  }

  async runToc(op: LayerOp, ...inputs: Result[]): Promise<LayerToc> {
    return this.layers.toc(await op.exec(inputs, this.context))
  }

  dispose(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

function makeFile(
  path: string,
  file: string | { readonly mode: number; readonly content?: string },
  root: string,
): void {
  const text = typeof file === 'string' ? file : (file.content ?? '')
  mkdirSync(path.endsWith('/') ? path : dirname(path), { recursive: true })
  if (text.startsWith('->')) symlinkSync(text.slice(2), path)
  else if (text.startsWith('=')) linkSync(join(root, text.slice(1)), path)
  else if (!path.endsWith('/')) writeFileSync(path, text)
  if (typeof file !== 'string') chmodSync(path, file.mode)
}
