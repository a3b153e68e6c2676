/** Copies root filesystems, sharing the blocks of files where the file system can (reflinks). */
import { constants, copyFileSync, mkdirSync, readlinkSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { deviceMajor, deviceMinor } from '../../linux/device-number.ts'
import { AT_FDCWD, type Linux } from '../../linux/linux.ts'
import { readXattrs } from '../../linux/xattrs.ts'
import type { CopiedLayers } from './copying-layers.ts'
import type { LowerNode } from './lower-layers.ts'
import { clearXattrs, metadataOf, setMetadata } from './node-metadata.ts'

const ENTRIES_PER_TURN = 200
/** A larger file is copied beside, as it would keep all others waiting. */
const SMALL_BYTES = 1_048_576n
const COPY = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE

/**
 * Copies what layers have at `from`, a file or a directory with all below it. Hard links among the files stay; none
 * leads to a layer.
 * @param from one character per byte
 * @param target absolute path of the copy; a directory may be there already, and then takes the content
 * @throws the signal's reason; the copy is then half made
 */
export async function copyTree(
  linux: Linux,
  layers: CopiedLayers,
  from: string,
  target: string | Buffer,
  signal?: AbortSignal,
): Promise<void> {
  const links = new Map<string, Buffer>()
  const directories: { readonly node: LowerNode; readonly target: Buffer }[] = []
  const pending: { readonly path: string; readonly target: Buffer }[] = [
    { path: from, target: Buffer.from(target) },
  ]
  let entries = 0
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (++entries % ENTRIES_PER_TURN === 0) await setImmediate()
    signal?.throwIfAborted()
    const node = layers.find(next.path)
    if (node === undefined) continue
    if (!node.stats.isDirectory()) {
      await copyOther(linux, node, next.target, links)
      continue
    }
    mkdirSync(next.target, { recursive: true, mode: 0o700 })
    directories.push({ node, target: next.target })
    for (const name of layers.list(next.path))
      pending.push({
        path: next.path === '' ? name : `${next.path}/${name}`,
        target: Buffer.concat([next.target, SLASH, Buffer.from(name, 'latin1')]),
      })
  }
  // At the end, as every new child changes the time of its directory.
  for (const { node, target } of directories.reverse()) copyMetadata(linux, node, target)
}

/** Gives a file or directory the mode, owner, times and attributes of another. */
function copyMetadata(linux: Linux, from: LowerNode, to: Buffer): void {
  clearXattrs(linux, to)
  setMetadata(linux, AT_FDCWD, to, metadataOf(linux, from, readXattrs(linux, from.path)))
}

async function copyOther(
  linux: Linux,
  node: LowerNode,
  target: Buffer,
  links: Map<string, Buffer>,
): Promise<void> {
  const { stats, path } = node
  if (stats.isSocket()) return
  const identity = `${stats.dev} ${stats.ino}`
  const first = stats.nlink > 1n ? links.get(identity) : undefined
  if (first !== undefined) {
    linux.linkat(AT_FDCWD, first, AT_FDCWD, target)
    return
  }
  if (stats.isSymbolicLink()) linux.symlinkat(readlinkSync(path, 'buffer'), AT_FDCWD, target)
  else if (!stats.isFile()) {
    const { rdev, mode } = stats
    linux.mknodat(AT_FDCWD, target, Number(mode) & ~0o7777, deviceMajor(rdev), deviceMinor(rdev))
  } else if (stats.size < SMALL_BYTES) copyFileSync(path, target, COPY)
  else await copyFile(path, target, COPY)
  setMetadata(linux, AT_FDCWD, target, metadataOf(linux, node, readXattrs(linux, path)))
  if (stats.nlink > 1n) links.set(identity, target)
}

const SLASH = Buffer.from('/')
