/** What COPY and ADD have in common: find the sources, make the key of them, put them into a layer. */
import { writeTar } from '../../oci/tar/writer.ts'
import type { LayerRecord } from '../../store/metadata.ts'
import { type CacheKey, type LayerOp, type OpContext, type Result, rootKey } from '../solve/vertex.ts'
import type { FileTree } from '../tree/file-tree.ts'
import type { OpenTree } from '../tree/image-tree.ts'
import { Spool } from '../tree/spool.ts'
import { createCacheKey } from './cache-key.ts'
import type { CopySpec } from './copy-spec.ts'
import type { LayerOpDeps } from './deps.ts'
import { parseDestination } from './destination.ts'
import { openSelectedGit } from './git-source.ts'
import { LayerDraft } from './layer-draft.ts'
import { type Dress, dressed, type Placing, placeFile, placeSelected } from './placement.ts'
import { sourceParts } from './source-key.ts'
import { type Selected, type SelectedInline, selectSources } from './sources.ts'
import { storeLayer } from './store-layer.ts'
import { downloadSelected, downloadTree, type SelectedUrl } from './url-source.ts'
import { resolveOwner } from './users.ts'

type Place = (placing: Placing, selected: Selected) => Promise<void>

/**
 * @param place puts what was selected from a tree into the draft
 */
export function createTransferOp(
  kind: 'copy' | 'add',
  spec: CopySpec,
  deps: LayerOpDeps,
  place: Place,
): LayerOp {
  return {
    kind: 'layer',
    async cacheKey(inputs, context) {
      await using tree = await openSource(spec, inputs, deps, context.signal)
      const selections = await selectSources(spec, tree)
      const parts = await sourceParts(selections, tree, deps, context.signal)
      const definition = await definitionParts(spec, inputs, deps, context.signal)
      return createCacheKey(kind, [...definition, ...parts])
    },
    async exec(inputs, context) {
      await using tree = await openSource(spec, inputs, deps, context.signal)
      await using trees = new AsyncDisposableStack()
      const open = async (result: Result) => trees.use(await deps.openTree(result, context.signal))
      const root = await open(spec.link ? NOTHING : rootOf(inputs))
      const openNames = async () => (spec.link ? open(rootOf(inputs)) : root)
      await using spool = new Spool(deps.temporaryDirectory)
      const draft = new LayerDraft(root)
      const placing: Placing = {
        draft,
        tree,
        destination: parseDestination(spec.workdir, spec.destination),
        dress: await dressOf(spec, deps, openNames, context),
        spool,
        signal: context.signal,
        ...(deps.archiveLimits !== undefined && { archiveLimits: deps.archiveLimits }),
      }
      for (const selection of await selectSources(spec, tree)) {
        if ('content' in selection) await placeInline(placing, selection)
        else if ('url' in selection) await placeDownload(placing, selection, deps.downloads, place)
        else if ('git' in selection) {
          const { selected, ...repository } = await openSelectedGit(selection, deps.git, context.signal)
          await placeSelected({ ...placing, ...repository }, selected)
        } else await place(placing, selection)
      }
      return await ingestDraft(draft, deps, context)
    },
  }
}

/** Stores what the draft holds as a layer; nothing is a layer too. */
export function ingestDraft(draft: LayerDraft, deps: LayerOpDeps, context: OpContext): Promise<LayerRecord> {
  return storeLayer(writeTar(draft.items(context.signal)), deps, context)
}

/** The op's first input. */
export function rootOf(inputs: readonly Result[]): Result {
  const [root] = inputs
  if (root === undefined) throw new Error('Cannot add a layer: the step has no input')
  return root
}

const NOTHING: Result = { chainID: undefined, layers: [] }

/**
 * Names in `--chown` mean what the parent's files say, which the parent's key stands for; where that is not in
 * the key, the IDs are.
 */
async function definitionParts(
  spec: CopySpec,
  inputs: readonly Result[],
  deps: LayerOpDeps,
  signal: AbortSignal,
): Promise<CacheKey['parts']> {
  const { path, isDirectory } = parseDestination(spec.workdir, spec.destination)
  return [
    ['parent', spec.link ? 'any' : rootKey(rootOf(inputs))],
    ['destination', `/${path}${isDirectory && path !== '' ? '/' : ''}`],
    ['chown', spec.link ? await linkedOwner(spec, inputs, deps, signal) : (spec.chown ?? '')],
    ['chmod', spec.chmod?.text ?? ''],
  ]
}

async function linkedOwner(
  { chown = '' }: CopySpec,
  inputs: readonly Result[],
  deps: LayerOpDeps,
  signal: AbortSignal,
): Promise<string> {
  if (chown === '') return ''
  await using trees = new AsyncDisposableStack()
  const open = async () => trees.use(await deps.openTree(rootOf(inputs), signal))
  const { uid, gid } = await resolveOwner(open, chown)
  return `${uid}:${gid}`
}

async function openSource(
  spec: CopySpec,
  inputs: readonly Result[],
  deps: LayerOpDeps,
  signal: AbortSignal,
): Promise<OpenTree> {
  if (spec.origin.kind === 'context') return lend(spec.origin.tree)
  const stage = inputs[1]
  if (stage === undefined) throw new Error('Cannot copy from a stage: the step has no second input')
  return deps.openTree(stage, signal)
}

/** A tree that belongs to someone else. */
function lend(tree: Omit<OpenTree, typeof Symbol.asyncDispose>): OpenTree {
  return {
    stat: path => tree.stat(path),
    list: path => tree.list(path),
    digest: path => tree.digest(path),
    prepare: (paths, signal) => tree.prepare(paths, signal),
    open: path => tree.open(path),
    [Symbol.asyncDispose]: async () => undefined,
  }
}

async function dressOf(
  { chown, chmod }: CopySpec,
  { createdAt }: LayerOpDeps,
  openNames: () => Promise<FileTree>,
  context: OpContext,
): Promise<Dress> {
  const dress = { createdAt, ...(chmod !== undefined && { chmod }) }
  if (chown === undefined || chown === '') return dress
  const { uid, gid, unknown } = await resolveOwner(openNames, chown)
  for (const name of unknown)
    context.status(`--chown: ${JSON.stringify(name)} is nobody in the image, and is passed over`)
  return { ...dress, owner: { uid, gid } }
}

async function placeInline(placing: Placing, { name, content }: SelectedInline): Promise<void> {
  const { dress } = placing
  const node = {
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: content.length,
    mtime: dress.createdAt,
  } as const
  await placeFile(placing, name, dressed(node, dress), { open: async () => content })
}

async function placeDownload(
  placing: Placing,
  selected: SelectedUrl,
  downloads: LayerOpDeps['downloads'],
  place: Place,
): Promise<void> {
  const { name, isUnpacked } = selected
  const download = await downloadSelected(selected, downloads, placing.signal)
  const node = {
    type: 'file',
    mode: 0o600,
    uid: 0,
    gid: 0,
    size: download.size,
    mtime: download.mtime ?? placing.dress.createdAt,
  } as const
  const tree = downloadTree(download, node)
  await (isUnpacked ? place : placeSelected)({ ...placing, tree }, { name, path: name, node })
}
