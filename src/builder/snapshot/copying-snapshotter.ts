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
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { type Linux, loadLinux } from '../../linux/linux.ts'
import type { ByteString } from '../../oci/byte-string.ts'
import { bytesOf, displayText } from '../../oci/byte-string.ts'
import { type Digest, digestHex } from '../../oci/digest.ts'
import { isErrno } from '../../oci/errors.ts'
import { BuildError } from '../errors.ts'
import { resolvePath } from '../tree/resolve.ts'
import { pathBelowRoot } from '../tree/walk.ts'
import { applyLayer } from './apply.ts'
import { copyTree } from './copy-tree.ts'
import { readCopiedChanges, type Stamps, stampTree } from './copying-changes.ts'
import {
  createHiddenPaths,
  openCopiedLayers,
  readStoredLayer,
  type StoredLayer,
  treeOfLayers,
} from './copying-layers.ts'
import { createOwnedDirectory, type OwnedDirectory } from './owned-directory.ts'
import { requireRoot } from './privilege.ts'
import { removeTree } from './remove-tree.ts'
import { createSnapshotsInUse, removeUnlessInUse, type SnapshotsInUse } from './snapshots-in-use.ts'
import type { ActiveSnapshot, Snapshotter } from './snapshotter.ts'
import { bootDirectory, removeStaleState } from './stale-state.ts'

/**
 * Snapshots that it has told of, made or built upon are not pruned until it is disposed of, or its process ends.
 * @param root of the store, absolute
 */
export function createCopyingSnapshotter({ root }: { readonly root: string }): Snapshotter & Disposable {
  const wanted = createWanted()
  const committed = new Set<Digest>()
  let opened: Promise<Opened> | undefined
  let inUse: SnapshotsInUse | undefined

  function open(): Promise<Opened> {
    opened ??= (async () => {
      requireRoot()
      await removeStaleState(root)
      return { linux: await loadLinux(), directory: await bootDirectory(root) }
    })()
    return opened
  }

  async function findChain(name: Digest): Promise<readonly StoredLayer[] | undefined> {
    inUse ??= createSnapshotsInUse(await loadLinux())
    return holdChain(inUse, await bootDirectory(root), name)
  }

  async function needChain(name: Digest | undefined): Promise<readonly StoredLayer[]> {
    const chain = name === undefined ? [] : await findChain(name)
    if (chain !== undefined) return chain
    throw new BuildError('run-failed', `Cannot prepare root filesystem: the snapshot of ${name} is missing`)
  }

  /** Moves what a step of ours left to be the next one's; false when that is not there, or wanted by others. */
  async function takeOver(linux: Linux, directory: string, name: Digest, work: string): Promise<boolean> {
    const path = snapshotPath(directory, name)
    if (!committed.has(name) || wanted.count(name) > 0 || readParent(path) !== '') return false
    inUse?.release(path)
    if (!removeUnlessInUse(linux, path, () => renameSync(path, `${work}/taken`))) return false
    committed.delete(name)
    renameSync(`${work}/taken/fs`, `${work}/fs`)
    await removeTree(`${work}/taken`)
    return true
  }

  return {
    async has(name) {
      wanted.add(name)
      const isThere = (await findChain(name)) !== undefined
      if (!isThere) wanted.remove(name)
      return isThere
    },

    async apply(name, parent, tar, signal) {
      const { linux, directory } = await open()
      const chain = await needChain(parent)
      wanted.remove(parent)
      if ((await findChain(name)) !== undefined) return
      await using work = createSnapshotDirectory(linux, directory, parent)
      const hiding = createHiddenPaths()
      await applyLayer(tar, {
        linux,
        directory: `${work.path}/fs`,
        lower: openCopiedLayers(chain),
        hiding,
        signal,
      })
      hiding.save(`${work.path}/hidden`)
      // It may be pruned as soon as it has its name.
      await inUse?.hold(work.path)
      await work.publish(snapshotPath(directory, name))
    },

    async prepare(parent, signal) {
      const { linux, directory } = await open()
      await using undo = new AsyncDisposableStack()
      const work = undo.use(createSnapshotDirectory(linux, directory, undefined))
      wanted.remove(parent)
      if (parent === undefined || !(await takeOver(linux, directory, parent, work.path))) {
        const layers = openCopiedLayers(await needChain(parent))
        await copyTree(linux, layers, '', `${work.path}/fs`, signal)
      }
      const stamps = await stampTree(`${work.path}/fs`, `${work.path}/clock`, signal)
      undo.move()
      return openActive({ linux, work, stamps }, name => {
        committed.add(name)
        return snapshotPath(directory, name)
      })
    },

    async view(parent, path, signal) {
      const { linux, directory } = await open()
      await using undo = new AsyncDisposableStack()
      const work = undo.use(createSnapshotDirectory(linux, directory, undefined))
      const layers = openCopiedLayers(await needChain(parent))
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
      return openActive({ linux, work, stamps: new Map() }, name => snapshotPath(directory, name))
    },

    [Symbol.dispose]: () => inUse?.[Symbol.dispose](),
  }
}

interface Opened {
  readonly linux: Linux
  readonly directory: string
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

function createSnapshotDirectory(
  linux: Linux,
  directory: string,
  parent: Digest | undefined,
): OwnedDirectory {
  const work = createOwnedDirectory(linux, directory)
  mkdirSync(`${work.path}/fs`)
  chmodSync(`${work.path}/fs`, 0o755)
  writeFileSync(`${work.path}/parent`, parent === undefined ? '' : digestHex(parent))
  return work
}

function snapshotPath(directory: string, name: Digest): string {
  return `${directory}/copy-${digestHex(name)}`
}

/** The layers of the snapshot, topmost first. Undefined when any is missing. */
async function holdChain(
  inUse: SnapshotsInUse,
  directory: string,
  name: Digest,
): Promise<readonly StoredLayer[] | undefined> {
  const chain: StoredLayer[] = []
  for (let hex = digestHex(name); hex !== ''; ) {
    const snapshot = `${directory}/copy-${hex}`
    const parent = (await inUse.hold(snapshot)) ? readParent(snapshot) : undefined
    if (parent === undefined) return undefined
    chain.push(readStoredLayer(`${snapshot}/fs`, `${snapshot}/hidden`))
    hex = parent
  }
  return chain
}

function readParent(snapshot: string): string | undefined {
  try {
    return readFileSync(`${snapshot}/parent`, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
