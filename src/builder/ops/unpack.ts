/**
 * ADD of an archive. Its entries are placed one by one over the draft, as tar(1) run by a process that is confined to
 * the destination directory would: names are cleaned there, parents are resolved there, the last part of a
 * name is never followed. What an entry replaces is gone, directories with all below them.
 */
import { Readable } from 'node:stream'
import { type ByteString, displayText } from '../../oci/byte-string.ts'
import { sniffCompression } from '../../oci/layer/decompression.ts'
import { baseName, joinPath, parentPath } from '../../oci/path.ts'
import type { TarEntry } from '../../oci/tar/entry.ts'
import { readTar, type TarRecord } from '../../oci/tar/reader.ts'
import { BuildError } from '../errors.ts'
import type { TreeNode } from '../tree/file-tree.ts'
import { resolvePath } from '../tree/resolve.ts'
import { isDamaged, isProgramMissing, uncompressed } from '../tree/uncompressed.ts'
import { pathBelowRoot } from '../tree/walk.ts'
import { makeDirectories, type Placing, resolveDestination } from './placement.ts'
import type { Selected } from './sources.ts'

/**
 * False, with nothing done, for what is not an archive: a tar (plain or compressed) of at least one entry.
 * @throws BuildError `archive-invalid` for an archive that breaks off, or holds what cannot be unpacked
 */
export async function unpackArchive(placing: Placing, selected: Selected): Promise<boolean> {
  const { archiveLimits, signal } = placing
  const content = await placing.tree.open(selected.path)
  const source = content instanceof Uint8Array ? Readable.from([content]) : content
  try {
    const bytes = await uncompressed(await sniffCompression(source), signal, archiveLimits)
    return await unpackEntries(placing, readTar(bytes, archiveLimits), selected)
  } catch (error) {
    throw isProgramMissing(error) || isDamaged(error)
      ? archiveInvalid(selected, messageOf(error), error)
      : error
  }
}

async function unpackEntries(
  placing: Placing,
  records: AsyncGenerator<TarRecord, void, undefined>,
  selected: Selected,
): Promise<boolean> {
  const first = await firstRecord(records)
  if (first === undefined) return false
  const { draft, dress, destination, signal } = placing
  try {
    const root = await resolveDestination(draft, destination.path)
    await makeDirectories(draft, root, dress)
    await unpackRecord(placing, selected, root, first)
    for (let next = await records.next(); !next.done; next = await records.next()) {
      signal.throwIfAborted()
      await unpackRecord(placing, selected, root, next.value)
    }
    return true
  } finally {
    await records.return()
  }
}

/** Undefined for what is not an archive. */
async function firstRecord(
  records: AsyncGenerator<TarRecord, void, undefined>,
): Promise<TarRecord | undefined> {
  try {
    const first = await records.next()
    return first.done ? undefined : first.value
  } catch (error) {
    if (isDamaged(error)) return undefined
    throw error
  }
}

async function unpackRecord(
  placing: Placing,
  selected: Selected,
  root: ByteString,
  { entry, body }: TarRecord,
): Promise<void> {
  const { draft, dress, spool } = placing
  const path = await placeIn(placing, selected, root, entry.path)
  // The archive's root is the destination, which keeps what it is.
  if (path === root) return
  await makeDirectories(draft, parentPath(path), dress)
  if (entry.type === 'link') {
    const target = await placeIn(placing, selected, root, entry.linkPath ?? ('' as ByteString))
    const node = await draft.stat(target)
    if (node === undefined || node.type === 'directory')
      throw archiveInvalid(
        selected,
        `"${displayText(entry.path)}" is a hard link to "${displayText(entry.linkPath ?? ('' as ByteString))}", which is not a file`,
      )
    await draft.link(path, target)
    return
  }
  const node = { ...nodeOf(entry, entry.type), ...dress.owner }
  if (entry.type !== 'file') return draft.put(path, node)
  const spooled = await spool.append(body())
  await draft.put(path, node, { open: () => spool.read(spooled) })
}

/** Where a name of the archive leads. */
async function placeIn(
  { draft }: Placing,
  selected: Selected,
  root: ByteString,
  name: ByteString,
): Promise<ByteString> {
  const clean = pathBelowRoot(name) as ByteString
  if (clean === '') return root
  const parent = await resolvePath(draft, parentPath(clean), root)
  if (parent === undefined)
    throw archiveInvalid(selected, `"${displayText(name)}" leads through a loop of symbolic links`)
  return joinPath(parent, baseName(clean))
}

function nodeOf(entry: TarEntry, type: TreeNode['type']): TreeNode {
  const { path: _, linkPath, ...rest } = entry
  return { ...rest, type, ...(type === 'symlink' && linkPath !== undefined && { linkPath }) }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function archiveInvalid({ name }: Selected, problem: string, cause?: unknown): BuildError {
  return new BuildError('archive-invalid', `Cannot unpack "${displayText(name)}": ${problem}`, { cause })
}
