/**
 * Snapshots as overlayfs layers:
 *
 * ```
 * snapshots/<boot>/<hex of the chainID>/fs       what the layer adds, with whiteouts and opaque directories
 *                                      /parent   hex of the chainID below; empty for the lowest layer
 *                                      /work     two empty directories of the overlay through which it was made, which
 *                                                wait there for its end: removing them would keep the next step waiting
 * snapshots/<boot>/tmp-<id>/{fs,parent,work}     being written, becomes one of the above by rename
 * ```
 *
 * `<boot>` is the kernel's boot id, in a user namespace with what tells its ids from those of others. Nothing is synced
 * to disk (containers even run on a `volatile` overlay): after a crash of the machine files may be empty, so snapshots
 * of another boot are not trusted but removed. They are a cache.
 */
import { mkdirSync } from 'node:fs'
import type { Linux } from '../../linux/linux.ts'
import type { Digest } from '../../oci/digest.ts'
import { applyLayer } from './apply.ts'
import { createCommittedSnapshots } from './committed-snapshots.ts'
import { overlayOptions } from './mounting.ts'
import { copyRootMetadata } from './node-metadata.ts'
import { readChanges } from './overlay-changes.ts'
import type { OwnedDirectory } from './owned-directory.ts'
import type { ActiveSnapshot, Mount, Snapshotter } from './snapshotter.ts'

/**
 * Snapshots that it has told of, made or built upon are not pruned until it is disposed of, or its process ends.
 * @param root of the store, absolute
 */
export function createOverlaySnapshotter({ root }: { readonly root: string }): Snapshotter & Disposable {
  const snapshots = createCommittedSnapshots({ root, prefix: '' })

  async function prepare(parent: Digest | undefined): Promise<ActiveSnapshot> {
    const { linux, begin, pathOf } = await snapshots.open()
    const chain = (await snapshots.need(parent)).map(filesOf)
    const work = begin(parent)
    copyRootMetadata(linux, chain[0], filesOf(work.path))
    return openActive(linux, work, pathOf, chain)
  }

  return {
    async has(name) {
      return (await snapshots.find(name)) !== undefined
    },

    async apply(name, parent, tar, signal) {
      const { linux, begin, pathOf } = await snapshots.open()
      const lower = (await snapshots.need(parent)).map(filesOf)
      if ((await snapshots.find(name)) !== undefined) return
      await using work = begin(parent)
      await applyLayer(tar, { linux, directory: filesOf(work.path), lower, signal })
      // It may be pruned as soon as it has its name.
      await snapshots.hold(work.path)
      await work.publish(pathOf(name))
    },

    prepare,
    // All of it costs no more than a part.
    view: prepare,

    [Symbol.dispose]: () => snapshots[Symbol.dispose](),
  }
}

function filesOf(snapshot: string): string {
  return `${snapshot}/fs`
}

function openActive(
  linux: Linux,
  work: OwnedDirectory,
  pathOf: (name: Digest) => string,
  chain: readonly string[],
): ActiveSnapshot {
  const upperDirectory = filesOf(work.path)
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
    commit: name => work.publish(pathOf(name)),
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
