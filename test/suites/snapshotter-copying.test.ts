import assert from 'node:assert/strict'
import { existsSync, lstatSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { describe, type TestContext, test } from 'node:test'
import { createCopyingSnapshotter } from '../../src/builder/snapshot/copying-snapshotter.ts'
import { pruneSnapshots } from '../../src/builder/snapshot/prune-snapshots.ts'
import { byteStringOf } from '../../src/oci/byte-string.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { writeTar } from '../../src/oci/tar/writer.ts'
import { snapshotterSuite } from './snapshotter.ts'
import {
  applyAll,
  directory,
  file,
  hardLink,
  needsRoot,
  never,
  symlink,
  temporaryDirectory,
  whiteout,
} from './snapshotter-kit.ts'

function bootDirectories(root: string): readonly string[] {
  return readdirSync(`${root}/snapshots`).map(name => `${root}/snapshots/${name}`)
}

snapshotterSuite('copying', {
  create: root => createCopyingSnapshotter({ root }),
  leftovers: root =>
    bootDirectories(root).flatMap(directory =>
      readdirSync(directory).filter(name => name.startsWith('tmp-')),
    ),
})

describe('createCopyingSnapshotter()', { skip: needsRoot }, () => {
  const open = (t: TestContext) => {
    const root = temporaryDirectory(t)
    return { root, snapshotter: createCopyingSnapshotter({ root }) }
  }

  test('needs no device and no attribute for what layers hide', async t => {
    const { root, snapshotter } = open(t)
    await applyAll(snapshotter, [
      [directory('d'), file('d/old'), file('gone')],
      [whiteout('gone'), whiteout('d')],
    ])
    for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' }))
      assert.ok(!lstatSync(`${root}/${path}`).isCharacterDevice(), path)
  })

  test('the step after a step takes its root filesystem over, when nobody else wants it', async t => {
    const { snapshotter } = open(t)
    const [base, first, second] = [digestOf('base'), digestOf('first'), digestOf('second')]
    await snapshotter.apply(base, undefined, writeTar([file('f', 'base')]), never)
    assert.ok(await snapshotter.has(base))
    await using one = await snapshotter.prepare(base)
    const inode = statSync(`${one.directory}/f`).ino
    writeFileSync(`${one.directory}/one`, '1')
    await one.commit(first)
    assert.ok(await snapshotter.has(first))
    await using two = await snapshotter.prepare(first)
    assert.equal(statSync(`${two.directory}/f`).ino, inode)
    assert.equal(await snapshotter.has(first), false)
    // As a build does that needs it again.
    await snapshotter.apply(first, base, writeTar([file('one', '1')]), never)
    await using again = await snapshotter.prepare(first)
    assert.deepEqual(readdirSync(again.directory).sort(), ['f', 'one'])
    assert.notEqual(statSync(`${again.directory}/f`).ino, inode)
    await two.commit(second)
    assert.ok(await snapshotter.has(base))
  })

  test('a root filesystem that two steps want is copied for both', async t => {
    const { snapshotter } = open(t)
    await using one = await snapshotter.prepare(undefined)
    writeFileSync(`${one.directory}/one`, '1')
    await one.commit(digestOf('first'))
    assert.ok(await snapshotter.has(digestOf('first')))
    assert.ok(await snapshotter.has(digestOf('first')))
    await using left = await snapshotter.prepare(digestOf('first'))
    await using right = await snapshotter.prepare(digestOf('first'))
    writeFileSync(`${left.directory}/one`, 'left')
    assert.equal(readFileSync(`${right.directory}/one`, 'utf8'), '1')
  })

  test('another process keeps what it was told of', async t => {
    const { root, snapshotter } = open(t)
    await using one = await snapshotter.prepare(undefined)
    await one.commit(digestOf('first'))
    using other = createCopyingSnapshotter({ root })
    assert.ok(await other.has(digestOf('first')))
    assert.ok(await snapshotter.has(digestOf('first')))
    await using _copy = await snapshotter.prepare(digestOf('first'))
    await using _other = await other.prepare(digestOf('first'))
  })

  test('hard links stay, within a root filesystem', async t => {
    const { snapshotter } = open(t)
    const base = await applyAll(snapshotter, [[file('a', 'x'), hardLink('b', 'a')]])
    await using active = await snapshotter.prepare(base)
    assert.equal(statSync(`${active.directory}/a`).ino, statSync(`${active.directory}/b`).ino)
    assert.equal(statSync(`${active.directory}/a`).nlink, 2)
  })

  test('view() has what is asked for under its very path, symlinks followed inside the root', async t => {
    const { snapshotter } = open(t)
    const base = await applyAll(snapshotter, [
      [
        directory('usr'),
        directory('usr/lib'),
        file('usr/lib/x', 'x'),
        file('other'),
        symlink('lib', '/usr/lib'),
      ],
    ])
    await using part = await snapshotter.view(base, byteStringOf('/lib'))
    assert.deepEqual(readdirSync(part.directory, { recursive: true }).sort(), ['lib', 'lib/x'])
    await using one = await snapshotter.view(base, byteStringOf('lib/../lib/x'))
    assert.equal(readFileSync(`${one.directory}/lib/x`, 'utf8'), 'x')
    await using whole = await snapshotter.view(base, byteStringOf('/'))
    assert.ok(existsSync(`${whole.directory}/other`))
    await assert.rejects(snapshotter.view(base, byteStringOf('missing')), { code: 'source-missing' })
  })

  test('pruneSnapshots() removes copies that nobody uses', async t => {
    const { root, snapshotter } = open(t)
    const prune = () => pruneSnapshots(root, Number.POSITIVE_INFINITY, never)
    await applyAll(snapshotter, [[file('a')], [file('b')]])
    assert.equal((await prune()).count, 0)
    snapshotter[Symbol.dispose]()
    assert.equal((await prune()).count, 2)
  })

  test('copying stops when it is aborted, and leaves nothing', async t => {
    const { root, snapshotter } = open(t)
    const base = await applyAll(snapshotter, [[file('a')]])
    await assert.rejects(snapshotter.prepare(base, AbortSignal.abort()), { name: 'AbortError' })
    const left = bootDirectories(root).flatMap(path => readdirSync(path))
    assert.ok(left.every(name => !name.startsWith('tmp-')))
  })
})
