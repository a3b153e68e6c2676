/** Layers to unpack, and looks at what came of them. */
import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { mountRoot } from '../../src/builder/snapshot/mounting.ts'
import type { Mount, Snapshotter } from '../../src/builder/snapshot/snapshotter.ts'
import { loadLinux } from '../../src/linux/linux.ts'
import { readXattrs } from '../../src/linux/xattrs.ts'
import { byteStringOf } from '../../src/oci/byte-string.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import type { TarEntry } from '../../src/oci/tar/entry.ts'
import { type TarItem, writeTar } from '../../src/oci/tar/writer.ts'

/** Why tests here are skipped, said aloud; or false. */
export const needsRoot =
  userInfo().uid === 0 ? false : 'it unpacks layers with their owners and mounts them: run as root'

type Extra = Partial<Omit<TarEntry, 'path' | 'type'>>

export function entry(type: TarEntry['type'], path: string, extra: Extra = {}): TarItem {
  const mode = type === 'directory' ? 0o755 : 0o644
  return {
    entry: { type, path: byteStringOf(path), mode, uid: 0, gid: 0, size: 0, mtime: 1_000_000, ...extra },
  }
}

export function file(path: string, content = '', extra: Extra = {}): TarItem {
  const body = Buffer.from(content)
  return { ...entry('file', path, { ...extra, size: body.length }), body }
}

export const directory = (path: string, extra: Extra = {}): TarItem => entry('directory', path, extra)
export const symlink = (path: string, target: string): TarItem =>
  entry('symlink', path, { linkPath: byteStringOf(target), mode: 0o777 })
export const hardLink = (path: string, target: string): TarItem =>
  entry('link', path, { linkPath: byteStringOf(target) })
export const whiteout = (path: string): TarItem => file(join(path, '..', `.wh.${path.split('/').at(-1)}`))
export const opaque = (path: string): TarItem => file(join(path, '.wh..wh..opq'))

/** @param check runs before the directory is removed */
export function temporaryDirectory(t: TestContext, check?: (path: string) => void): string {
  const path = mkdtempSync(join(tmpdir(), 'slipway-test-'))
  t.after(() => {
    check?.(path)
    rmSync(path, { recursive: true, force: true })
  })
  return path
}

export const never = new AbortController().signal

/** Unpacks a stack of layers, lowest first; the name of the whole. */
export async function applyAll(
  snapshotter: Snapshotter,
  layers: readonly (readonly TarItem[])[],
): Promise<Digest> {
  let parent: Digest | undefined
  for (const [index, layer] of layers.entries()) {
    const name = digestOf(`${parent} ${index} ${JSON.stringify(layer)}`)
    await snapshotter.apply(name, parent, writeTar(layer), never)
    parent = name
  }
  if (parent === undefined) throw new Error('no layers')
  return parent
}

/** Mounts a root filesystem for the time of a call. */
export async function mounted<T>(
  mounts: readonly Mount[],
  use: (root: string) => T | Promise<T>,
): Promise<T> {
  const linux = await loadLinux()
  const target = mkdtempSync(join(tmpdir(), 'slipway-mount-'))
  try {
    using _mounted = mountRoot(linux, mounts, target)
    return await use(target)
  } finally {
    rmSync(target, { recursive: true })
  }
}

/** One line per file, all that a layer can say: `path type mode uid:gid mtime ...`. */
export async function describeTree(root: string): Promise<string[]> {
  const linux = await loadLinux()
  const lines: string[] = []
  const links = new Map<bigint, string>()
  const visit = (path: string) => {
    const full = Buffer.from(path === '' ? root : `${root}/${path}`, 'latin1')
    const stats = lstatSync(full, { bigint: true })
    const type = Number(stats.mode & 0o170000n).toString(8)
    const times = `${stats.mtimeNs / 1_000_000_000n}`
    const parts = [
      path || '.',
      type,
      (Number(stats.mode) & 0o7777).toString(8),
      `${stats.uid}:${stats.gid}`,
      times,
    ]
    if (stats.isSymbolicLink()) parts.push(`-> ${readlinkSync(full, 'latin1')}`)
    if (stats.isFile()) parts.push(JSON.stringify(readFileSync(full, 'latin1')))
    if (stats.rdev !== 0n) parts.push(`device ${stats.rdev}`)
    for (const [name, value] of readXattrs(linux, full))
      if (!name.startsWith('security.selinux')) parts.push(`${name}=${value.toString('hex')}`)
    if (!stats.isDirectory() && stats.nlink > 1n) {
      parts.push(`same as ${links.get(stats.ino) ?? path}`)
      if (!links.has(stats.ino)) links.set(stats.ino, path)
    }
    lines.push(parts.join(' '))
    if (!stats.isDirectory()) return
    for (const name of readdirSync(full, 'latin1').sort()) visit(path === '' ? name : `${path}/${name}`)
  }
  visit('')
  return lines
}

/** The merged root filesystem of a stack of layers, described. */
export async function unpacked(
  snapshotter: Snapshotter,
  layers: readonly (readonly TarItem[])[],
): Promise<string[]> {
  await using active = await snapshotter.prepare(await applyAll(snapshotter, layers))
  return await mounted(active.mounts, describeTree)
}
