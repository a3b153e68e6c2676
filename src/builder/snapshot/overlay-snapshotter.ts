/**
 * Snapshots as overlayfs layers:
 *
 * ```
 * snapshots/<boot>/<hex of the chainID>/fs       what the layer adds, with whiteouts and opaque directories
 *                                      /parent   hex of the chainID below; empty for the lowest layer
 * snapshots/<boot>/tmp-<id>/{fs,parent,work}     being written, becomes one of the above by rename
 * ```
 *
 * `<boot>` is the kernel's boot id, in a user namespace with what tells its ids from those of others. Nothing is synced to disk (containers even run on a `volatile` overlay): after
 * a crash of the machine files may be empty, so snapshots of another boot are not trusted but removed. They are a cache.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type Linux, loadLinux } from '../../linux/linux.ts'
import { type Digest, digestHex } from '../../oci/digest.ts'
import { isErrno } from '../../oci/errors.ts'
import { BuildError } from '../errors.ts'
import { applyLayer } from './apply.ts'
import { overlayOptions } from './mounting.ts'
import { copyRootMetadata } from './node-metadata.ts'
import { readChanges } from './overlay-changes.ts'
import { createOwnedDirectory, type OwnedDirectory } from './owned-directory.ts'
import { requireRoot } from './privilege.ts'
import { removeTree } from './remove-tree.ts'
import { createSnapshotsInUse, type SnapshotsInUse } from './snapshots-in-use.ts'
import type { ActiveSnapshot, Mount, Snapshotter } from './snapshotter.ts'
import { bootDirectory, removeStaleState } from './stale-state.ts'

/**
 * Snapshots that it has told of, made or built upon are not pruned until it is disposed of, or its process ends.
 * @param root of the store, absolute
 */
export function createOverlaySnapshotter({ root }: { readonly root: string }): Snapshotter & Disposable {
  let opened: Promise<{ linux: Linux; directory: string }> | undefined
  let inUse: SnapshotsInUse | undefined

  /** Only a snapshotter that writes loads what it needs, and cleans up after processes that were killed. */
  function open() {
    opened ??= (async () => {
      requireRoot()
      await removeStaleState(root)
      return { linux: await loadLinux(), directory: await bootDirectory(root) }
    })()
    return opened
  }

  async function snapshotsInUse(): Promise<SnapshotsInUse> {
    const linux = await loadLinux()
    inUse ??= createSnapshotsInUse(linux)
    return inUse
  }

  async function findChain(name: Digest): Promise<readonly string[] | undefined> {
    return holdChain(await snapshotsInUse(), await bootDirectory(root), name)
  }

  async function needChain(name: Digest | undefined): Promise<readonly string[]> {
    const chain = name === undefined ? [] : await findChain(name)
    if (chain !== undefined) return chain
    throw new BuildError('run-failed', `Cannot prepare root filesystem: the snapshot of ${name} is missing`)
  }

  async function prepare(parent: Digest | undefined): Promise<ActiveSnapshot> {
    const { linux, directory } = await open()
    const chain = await needChain(parent)
    const work = createSnapshotDirectory(linux, directory, parent)
    copyRootMetadata(linux, chain[0], `${work.path}/fs`)
    return openActive(linux, work, directory, chain)
  }

  return {
    async has(name) {
      return (await findChain(name)) !== undefined
    },

    async apply(name, parent, tar, signal) {
      const { linux, directory } = await open()
      const chain = await needChain(parent)
      if ((await findChain(name)) !== undefined) return
      await using work = createSnapshotDirectory(linux, directory, parent)
      await applyLayer(tar, { linux, directory: `${work.path}/fs`, lower: chain, signal })
      // It may be pruned as soon as it has its name.
      await (await snapshotsInUse()).hold(work.path)
      await work.publish(snapshotPath(directory, name))
    },

    prepare,
    // All of it costs no more than a part.
    view: prepare,

    [Symbol.dispose]: () => inUse?.[Symbol.dispose](),
  }
}

function openActive(
  linux: Linux,
  work: OwnedDirectory,
  directory: string,
  chain: readonly string[],
): ActiveSnapshot {
  const upperDirectory = `${work.path}/fs`
  const workDirectory = `${work.path}/work`
  mkdirSync(workDirectory)
  return {
    mounts: [
      chain.length === 0
        ? bindMount(upperDirectory)
        : overlayMount(linux, upperDirectory, workDirectory, chain),
    ],
    directory: upperDirectory,
    changes: (lower, signal) => readChanges(upperDirectory, lower, signal, chain),
    apply: (tar, signal) => applyLayer(tar, { linux, directory: upperDirectory, lower: chain, signal }),
    async commit(name) {
      await removeTree(workDirectory)
      await work.publish(snapshotPath(directory, name))
    },
    [Symbol.asyncDispose]: () => work[Symbol.asyncDispose](),
  }
}

/** Overlayfs wants a lower layer: over nothing, the directory itself is the root. */
function bindMount(directory: string): Mount {
  return { type: 'bind', source: directory, options: [] }
}

function overlayMount(linux: Linux, upper: string, work: string, lower: readonly string[]): Mount {
  return {
    type: 'overlay',
    source: 'overlay',
    options: [
      ...lower.map(directory => `lowerdir+=${directory}`),
      `upperdir=${upper}`,
      `workdir=${work}`,
      ...overlayOptions(linux),
      'volatile',
    ],
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
  return `${directory}/${digestHex(name)}`
}

/** The `fs` directories of the snapshot and all below it, topmost first. Undefined when any is missing. */
async function holdChain(
  inUse: SnapshotsInUse,
  directory: string,
  name: Digest,
): Promise<readonly string[] | undefined> {
  const chain: string[] = []
  for (let hex = digestHex(name); hex !== ''; ) {
    const snapshot = `${directory}/${hex}`
    const parent = (await inUse.hold(snapshot)) ? readParent(snapshot) : undefined
    if (parent === undefined) return undefined
    chain.push(`${snapshot}/fs`)
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
