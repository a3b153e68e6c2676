import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { createOverlaySnapshotter } from '../../src/builder/snapshot/overlay-snapshotter.ts'
import { pruneSnapshots } from '../../src/builder/snapshot/prune-snapshots.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { writeTar } from '../../src/oci/tar/writer.ts'
import { snapshotterSuite } from './snapshotter.ts'
import { file, mounted, needsRoot, never, temporaryDirectory } from './snapshotter-kit.ts'

function bootDirectories(root: string): readonly string[] {
  return readdirSync(`${root}/snapshots`).map(name => `${root}/snapshots/${name}`)
}

snapshotterSuite('overlay', {
  create: root => createOverlaySnapshotter({ root }),
  leftovers: root =>
    bootDirectories(root).flatMap(directory =>
      readdirSync(directory).filter(name => name.startsWith('tmp-')),
    ),
})

describe('createOverlaySnapshotter()', { skip: needsRoot }, () => {
  test('removes what a dead process left half written, and not what a living one writes', async t => {
    const root = temporaryDirectory(t)
    const living = createOverlaySnapshotter({ root })
    await using active = await living.prepare(undefined)
    const [directory] = bootDirectories(root)
    mkdirSync(`${directory}/tmp-00000000dead/fs/deep`, { recursive: true })
    writeFileSync(`${directory}/tmp-00000000dead.lock`, '')
    const other = createOverlaySnapshotter({ root })
    await other.apply(digestOf('x'), undefined, writeTar([file('f')]), never)
    const left = readdirSync(`${directory}`).filter(
      name => name.startsWith('tmp-') && !name.endsWith('.lock'),
    )
    assert.deepEqual(left, [active.directory.split('/').at(-2)])
  })

  test('does not trust snapshots of another boot', async t => {
    const root = temporaryDirectory(t)
    const hex = digestOf('x').slice(7)
    mkdirSync(`${root}/snapshots/another-boot/${hex}/fs`, { recursive: true })
    writeFileSync(`${root}/snapshots/another-boot/${hex}/parent`, '')
    const snapshotter = createOverlaySnapshotter({ root })
    assert.equal(await snapshotter.has(digestOf('x')), false)
    await using _active = await snapshotter.prepare(undefined)
    assert.equal(bootDirectories(root).length, 1)
  })

  test('what it uses is not pruned, and what nobody uses is', async t => {
    const root = temporaryDirectory(t)
    const prune = () => pruneSnapshots(root, Number.POSITIVE_INFINITY, never)
    using user = createOverlaySnapshotter({ root })
    {
      using maker = createOverlaySnapshotter({ root })
      await maker.apply(digestOf('a'), undefined, writeTar([file('f', 'x'.repeat(100_000))]), never)
      await maker.apply(digestOf('b'), digestOf('a'), writeTar([file('g')]), never)
      await maker.apply(digestOf('c'), digestOf('a'), writeTar([file('h')]), never)
      assert.deepEqual(await prune(), { count: 0, bytes: 0 })
      assert.ok(await user.has(digestOf('b')))
    }
    assert.equal((await prune()).count, 1)
    assert.equal(await user.has(digestOf('c')), false)
    await using active = await user.prepare(digestOf('b'))
    assert.equal((await prune()).count, 0)
    assert.ok(existsSync(active.directory))
    await mounted(active.mounts, top => assert.deepEqual(readdirSync(top).sort(), ['f', 'g']))
    user[Symbol.dispose]()
    const { count, bytes } = await prune()
    assert.equal(count, 2)
    assert.ok(bytes >= 100_000, `${bytes} bytes`)
    assert.equal(await user.has(digestOf('a')), false)
    await user.apply(digestOf('a'), undefined, writeTar([file('f')]), never)
    assert.ok(await user.has(digestOf('a')))
  })

  test('pruneSnapshots() keeps what is younger, and removes what a killed one left', async t => {
    const root = temporaryDirectory(t)
    {
      using maker = createOverlaySnapshotter({ root })
      await maker.apply(digestOf('a'), undefined, writeTar([file('f')]), never)
    }
    const [directory] = bootDirectories(root)
    mkdirSync(`${directory}/tmp-00000000dead/snapshot/fs`, { recursive: true })
    writeFileSync(`${directory}/tmp-00000000dead.lock`, '')
    assert.equal((await pruneSnapshots(root, 0, never)).count, 0)
    assert.deepEqual(readdirSync(`${directory}`), [digestOf('a').slice(7)])
  })

  test('has() is false for a snapshot whose parent is gone', async t => {
    const root = temporaryDirectory(t)
    using snapshotter = createOverlaySnapshotter({ root })
    await snapshotter.apply(digestOf('a'), undefined, writeTar([file('f')]), never)
    await snapshotter.apply(digestOf('b'), digestOf('a'), writeTar([file('g')]), never)
    const [directory] = bootDirectories(root)
    const { rmSync } = await import('node:fs')
    rmSync(`${directory}/${digestOf('a').slice(7)}`, { recursive: true })
    const later = createOverlaySnapshotter({ root })
    assert.equal(await later.has(digestOf('b')), false)
    await assert.rejects(later.prepare(digestOf('b')), { code: 'run-failed' })
  })
})
