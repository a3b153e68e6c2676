/** Sends the same files through every door by which a stranger's files come to this machine. */
import assert from 'node:assert/strict'
import { lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { TestContext } from 'node:test'
import { readArchiveContext, sniffContext } from '../../src/builder/context/archive-context.ts'
import { exportToDirectory } from '../../src/builder/export/root-output.ts'
import { rootfsItems } from '../../src/builder/export/rootfs.ts'
import { writeUserFiles } from '../../src/builder/export/user-files.ts'
import { createAddOp } from '../../src/builder/ops/add.ts'
import { createCopyingSnapshotter } from '../../src/builder/snapshot/copying-snapshotter.ts'
import { createOverlaySnapshotter } from '../../src/builder/snapshot/overlay-snapshotter.ts'
import { createImageTree } from '../../src/builder/tree/image-tree.ts'
import { createMergedTrees } from '../../src/builder/tree/merged-trees.ts'
import { walkBelow } from '../../src/builder/tree/walk.ts'
import type { ByteString } from '../../src/oci/byte-string.ts'
import { CodedError } from '../../src/oci/errors.ts'
import { type TarItem, writeTar } from '../../src/oci/tar/writer.ts'
import type { LayerRecord } from '../../src/store/metadata.ts'
import { needsRoot, never, temporaryDirectory, unpacked } from '../suites/snapshotter-kit.ts'
import { Bench } from '../unit/builder/ops/fixture.ts'

/** A directory that no archive may reach, with one file; checked at the end of the test. */
export function makeVictim(t: TestContext): { readonly outside: string; readonly victim: string } {
  const outside = temporaryDirectory(t, path => {
    assert.equal(readFileSync(`${path}/victim/file`, 'utf8'), 'untouched')
    assert.deepEqual(readdirSync(`${path}/victim`), ['file'])
    assert.equal(lstatSync(`${path}/victim`).mode & 0o7777, 0o755)
    assert.equal(lstatSync(`${path}/victim/file`).mode & 0o7777, 0o644)
    assert.equal(lstatSync(`${path}/victim/file`).nlink, 1)
  })
  const victim = `${outside}/victim`
  mkdirSync(victim, { mode: 0o755 })
  writeFileSync(`${victim}/file`, 'untouched', { mode: 0o644 })
  return { outside, victim }
}

/**
 * Each door may take the files or refuse them in our words; the victim stays as it is.
 * @param layers lowest first; what is no layer gets them as one archive
 * @returns which doors took them
 */
export async function throughEveryDoor(
  t: TestContext,
  layers: (victim: string) => readonly (readonly TarItem[])[],
): Promise<readonly string[]> {
  const { outside, victim } = makeVictim(t)
  const stack = layers(victim)
  const all = stack.flat()
  const doors: Readonly<Record<string, () => Promise<void>>> = {
    ...(needsRoot === false && {
      'layers as overlays': () => asOverlays(stack, outside),
      'layers as copies': () => asCopies(stack, outside),
    }),
    context: () => asContext(all, outside),
    'archive of ADD': () => asAddedArchive(all),
    'output over symlinks': () => asOutput(stack, outside, victim),
  }
  const taken: string[] = []
  for (const [name, door] of Object.entries(doors)) if (await isTaken(door)) taken.push(name)
  return taken
}

type Stack = readonly (readonly TarItem[])[]

async function asOverlays(stack: Stack, outside: string): Promise<void> {
  await unpacked(createOverlaySnapshotter({ root: `${outside}/overlay` }), stack)
}

async function asCopies(stack: Stack, outside: string): Promise<void> {
  using copying = createCopyingSnapshotter({ root: `${outside}/copying` })
  await unpacked(copying, stack)
}

async function asContext(items: readonly TarItem[], outside: string): Promise<void> {
  const archive = await sniffContext(writeTar(Readable.from(items)))
  const temporaryDirectory = `${outside}/tmp`
  await using tree = await readArchiveContext(archive, { temporaryDirectory, signal: never })
  for await (const { path } of walkBelow(tree, '' as ByteString, never)) assertInside(path)
  await writeUserFiles(rootfsItems(tree, never), emptyDirectory(`${outside}/context`), never)
}

async function asAddedArchive(items: readonly TarItem[]): Promise<void> {
  const bench = new Bench()
  try {
    const tree = await bench.localContext({})
    const chunks: Uint8Array[] = []
    for await (const chunk of writeTar(Readable.from(items))) chunks.push(chunk)
    writeFileSync(join(tree.directory, 'archive'), Buffer.concat(chunks))
    const origin = { kind: 'context', tree } as const
    const sources = [{ kind: 'path', path: 'archive' }] as const
    const op = createAddOp({ origin, sources, destination: '/t/', workdir: '/' }, bench.deps)
    for (const { path } of await bench.run(op, await bench.root({}))) assert.match(path, /^t(\/|$)/)
  } finally {
    bench.dispose()
  }
}

/** Into a folder in which every name of the image is already a symlink to the victim. */
async function asOutput(stack: Stack, outside: string, victim: string): Promise<void> {
  const bench = new Bench()
  try {
    const records: LayerRecord[] = []
    for (const layer of stack) records.push(await bench.layers.ingest(writeTar(Readable.from(layer))))
    const temporaryDirectory = `${outside}/tmp`
    const { layers } = bench
    const trees = createMergedTrees(layers)
    await using tree = createImageTree(records, { layers, trees, temporaryDirectory })
    const dest = emptyDirectory(`${outside}/dest`)
    for (const name of await tree.list('' as ByteString)) {
      assertInside(name)
      symlinkSync(victim, Buffer.from(`${dest}/${name}`, 'latin1'))
    }
    await exportToDirectory(tree, dest, never)
  } finally {
    bench.dispose()
  }
}

async function isTaken(door: () => Promise<void>): Promise<boolean> {
  try {
    await door()
    return true
  } catch (error) {
    if (error instanceof CodedError) return false
    throw error
  }
}

function assertInside(path: string): void {
  const isClean = path.split('/').every(name => name !== '' && name !== '.' && name !== '..')
  assert.ok(isClean, `leads elsewhere: ${path}`)
}

function emptyDirectory(path: string): string {
  mkdirSync(path)
  return path
}
