/**
 * Committed snapshots on disk, whatever form their files have. Each adds something to the one below it:
 *
 * ```
 * snapshots/<boot>/<prefix><hex of the chainID>/fs       what it adds
 *                                              /parent   hex of the chainID below; empty for the lowest
 * snapshots/<boot>/tmp-<id>/{fs,parent}                  being written, becomes one of the above by rename
 * ```
 */
import { chmodSync, closeSync, constants, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { type Linux, loadLinux } from '../../linux/linux.ts'
import { type Digest, digestHex } from '../../oci/digest.ts'
import { BuildError } from '../errors.ts'
import { createOwnedDirectory, type OwnedDirectory } from './owned-directory.ts'
import { requireRoot } from './privilege.ts'
import { readIfThere } from './read-if-there.ts'
import { createSnapshotsInUse, type SnapshotsInUse } from './snapshots-in-use.ts'
import { bootDirectory, removeStaleState } from './stale-state.ts'

export interface CommittedSnapshotsOptions {
  /** Of the store, absolute. */
  readonly root: string
  /** Tells those of one form from others. */
  readonly prefix: string
}

/** What is found, held or begun here is not pruned until disposal, or the end of this process. */
export interface CommittedSnapshots extends Disposable {
  /** Only who writes loads what it takes, and cleans up after processes that were killed. @throws as `requireRoot` */
  open(): Promise<OpenSnapshots>
  /** The directories of a snapshot and all below it, topmost first. Undefined when any is missing. */
  find(name: Digest): Promise<readonly string[] | undefined>
  /** The same, and none of no snapshot. @throws BuildError `run-failed` when any is missing */
  need(name: Digest | undefined): Promise<readonly string[]>
  /** From now on nobody removes the directory, also when it gets another name. */
  hold(path: string): Promise<void>
  release(path: string): void
}

export interface OpenSnapshots {
  readonly linux: Linux
  /** Where a snapshot is, or will be. */
  pathOf(name: Digest): string
  /** A new snapshot that adds nothing yet. */
  begin(parent: Digest | undefined): OwnedDirectory
}

export function createCommittedSnapshots({ root, prefix }: CommittedSnapshotsOptions): CommittedSnapshots {
  let opened: Promise<OpenSnapshots> | undefined
  let inUse: SnapshotsInUse | undefined
  let located: Promise<string> | undefined
  /** By the topmost directory, chains of which all are held: a step need not look at each of those that it stands on. */
  const held = new Map<string, readonly string[]>()

  /** A process does not outlive its boot, nor does it change its ids here. */
  function location(): Promise<string> {
    located ??= bootDirectory(root)
    return located
  }

  async function snapshotsInUse(): Promise<SnapshotsInUse> {
    const linux = await loadLinux()
    inUse ??= createSnapshotsInUse(linux)
    return inUse
  }

  async function open(): Promise<OpenSnapshots> {
    requireRoot()
    await removeStaleState(root)
    const linux = await loadLinux()
    const directory = await location()
    makeSpread(linux, directory)
    return {
      linux,
      pathOf: name => `${directory}/${prefix}${digestHex(name)}`,
      begin: parent => beginSnapshot(linux, directory, parent),
    }
  }

  async function find(name: Digest): Promise<readonly string[] | undefined> {
    const { hold } = await snapshotsInUse()
    const directory = await location()
    const chain: string[] = []
    for (let hex = digestHex(name); hex !== ''; ) {
      const snapshot = `${directory}/${prefix}${hex}`
      const below = held.get(snapshot)
      if (below !== undefined) {
        chain.push(...below)
        break
      }
      const parent = (await hold(snapshot)) ? readIfThere(`${snapshot}/parent`) : undefined
      if (parent === undefined) return undefined
      chain.push(snapshot)
      hex = parent
    }
    const [top] = chain
    if (top !== undefined) held.set(top, chain)
    return chain
  }

  return {
    open() {
      opened ??= open()
      return opened
    },
    find,
    async need(name) {
      const chain = name === undefined ? [] : await find(name)
      if (chain !== undefined) return chain
      throw new BuildError('run-failed', `Cannot prepare root filesystem: the snapshot of ${name} is missing`)
    },
    async hold(path) {
      await (await snapshotsInUse()).hold(path)
    },
    release(path) {
      held.clear()
      inUse?.release(path)
    },
    [Symbol.dispose]: () => inUse?.[Symbol.dispose](),
  }
}

/**
 * ext4 keeps the numbers of deleted files back for minutes, and for each new file passes over all of them in its part of
 * the disk: where snapshots were removed lately, the next one beside them takes ten times as long to write.
 */
function makeSpread(linux: Linux, path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o711 })
  const directory = openSync(path, constants.O_DIRECTORY)
  try {
    linux.spreadDirectories(directory)
  } finally {
    closeSync(directory)
  }
}

function beginSnapshot(linux: Linux, directory: string, parent: Digest | undefined): OwnedDirectory {
  const work = createOwnedDirectory(linux, directory)
  mkdirSync(`${work.path}/fs`)
  chmodSync(`${work.path}/fs`, 0o755)
  writeFileSync(`${work.path}/parent`, parent === undefined ? '' : digestHex(parent))
  return work
}
