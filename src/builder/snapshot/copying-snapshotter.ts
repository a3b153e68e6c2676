/**
 * Snapshots where no overlay can be mounted: a step gets a root filesystem of its own, copied from layers.
 *
 * ```
 * snapshots/<boot>/copy-<hex of the chainID>/fs       what the layer adds, or the whole root filesystem
 *                                           /hidden   what it hides of the layers below (JSON)
 *                                           /parent   hex of the chainID below; empty where there is none
 * snapshots/<boot>/tmp-<id>/{fs,hidden,parent}        being written, becomes one of the above by rename
 * ```
 *
 * What a step leaves is committed whole. The step after it takes that over, by rename, when nobody else is known to want
 * it: a chain of steps copies once. Who needs it later gets it from the layers, which are kept.
 */
import { mkdirSync, renameSync } from 'node:fs'
import type { Linux } from '../../linux/linux.ts'
import { type ByteString, bytesOf, displayText } from '../../oci/byte-string.ts'
import type { Digest } from '../../oci/digest.ts'
import { BuildError } from '../errors.ts'
import { resolvePath } from '../tree/resolve.ts'
import { pathBelowRoot } from '../tree/walk.ts'
import { applyLayer } from './apply.ts'
import { createCommittedSnapshots, type OpenSnapshots } from './committed-snapshots.ts'
import { copyTree } from './copy-tree.ts'
import { readCopiedChanges, type Stamps, stampTree } from './copying-changes.ts'
import {
  createHiddenPaths,
  openCopiedLayers,
  readStoredLayer,
  type StoredLayer,
  treeOfLayers,
} from './copying-layers.ts'
import type { OwnedDirectory } from './owned-directory.ts'
import { readIfThere } from './read-if-there.ts'
import { removeTree } from './remove-tree.ts'
import { removeUnlessInUse } from './snapshots-in-use.ts'
import type { ActiveSnapshot, Snapshotter } from './snapshotter.ts'

/**
 * Snapshots that it has told of, made or built upon are not pruned until it is disposed of, or its process ends.
 * @param root of the store, absolute
 */
export function createCopyingSnapshotter({ root }: { readonly root: string }): Snapshotter & Disposable {
  const wanted = createWanted()
  const committed = new Set<Digest>()
  const snapshots = createCommittedSnapshots({ root, prefix: 'copy-' })

  async function needLayers(name: Digest | undefined): Promise<readonly StoredLayer[]> {
    const chain = await snapshots.need(name)
    return chain.map(snapshot => readStoredLayer(`${snapshot}/fs`, `${snapshot}/hidden`))
  }

  /** Moves what a step of ours left to be the next one's; false when that is not there, or wanted by others. */
  async function takeOver({ linux, pathOf }: OpenSnapshots, name: Digest, work: string): Promise<boolean> {
    const path = pathOf(name)
    if (!committed.has(name) || wanted.count(name) > 0 || readIfThere(`${path}/parent`) !== '') return false
    snapshots.release(path)
    if (!removeUnlessInUse(linux, path, () => renameSync(path, `${work}/taken`))) return false
    committed.delete(name)
    renameSync(`${work}/taken/fs`, `${work}/fs`)
    await removeTree(`${work}/taken`)
    return true
  }

  return {
    async has(name) {
      wanted.add(name)
      const isThere = (await snapshots.find(name)) !== undefined
      if (!isThere) wanted.remove(name)
      return isThere
    },

    async apply(name, parent, tar, signal) {
      const { linux, begin, pathOf } = await snapshots.open()
      const layers = await needLayers(parent)
      wanted.remove(parent)
      if ((await snapshots.find(name)) !== undefined) return
      await using work = begin(parent)
      const hiding = createHiddenPaths()
      await applyLayer(tar, {
        linux,
        directory: `${work.path}/fs`,
        lower: openCopiedLayers(layers),
        hiding,
        signal,
      })
      hiding.save(`${work.path}/hidden`)
      // It may be pruned as soon as it has its name.
      await snapshots.hold(work.path)
      await work.publish(pathOf(name))
    },

    async prepare(parent, signal) {
      const open = await snapshots.open()
      const { linux } = open
      await using undo = new AsyncDisposableStack()
      const work = undo.use(open.begin(undefined))
      wanted.remove(parent)
      if (parent === undefined || !(await takeOver(open, parent, work.path))) {
        const layers = openCopiedLayers(await needLayers(parent))
        await copyTree(linux, layers, '', `${work.path}/fs`, signal)
      }
      const stamps = await stampTree(`${work.path}/fs`, `${work.path}/clock`, signal)
      undo.move()
      return openActive({ linux, work, stamps }, name => {
        committed.add(name)
        return open.pathOf(name)
      })
    },

    async view(parent, path, signal) {
      const { linux, begin, pathOf } = await snapshots.open()
      await using undo = new AsyncDisposableStack()
      const work = undo.use(begin(undefined))
      const layers = openCopiedLayers(await needLayers(parent))
      wanted.remove(parent)
      const source = await resolvePath(treeOfLayers(layers), path)
      const found = source === undefined ? undefined : layers.find(source)
      if (source === undefined || found === undefined)
        throw new BuildError('source-missing', `Cannot mount "${displayText(path)}": it is not there`)
      const target = Buffer.concat([
        Buffer.from(`${work.path}/fs/`),
        bytesOf(pathBelowRoot(path) as ByteString),
      ])
      mkdirSync(target.subarray(0, target.lastIndexOf('/')), { recursive: true })
      await copyTree(linux, layers, source, target, signal)
      undo.move()
      return openActive({ linux, work, stamps: new Map() }, pathOf)
    },

    [Symbol.dispose]: () => snapshots[Symbol.dispose](),
  }
}

interface Active {
  readonly linux: Linux
  readonly work: OwnedDirectory
  readonly stamps: Stamps
}

/** @param pathFor where it is committed to */
function openActive({ linux, work, stamps }: Active, pathFor: (name: Digest) => string): ActiveSnapshot {
  const directory = `${work.path}/fs`
  return {
    mounts: [{ type: 'bind', source: directory, options: [] }],
    directory,
    changes: (lower, signal) => readCopiedChanges(directory, stamps, lower, signal),
    apply: (tar, signal) =>
      applyLayer(tar, { linux, directory, lower: [], hiding: createHiddenPaths(), signal }),
    async commit(name) {
      createHiddenPaths().save(`${work.path}/hidden`)
      await work.publish(pathFor(name))
    },
    [Symbol.asyncDispose]: () => work[Symbol.asyncDispose](),
  }
}

/** Snapshots that somebody was told of and did not use yet. */
function createWanted() {
  const counts = new Map<Digest, number>()
  return {
    count: (name: Digest): number => counts.get(name) ?? 0,
    add: (name: Digest): void => void counts.set(name, (counts.get(name) ?? 0) + 1),
    remove(name: Digest | undefined): void {
      const count = name === undefined ? 0 : (counts.get(name) ?? 0)
      if (name !== undefined && count > 0) counts.set(name, count - 1)
    },
  }
}
