import assert from 'node:assert/strict'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { after, describe, it } from 'node:test'
import { exportToDirectory, exportToTar } from '../../../../src/builder/export/root-output.ts'
import { rootfsItems } from '../../../../src/builder/export/rootfs.ts'
import { writeUserFiles } from '../../../../src/builder/export/user-files.ts'
import { readTar } from '../../../../src/oci/tar/reader.ts'
import { openWorkshop } from '../building.ts'
import { memoryTree } from './memory-tree.ts'

const folder = mkdtempSync(join(tmpdir(), 'slipway-export-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let count = 0
const fresh = (): string => {
  const path = join(folder, `${count++}`)
  mkdirSync(path)
  return path
}
const { signal } = new AbortController()
/** A test that does not run as root cannot give files away. */
const { uid, gid } = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
const own = { uid, gid }

const TREE = {
  '': own,
  etc: own,
  'etc/a': { content: 'A', mode: 0o640, identity: 'i1', ...own },
  'etc/b': { content: 'A', mode: 0o640, identity: 'i1', ...own },
  'etc/long': { content: 'more than twenty bytes of content', ...own },
  'etc.d': own,
  link: { link: '/etc/a', ...own },
  empty: { content: '', ...own },
}

describe('rootfsItems()', () => {
  it('gives directories before their files, names in byte order, later names of a file as links', async () => {
    const tree = memoryTree(TREE)
    const items = await Array.fromAsync(rootfsItems(tree, signal))
    assert.deepEqual(
      items.map(({ entry }) => [entry.path, entry.type, entry.linkPath ?? '']),
      [
        ['empty', 'file', ''],
        ['etc', 'directory', ''],
        ['etc/a', 'file', ''],
        ['etc/b', 'link', 'etc/a'],
        ['etc/long', 'file', ''],
        ['etc.d', 'directory', ''],
        ['link', 'symlink', '/etc/a'],
      ],
    )
    assert.deepEqual(tree.prepared, ['etc/a', 'etc/long'])
  })
})

describe('exportToTar()', () => {
  it('writes one archive, to a file or a stream that stays open', async () => {
    const file = join(fresh(), 'out.tar')
    await exportToTar(rootfsItems(memoryTree(TREE), signal), file, signal)
    const stream = new PassThrough()
    const chunks: Buffer[] = []
    stream.on('data', chunk => chunks.push(chunk))
    await exportToTar(rootfsItems(memoryTree(TREE), signal), stream, signal)
    assert.equal(stream.writableEnded, false)
    assert.ok(readFileSync(file).equals(Buffer.concat(chunks)))
    const names: string[] = []
    for await (const record of readTar(chunked(readFileSync(file)))) names.push(record.entry.path)
    assert.equal(names.length, 7)
  })

  it('leaves the old file and no rest when it fails', async () => {
    const directory = fresh()
    const file = join(directory, 'out.tar')
    writeFileSync(file, 'old')
    const tree = memoryTree(TREE)
    const broken = { ...tree, open: () => Promise.reject(new Error('the layer is corrupt')) }
    await assert.rejects(exportToTar(rootfsItems(broken, signal), file, signal), {
      message: 'the layer is corrupt',
    })
    assert.equal(readFileSync(file, 'utf8'), 'old')
    assert.deepEqual(readdirSync(directory), ['out.tar'])
  })

  it('follows a symlink to a file, which stays a symlink', async () => {
    const directory = fresh()
    writeFileSync(join(directory, 'real.tar'), 'old')
    symlinkSync('real.tar', join(directory, 'out.tar'))
    await exportToTar(rootfsItems(memoryTree(TREE), signal), join(directory, 'out.tar'), signal)
    assert.ok(lstatSync(join(directory, 'out.tar')).isSymbolicLink())
    assert.ok(lstatSync(join(directory, 'real.tar')).size > 1024)
    assert.deepEqual(readdirSync(directory).sort(), ['out.tar', 'real.tar'])
  })

  it('writes into a device instead of putting a file in its place', async () => {
    const device = join(fresh(), 'device')
    symlinkSync('/dev/full', device)
    await assert.rejects(exportToTar(rootfsItems(memoryTree(TREE), signal), device, signal), {
      code: 'export-failed',
      message: `Cannot write ${device}: no space left`,
    })
    assert.ok(statSync('/dev/full').isCharacterDevice())
    rmSync(device)
    symlinkSync('/dev/null', device)
    await exportToTar(rootfsItems(memoryTree(TREE), signal), device, signal)
    assert.ok(statSync('/dev/null').isCharacterDevice())
  })

  it('tells where it cannot write', async () => {
    await assert.rejects(
      exportToTar(rootfsItems(memoryTree(TREE), signal), join(folder, 'no/such/out.tar'), signal),
      {
        code: 'export-failed',
        message: `Cannot write ${join(folder, 'no/such/out.tar')}: its folder does not exist`,
      },
    )
  })
})

describe('exportToDirectory()', () => {
  it('makes the directory, with its parents', async () => {
    const dest = join(fresh(), 'a/b')
    await exportToDirectory(memoryTree(TREE), dest, signal)
    assert.deepEqual(readdirSync(dest).sort(), ['empty', 'etc', 'etc.d', 'link'])
    assert.equal(lstatSync(join(dest, 'etc/a')).mode & 0o7777, 0o640)
    assert.equal(lstatSync(join(dest, 'etc/a')).ino, lstatSync(join(dest, 'etc/b')).ino)
    assert.equal(lstatSync(join(dest, 'etc')).mtimeMs, 1_000_000)
    assert.equal(readlinkSync(join(dest, 'link')), '/etc/a')
    assert.equal(readFileSync(join(dest, 'etc/long'), 'utf8'), 'more than twenty bytes of content')
  })

  it('lays files over what is there, and keeps the rest', async () => {
    const dest = fresh()
    mkdirSync(join(dest, 'etc'))
    writeFileSync(join(dest, 'etc/a'), 'old')
    writeFileSync(join(dest, 'etc/kept'), 'kept')
    mkdirSync(join(dest, 'link'))
    writeFileSync(join(dest, 'link/in'), 'in the way')
    writeFileSync(join(dest, 'etc.d'), 'in the way')
    await exportToDirectory(memoryTree(TREE), dest, signal)
    assert.equal(readFileSync(join(dest, 'etc/a'), 'utf8'), 'A')
    assert.equal(readFileSync(join(dest, 'etc/kept'), 'utf8'), 'kept')
    assert.ok(lstatSync(join(dest, 'link')).isSymbolicLink())
    assert.ok(lstatSync(join(dest, 'etc.d')).isDirectory())
  })

  it('is not led out of the directory by a symlink that lies in it', async () => {
    const dest = fresh()
    const victim = fresh()
    symlinkSync(victim, join(dest, 'etc'))
    await exportToDirectory(memoryTree(TREE), dest, signal)
    assert.deepEqual(readdirSync(victim), [])
    assert.ok(lstatSync(join(dest, 'etc')).isDirectory())
  })

  it('goes where the symlink leads that the user named', async () => {
    const real = fresh()
    const dest = join(fresh(), 'named')
    symlinkSync(real, dest)
    await exportToDirectory(memoryTree(TREE), dest, signal)
    assert.ok(existsSync(join(real, 'etc/a')))
    assert.ok(lstatSync(dest).isSymbolicLink())
  })

  it('does not replace a file by a directory', async () => {
    const dest = join(fresh(), 'notes')
    writeFileSync(dest, 'precious')
    for (const target of [dest, join(dest, 'below')])
      await assert.rejects(exportToDirectory(memoryTree(TREE), target, signal), { code: 'export-failed' })
    assert.equal(readFileSync(dest, 'utf8'), 'precious')
  })

  it('leaves the directory as it was, and no rest beside it, when it fails', async () => {
    const parent = fresh()
    const dest = join(parent, 'out')
    mkdirSync(dest)
    writeFileSync(join(dest, 'kept'), 'kept')
    const broken = { ...memoryTree(TREE), open: () => Promise.reject(new Error('the layer is corrupt')) }
    await assert.rejects(exportToDirectory(broken, dest, signal), { message: 'the layer is corrupt' })
    assert.deepEqual(readdirSync(parent), ['out'])
    assert.deepEqual(readdirSync(dest), ['kept'])
  })
})

describe('writeUserFiles()', () => {
  it('gives the user all files, with modes that forbid writing set last', async () => {
    const directory = fresh()
    const tree = memoryTree({
      '': {},
      ro: { mode: 0o555, uid: 7 },
      'ro/x': { content: 'x', mode: 0o444, uid: 7 },
      'ro/y': { link: 'x', uid: 7 },
    })
    await writeUserFiles(rootfsItems(tree, signal), directory, signal)
    const stats = lstatSync(join(directory, 'ro/x'))
    assert.deepEqual([stats.mode & 0o7777, stats.uid, stats.mtimeMs], [0o444, uid, 1_000_000])
    assert.equal(lstatSync(join(directory, 'ro')).mode & 0o7777, 0o555)
  })

  it('refuses device nodes', async () => {
    const tree = memoryTree({ '': {}, null: { type: 'character', deviceMajor: 1, deviceMinor: 3 } })
    await assert.rejects(writeUserFiles(rootfsItems(tree, signal), fresh(), signal), {
      code: 'privilege-missing',
    })
  })
})

async function* chunked(bytes: Buffer): AsyncIterable<Buffer> {
  yield bytes
}

describe('build() with SOURCE_DATE_EPOCH and the files as output', () => {
  it('gives every file that time, as BuildKit does', async () => {
    using workshop = await openWorkshop()
    workshop.write('a/b', 'content')
    const dest = join(workshop.folder, 'out')
    await workshop.build(
      'FROM scratch\nCOPY a /a/',
      { outputs: [{ type: 'local', dest }] },
      { sourceDateEpoch: 1_600_000_000 },
    )
    for (const path of ['a', 'a/b']) assert.equal(lstatSync(join(dest, path)).mtimeMs, 1_600_000_000_000)
  })
})
