/** The mounts of a RUN: what of them is in its cache key, and what is made ready for its container. */
import { type ByteString, byteStringOf } from '../../oci/byte-string.ts'
import type { LayerRecord } from '../../store/metadata.ts'
import { BuildError } from '../errors.ts'
import type { ContainerMount } from '../exec/executor.ts'
import type { MountDefinition, MountInput } from '../plan/op-definition.ts'
import type { Snapshotter } from '../snapshot/snapshotter.ts'
import type { CacheKey, OpContext, Result } from '../solve/vertex.ts'
import type { OpenTree } from '../tree/image-tree.ts'
import { resolvePath } from '../tree/resolve.ts'
import { sourceParts } from './source-key.ts'
import type { Unpack } from './unpack-layers.ts'

interface TreeDeps {
  openTree(result: Result, signal: AbortSignal): Promise<OpenTree>
}

/**
 * Semantics 100: of a bind what is read, by its content; of what comes from outside or is gone with the step nothing
 * but its place.
 */
export async function mountParts(
  mounts: readonly MountDefinition[],
  inputs: readonly Result[],
  deps: TreeDeps,
  signal: AbortSignal,
): Promise<CacheKey['parts']> {
  const parts: CacheKey['parts'][number][] = []
  for (const mount of mounts) {
    if (mount.kind !== 'bind') continue
    parts.push(['mount', `${mount.kind} ${mount.readOnly ? 'ro' : 'rw'} ${mount.target}`])
    parts.push(...(await inputParts(mount, inputs, deps, signal)))
  }
  return parts
}

export interface OpenMountsDeps {
  readonly snapshotter: Snapshotter
  readonly unpack: Unpack
  requireLayers(result: Result, context: OpContext): Promise<readonly LayerRecord[]>
}

export interface OpenMounts extends AsyncDisposable {
  readonly mounts: readonly ContainerMount[]
}

/** Dispose when the step has ended: what it wrote into binds is then gone (semantics 66). */
export async function openMounts(
  definitions: readonly MountDefinition[],
  inputs: readonly Result[],
  deps: OpenMountsDeps,
  context: OpContext,
): Promise<OpenMounts> {
  await using undo = new AsyncDisposableStack()
  const mounts: ContainerMount[] = []
  for (const definition of definitions) {
    if (definition.kind === 'tmpfs') {
      mounts.push(definition)
      continue
    }
    const { target, readOnly, source } = definition
    const result = inputAt(inputs, definition)
    await deps.unpack(await deps.requireLayers(result, context), deps.snapshotter, context)
    const snapshot = undo.use(await deps.snapshotter.prepare(result.chainID))
    mounts.push({ kind: 'snapshot', target, readOnly, source, rootfs: snapshot.mounts })
  }
  const owned = undo.move()
  return { mounts, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

async function inputParts(
  mount: MountInput,
  inputs: readonly Result[],
  deps: TreeDeps,
  signal: AbortSignal,
): Promise<CacheKey['parts']> {
  await using tree = await deps.openTree(inputAt(inputs, mount), signal)
  const path = await resolvePath(tree, byteStringOf(mount.source))
  const node = path === undefined ? undefined : await tree.stat(path)
  // An image's root directory need not be in its layers.
  if (path === '' && node === undefined)
    return sourceParts([{ name: '' as ByteString, path, node: ROOT }], tree, signal)
  if (path === undefined || node === undefined)
    throw new BuildError('source-missing', `Cannot mount ${JSON.stringify(mount.source)}: it is not there`)
  return sourceParts([{ name: '' as ByteString, path, node }], tree, signal)
}

const ROOT = { type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0 } as const

function inputAt(inputs: readonly Result[], { input }: MountInput): Result {
  const result = inputs[input]
  if (result === undefined) throw new Error(`Cannot mount: the step has no input ${input}`)
  return result
}
