/** The mounts of a RUN: what of them is in its cache key, and what is made ready for its container. */
import { type ByteString, byteStringOf } from '../../oci/byte-string.ts'
import type { Digest } from '../../oci/digest.ts'
import { writeTar } from '../../oci/tar/writer.ts'
import type { ImportedMounts } from '../cache/imported-mounts.ts'
import { BuildError } from '../errors.ts'
import type { ContainerMount } from '../exec/executor.ts'
import { rootfsItems } from '../export/rootfs.ts'
import type { ServedAgent, SshAgents } from '../fetch/ssh-agents.ts'
import type {
  CacheDefinition,
  MountDefinition,
  MountInput,
  SecretDefinition,
  SshDefinition,
  TmpfsDefinition,
} from '../plan/op-definition.ts'
import type { CacheMount, CacheMounts } from '../snapshot/cache-mounts.ts'
import type { Snapshotter } from '../snapshot/snapshotter.ts'
import type { CacheKey, OpContext, Result, UsedCacheMount } from '../solve/vertex.ts'
import type { FileTree, TreeNode } from '../tree/file-tree.ts'
import type { OpenTree } from '../tree/image-tree.ts'
import { resolvePath } from '../tree/resolve.ts'
import { treeBelow } from '../tree/tree-below.ts'
import { createCacheKey } from './cache-key.ts'
import { type ContextTree, contextParts, copyContext, MOUNTED } from './context-mount.ts'
import { fileParts } from './source-key.ts'
import type { Unpack } from './unpack-layers.ts'

interface TreeDeps {
  /** A build context: one of `--build-context`, or the main one. */
  contextTree(name: string | undefined): ContextTree
  openTree(result: Result, signal: AbortSignal): Promise<OpenTree>
}

/**
 * Semantics 100: of a bind what is read, by its content; of what comes from outside or is gone with the step nothing
 * but its name and place.
 */
export async function mountParts(
  mounts: readonly MountDefinition[],
  inputs: readonly Result[],
  deps: TreeDeps,
  signal: AbortSignal,
): Promise<CacheKey['parts']> {
  const parts: CacheKey['parts'][number][] = []
  for (const mount of mounts) {
    if (mount.kind === 'tmpfs' || mount.kind === 'secret' || mount.kind === 'ssh') {
      parts.push(['mount', placeOf(mount)])
      continue
    }
    if (mount.kind === 'script') {
      parts.push(['script', `${mount.target} ${mount.content}`])
      continue
    }
    if (mount.kind === 'context') {
      parts.push(['mount', `bind ${mount.readOnly ? 'ro' : 'rw'} ${mount.target}`])
      parts.push(...(await contextParts(mount, deps.contextTree(mount.context), signal)))
      continue
    }
    parts.push(['mount', `${mount.kind} ${mount.readOnly ? 'ro' : 'rw'} ${mount.target}`])
    const input = mount.kind === 'bind' ? mount : mount.seed
    if (input !== undefined) parts.push(...(await inputParts(input, inputs, deps, signal)))
  }
  return parts
}

/** What the step can tell without looking into it. */
function placeOf(mount: TmpfsDefinition | SecretDefinition | SshDefinition): string {
  if (mount.kind === 'tmpfs') return `tmpfs ${mount.target}`
  const variable = mount.kind === 'secret' ? mount.env : mount.isDefault ? 'SSH_AUTH_SOCK' : undefined
  const isFile = mount.kind === 'ssh' || mount.isFile
  const places = [...(variable === undefined ? [] : [`$${variable}`]), ...(isFile ? [mount.target] : [])]
  return `${mount.kind} ${JSON.stringify(mount.id)} ${places.join(' ')}`
}

export interface OpenMountsDeps extends TreeDeps {
  readonly cacheMounts: CacheMounts
  readSecret(id: string): Promise<Uint8Array | undefined>
  readonly ssh: Pick<SshAgents, 'serve'>
  readonly importedMounts: Pick<ImportedMounts, 'contentOf'>
  readonly snapshotter: Snapshotter
  readonly unpack: Unpack
}

export interface OpenMounts extends AsyncDisposable {
  readonly mounts: readonly ContainerMount[]
  /** `NAME=value` of secrets and agents. */
  readonly env: readonly string[]
}

/** Dispose when the step has ended: what it wrote into binds is then gone (semantics 66). */
export async function openMounts(
  definitions: readonly MountDefinition[],
  inputs: readonly Result[],
  deps: OpenMountsDeps,
  context: OpContext,
): Promise<OpenMounts> {
  await using undo = new AsyncDisposableStack()
  const caches = await acquireCaches(definitions, inputs, deps, context, undo)
  const mounts: ContainerMount[] = []
  const env: string[] = []
  for (const definition of definitions) {
    if (definition.kind === 'tmpfs') {
      mounts.push(definition)
      continue
    }
    if (definition.kind === 'script') {
      const { target, content } = definition
      mounts.push({ kind: 'file', target, readOnly: true, content: Buffer.from(content), ...SCRIPT_OWNER })
      continue
    }
    if (definition.kind === 'ssh') {
      if (definition.isDefault) env.push(`SSH_AUTH_SOCK=${definition.target}`)
      const agent = await serveAgent(definition, deps)
      if (agent !== undefined)
        mounts.push({
          kind: 'socket',
          target: definition.target,
          source: undo.use(agent).path,
          readOnly: true,
        })
      continue
    }
    if (definition.kind === 'secret') {
      const content = await requireSecret(definition, deps)
      // The variable of a secret that nobody gave is empty, its file is not there.
      if (definition.env !== undefined) env.push(`${definition.env}=${variableOf(definition, content)}`)
      if (content === undefined) continue
      const { target, mode, uid, gid } = definition
      if (definition.isFile) mounts.push({ kind: 'file', target, readOnly: true, content, mode, uid, gid })
      continue
    }
    if (definition.kind === 'cache') {
      const { target, readOnly } = definition
      const source = caches.get(cacheKeyOf(definition, inputs))?.directory
      if (source === undefined) throw new Error(`Cannot mount "${target}": its cache was not acquired`)
      mounts.push({ kind: 'directory', target, readOnly, source })
      continue
    }
    if (definition.kind === 'context') {
      const { target, readOnly } = definition
      const tree = deps.contextTree(definition.context)
      const copy = undo.use(await copyContext(definition, tree, deps.snapshotter, context))
      mounts.push({ kind: 'snapshot', target, readOnly, source: MOUNTED, rootfs: copy.mounts })
      continue
    }
    const { target, readOnly, source } = definition
    const result = inputAt(inputs, definition)
    await deps.unpack(result.layers, deps.snapshotter, context)
    const snapshot = undo.use(
      await deps.snapshotter.view(result.chainID, byteStringOf(source), context.signal),
    )
    mounts.push({ kind: 'snapshot', target, readOnly, source, rootfs: snapshot.mounts })
  }
  const owned = undo.move()
  return { mounts, env, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

const SCRIPT_OWNER = { mode: 0o755, uid: 0, gid: 0 }

async function requireSecret(
  { id, required }: SecretDefinition,
  deps: OpenMountsDeps,
): Promise<Uint8Array | undefined> {
  const content = await deps.readSecret(id)
  if (content !== undefined || !required) return content
  throw new BuildError('source-missing', `Cannot mount secret ${JSON.stringify(id)}: nobody gave it`, {
    hint: `give it with --secret id=${id},src=FILE`,
  })
}

async function serveAgent(
  definition: SshDefinition,
  { ssh }: OpenMountsDeps,
): Promise<ServedAgent | undefined> {
  const { id, required } = definition
  const agent = await ssh.serve(id, definition)
  if (agent !== undefined || !required) return agent
  throw new BuildError('source-missing', `Cannot mount ssh ${JSON.stringify(id)}: nobody gave an agent`, {
    hint: `give it with --ssh ${id}`,
  })
}

function variableOf({ id }: SecretDefinition, content: Uint8Array = new Uint8Array()): string {
  if (!content.includes(0)) return Buffer.from(content).toString()
  throw new BuildError('source-missing', `Cannot mount secret ${JSON.stringify(id)}: no variable can hold it`)
}

/**
 * Those whose keys can be told: what one begins with may come of an input that is not known. Ids have the namespace
 * before them (`BUILDKIT_CACHE_MOUNT_NS`) where there is one.
 */
export function usedCacheMounts(
  definitions: readonly MountDefinition[],
  inputs: readonly (Result | undefined)[],
): readonly UsedCacheMount[] {
  return definitions.flatMap((definition): readonly UsedCacheMount[] => {
    if (definition.kind !== 'cache') return []
    const { id, seed } = definition
    const begins = seed && inputs[seed.input]
    if (seed !== undefined && begins === undefined) return []
    return [
      {
        key: cacheKey(id, seed && begins && { result: begins, source: seed.source }),
        id: id.replace(/^\//, ''),
      },
    ]
  })
}

/** Each cache once, in the order of keys. */
async function acquireCaches(
  definitions: readonly MountDefinition[],
  inputs: readonly Result[],
  deps: OpenMountsDeps,
  context: OpContext,
  undo: AsyncDisposableStack,
): Promise<ReadonlyMap<Digest, CacheMount>> {
  const wanted = new Map<Digest, CacheDefinition>()
  for (const definition of definitions)
    if (definition.kind === 'cache') wanted.set(cacheKeyOf(definition, inputs), definition)
  const acquired = new Map<Digest, CacheMount>()
  for (const key of [...wanted.keys()].sort()) {
    const definition = wanted.get(key)
    if (definition === undefined) continue
    const { sharing, target, seed, mode, uid, gid } = definition
    let owner = { mode: 0o755, uid: 0, gid: 0 }
    let content: (() => AsyncIterable<Buffer>) | undefined
    if (seed !== undefined) {
      const tree = undo.use(await deps.openTree(inputAt(inputs, seed), context.signal))
      const { path, node } = await findSource(tree, seed)
      owner = node
      content = () => writeTar(rootfsItems(treeBelow(tree, path), context.signal))
    }
    const imported = deps.importedMounts.contentOf(key, context)
    const request = {
      key,
      sharing,
      mode: mode ?? owner.mode,
      uid: uid ?? owner.uid,
      gid: gid ?? owner.gid,
      ...(content !== undefined && { seed: content }),
      ...(imported !== undefined && { imported }),
    }
    const waiting = () => context.status(`waiting for the cache of ${target}`)
    acquired.set(key, undo.use(await deps.cacheMounts.acquire(request, context.signal, waiting)))
  }
  return acquired
}

/** Semantics 66: mode and owner do not tell caches apart; what they begin with does. */
function cacheKeyOf({ id, seed }: CacheDefinition, inputs: readonly Result[]): Digest {
  return cacheKey(id, seed && { result: inputAt(inputs, seed), source: seed.source })
}

function cacheKey(
  id: string,
  seed: { readonly result: Result; readonly source: string } | undefined,
): Digest {
  const from = seed === undefined ? [] : [seed.result.chainID ?? 'scratch', seed.source]
  return createCacheKey(
    'cache mount',
    [id, ...from].map(text => ['part', text] as const),
  ).digest
}

async function inputParts(
  mount: MountInput,
  inputs: readonly Result[],
  deps: TreeDeps,
  signal: AbortSignal,
): Promise<CacheKey['parts']> {
  await using tree = await deps.openTree(inputAt(inputs, mount), signal)
  return fileParts({ name: '' as ByteString, ...(await findSource(tree, mount)) }, tree, signal)
}

async function findSource(
  tree: FileTree,
  { source }: MountInput,
): Promise<{ readonly path: ByteString; readonly node: TreeNode }> {
  const path = await resolvePath(tree, byteStringOf(source))
  const found = path === undefined ? undefined : await tree.stat(path)
  // An image's root directory need not be in its layers.
  const node = path === '' ? (found ?? ROOT) : found
  if (path !== undefined && node !== undefined) return { path, node }
  throw new BuildError('source-missing', `Cannot mount ${JSON.stringify(source)}: it is not there`)
}

const ROOT = { type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0 } as const

function inputAt(inputs: readonly Result[], { input }: MountInput): Result {
  const result = inputs[input]
  if (result === undefined) throw new Error(`Cannot mount: the step has no input ${input}`)
  return result
}
