/**
 * A layer as a list of changes (image-spec `layer.md`).
 *
 * Paths are cleaned as containerd and Docker clean them: by their text alone, before any look at files. `./a//b/`
 * and `/a/b` are `a/b`, `a/../b` is `b`; a path that would leave the root is refused.
 */
import { type ByteString, displayText } from '../byte-string.ts'
import { OciError } from '../errors.ts'
import type { TarEntry } from '../tar/entry.ts'
import { readTar, type TarLimits } from '../tar/reader.ts'
import type { TocEntry } from './toc.ts'
import { whiteoutMeaning } from './whiteout.ts'

export type Change = ChangeOf<{
  /** A file's content: can be read once, until the next change is asked for. Not read, it is skipped. */
  body(): AsyncIterable<Buffer>
}>

type ChangeOf<Body> =
  | ({ readonly kind: 'add'; readonly entry: TocEntry } & Body)
  /** What lower layers have at the path is gone. */
  | { readonly kind: 'whiteout'; readonly path: ByteString }
  /** What lower layers have in the directory is gone; what this layer puts there, before or after, is not. */
  | { readonly kind: 'opaque'; readonly path: ByteString }

/**
 * The changes in the order of the archive. Entries have clean paths, and `offset` for files that are not empty, but
 * no digest.
 * @throws OciError `tar-invalid`, `layer-invalid`, `limit-exceeded`
 */
export async function* readChangeset(
  tar: AsyncIterable<Uint8Array>,
  limits?: TarLimits,
): AsyncGenerator<Change, void, undefined> {
  for await (const { entry, bodyOffset, body } of readTar(tar, limits)) {
    const change = changeOf(entry, bodyOffset)
    if (change === undefined) continue
    yield change.kind === 'add' ? { ...change, body } : change
  }
}

/** What an entry of a layer says; undefined when nothing (AUFS's bookkeeping). @throws OciError `layer-invalid` */
export function changeOf(entry: TarEntry, bodyOffset: number): ChangeOf<unknown> | undefined {
  const path = cleanPath(entry.path)
  const meaning = whiteoutMeaning(path)
  if (meaning.kind === 'invalid') throw layerInvalid(entry.path, 'that is no name for a whiteout')
  if (meaning.kind === 'ignored') return undefined
  if (meaning.kind !== 'none') return meaning
  if (path === '' && entry.type !== 'directory') throw layerInvalid(entry.path, `the root is a ${entry.type}`)
  // Overlayfs takes such a device for a whiteout: unpacked, it would be one anyway.
  if (entry.type === 'character' && entry.deviceMajor === 0 && entry.deviceMinor === 0)
    return { kind: 'whiteout', path }
  return { kind: 'add', entry: tocEntryOf(entry, path, bodyOffset) }
}

/** @throws OciError `layer-invalid` when `..` leads out of the root */
export function cleanPath(path: ByteString): ByteString {
  if (!NEEDS_CLEANING.test(path)) return path
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') parts.push(part)
    else if (parts.pop() === undefined) throw layerInvalid(path, 'the path leads out of the root')
  }
  return parts.join('/') as ByteString
}

/** An empty part, or one of `.` and `..`. */
const NEEDS_CLEANING = /(?:^|\/)(?:\.{0,2})(?:\/|$)/

function tocEntryOf(entry: TarEntry, path: ByteString, bodyOffset: number): TocEntry {
  const { path: _path, linkPath, xattrs, ...rest } = entry
  const target = entry.type === 'link' && linkPath !== undefined ? cleanPath(linkPath) : linkPath
  if (entry.type === 'link' && (target === '' || target === path))
    throw layerInvalid(entry.path, target === '' ? 'a hard link to the root' : 'a hard link to itself')
  const kept = xattrs === undefined ? undefined : withoutOverlayXattrs(xattrs)
  return {
    ...rest,
    path,
    ...(target !== undefined && { linkPath: target }),
    ...(kept !== undefined && kept.size > 0 && { xattrs: kept }),
    ...(entry.size > 0 && { offset: bodyOffset }),
  }
}

/** Overlayfs keeps its own state in these: from a layer they could hide or redirect other files. */
const OVERLAY_XATTR = /^(?:trusted|user)\.overlay\./

function withoutOverlayXattrs(xattrs: ReadonlyMap<string, Uint8Array>): ReadonlyMap<string, Uint8Array> {
  return new Map([...xattrs].filter(([name]) => !OVERLAY_XATTR.test(name)))
}

function layerInvalid(path: ByteString, problem: string): OciError {
  return new OciError('layer-invalid', `Cannot read layer: ${JSON.stringify(displayText(path))}: ${problem}`)
}
