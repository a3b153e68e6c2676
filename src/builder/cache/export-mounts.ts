/** What cache mounts hold, as layers. */
import { lstatSync } from 'node:fs'
import { type ByteString, displayText } from '../../oci/byte-string.ts'
import type { Digest } from '../../oci/digest.ts'
import { CodedError } from '../../oci/errors.ts'
import { writeTar } from '../../oci/tar/writer.ts'
import type { Layers } from '../../store/layers.ts'
import type { ExistingCacheMounts } from '../snapshot/cache-mounts.ts'
import { readCopiedChanges } from '../snapshot/copying-changes.ts'
import type { OpContext, Result, UsedCacheMount, Vertex } from '../solve/vertex.ts'
import type { FileTree } from '../tree/file-tree.ts'
import type { CacheMountChoice } from './cache-end.ts'
import type { ImportedMounts } from './imported-mounts.ts'
import type { DocumentedMount } from './mount-document.ts'

export interface MountLayersDeps {
  readonly cacheMounts: ExistingCacheMounts
  readonly stored: Pick<Layers, 'ingest'>
  readonly imported: Pick<ImportedMounts, 'find'>
  readonly warn: (text: string) => void
}

export interface MountLayers {
  /**
   * Those that are chosen: as they are here, or where they are not, as they were imported. Each is read once, when
   * nobody else uses it.
   */
  get(
    used: readonly UsedCacheMount[],
    choice: CacheMountChoice,
    context: OpContext,
  ): Promise<readonly DocumentedMount[]>
}

/** Of all steps of the build, also of those that were not executed; in the order of their keys. */
export function usedCacheMounts(
  vertices: readonly Vertex[],
  resultOf: (vertex: Vertex) => Result | undefined,
): readonly UsedCacheMount[] {
  const found = new Map<Digest, UsedCacheMount>()
  for (const { op, inputs } of vertices) {
    if (op.kind !== 'layer') continue
    for (const mount of op.cacheMounts?.(inputs.map(resultOf)) ?? []) found.set(mount.key, mount)
  }
  return [...found.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1))
}

export function createMountLayers({ cacheMounts, stored, imported, warn }: MountLayersDeps): MountLayers {
  const known = new Map<Digest, Promise<DocumentedMount | undefined>>()

  const read = async (
    { key, id }: UsedCacheMount,
    context: OpContext,
  ): Promise<DocumentedMount | undefined> => {
    const waiting = () => context.status(`waiting for the cache mount ${id}`)
    await using mount = await cacheMounts.openExisting(key, context.signal, waiting)
    if (mount === undefined) return imported.find(key)
    const { directory } = mount
    const { mode, uid, gid } = lstatSync(directory)
    try {
      const changes = readCopiedChanges(directory, new Map(), NOTHING, context.signal)
      const layer = await stored.ingest(writeTar(changes), 'zstd', context.signal)
      context.status(`cache mount ${id}: ${(layer.size / 1e6).toFixed(1)} MB`)
      return { key, id, mode: mode & 0o7777, uid, gid, layer }
    } catch (error) {
      context.signal.throwIfAborted()
      if (!(error instanceof CodedError)) throw error
      warn(`Cannot export the cache mount ${id}: ${error.message}`)
      return undefined
    }
  }
  return {
    async get(used, choice, context) {
      const mounts: DocumentedMount[] = []
      for (const wanted of used) {
        if (choice !== 'all' && !choice.has(wanted.id)) continue
        const found = known.get(wanted.key) ?? read(wanted, context)
        known.set(wanted.key, found)
        const mount = await found
        if (mount !== undefined) mounts.push(mount)
      }
      return mounts
    },
  }
}

/** What there was before the first step. */
const NOTHING: FileTree = {
  stat: async () => undefined,
  list: async () => [],
  open: nothingThere,
  digest: nothingThere,
  prepare: async () => undefined,
}

function nothingThere(path: ByteString): never {
  throw new Error(`Cannot read "${displayText(path)}": nothing is there`)
}
