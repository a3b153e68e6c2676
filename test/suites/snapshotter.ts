/** What every `Snapshotter` promises. Teardown fails on leftovers. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, type TestContext, test } from 'node:test'
import type { Snapshotter } from '../../src/builder/snapshot/snapshotter.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { OciError } from '../../src/oci/errors.ts'
import { writeTar } from '../../src/oci/tar/writer.ts'
import {
  applyAll,
  describeTree,
  directory,
  entry,
  file,
  hardLink,
  mounted,
  needsRoot,
  never,
  opaque,
  symlink,
  temporaryDirectory,
  unpacked,
  whiteout,
} from './snapshotter-kit.ts'

export interface SnapshotterSubject {
  create(root: string): Snapshotter
  /** Files that are not part of a committed snapshot. */
  leftovers(root: string): readonly string[]
}

export function snapshotterSuite(name: string, subject: SnapshotterSubject): void {
  function open(t: TestContext): { snapshotter: Snapshotter; root: string } {
    const root = temporaryDirectory(t, path => assert.deepEqual(subject.leftovers(path), []))
    return { snapshotter: subject.create(root), root }
  }
  const expect = async (t: TestContext, layers: Parameters<typeof unpacked>[1], lines: string[]) =>
    assert.deepEqual(await unpacked(open(t).snapshotter, layers), lines)

  describe(`${name} as a Snapshotter`, { skip: needsRoot }, () => {
    test('apply() keeps modes, owners, times, devices and links exactly', async t => {
      const layer = [
        directory('.', { mode: 0o711, mtime: 5 }),
        directory('d', { mode: 0o1777, uid: 7, gid: 8 }),
        file('d/suid', 'x', { mode: 0o6755, uid: 4_000_000_000, gid: 1, mtime: -3 }),
        file('d/zero', '', { mode: 0 }),
        hardLink('d/zz', 'd/suid'),
        entry('fifo', 'p', { mode: 0o622 }),
        entry('character', 'null', { mode: 0o666, deviceMajor: 1, deviceMinor: 3 }),
        entry('block', 'sd', { mode: 0o660, gid: 6, deviceMajor: 259, deviceMinor: 1_048_575 }),
        symlink('s', '/etc/passwd'),
      ]
      await expect(
        t,
        [layer],
        [
          '. 40000 711 0:0 5',
          'd 40000 1777 7:8 1000000',
          'd/suid 100000 6755 4000000000:1 -3 "x" same as d/suid',
          'd/zero 100000 0 0:0 1000000 ""',
          'd/zz 100000 6755 4000000000:1 -3 "x" same as d/suid',
          'null 20000 666 0:0 1000000 device 259',
          'p 10000 622 0:0 1000000',
          's 120000 777 0:0 1000000 -> /etc/passwd',
          'sd 60000 660 0:6 1000000 device 4293985279',
        ],
      )
    })

    test('apply() keeps binary extended attributes and file capabilities', async t => {
      const capability = Buffer.from('0100000280300000000000000000000000000000', 'hex')
      const xattrs = new Map([
        ['security.capability', capability],
        ['user.binary', Buffer.from([0, 0xff, 0x80])],
      ])
      await expect(
        t,
        [
          [
            file('f', '', { uid: 3, xattrs }),
            directory('d', { xattrs: new Map([['user.a', Buffer.from('b')]]) }),
          ],
        ],
        [
          '. 40000 755 0:0 0',
          'd 40000 755 0:0 1000000 user.a=62',
          'f 100000 644 3:0 1000000 "" security.capability=0100000280300000000000000000000000000000 user.binary=00ff80',
        ],
      )
    })

    test('apply() takes names that are no UTF-8, and long ones', async t => {
      const { snapshotter } = open(t)
      const long = `${'a'.repeat(250)}/${'b'.repeat(250)}/${'c'.repeat(250)}`
      const odd = { ...file('x'), entry: { ...file('x').entry, path: 'n\xff\x80 "\n' as never } }
      const lines = await unpacked(snapshotter, [[odd, file(long, 'deep')]])
      assert.ok(lines.some(line => line.startsWith('n\xff\x80 "\n 100000')))
      assert.ok(lines.some(line => line.startsWith(`${long} 100000`) && line.includes('"deep"')))
    })

    test('a whiteout removes what is below, not what its own layer adds', async t => {
      const lower = [directory('d'), file('d/old', 'old'), file('gone'), file('kept')]
      const upper = [
        whiteout('gone'),
        whiteout('missing'),
        whiteout('d'),
        directory('d', { mode: 0o700 }),
        file('d/new'),
      ]
      await expect(
        t,
        [lower, upper],
        [
          '. 40000 755 0:0 0',
          'd 40000 700 0:0 1000000',
          'd/new 100000 644 0:0 1000000 ""',
          'kept 100000 644 0:0 1000000 ""',
        ],
      )
    })

    test('an opaque directory hides what is below, whatever the order of the entries', async t => {
      const lower = [directory('d'), file('d/old'), directory('d/s'), file('d/s/old')]
      for (const upper of [
        [directory('d'), opaque('d'), directory('d/s'), file('d/s/new')],
        [directory('d'), directory('d/s'), file('d/s/new'), opaque('d')],
      ])
        await expect(
          t,
          [lower, upper],
          [
            '. 40000 755 0:0 0',
            'd 40000 755 0:0 1000000',
            'd/s 40000 755 0:0 1000000',
            'd/s/new 100000 644 0:0 1000000 ""',
          ],
        )
    })

    test('a parent that the layer does not name keeps the mode, owner and time that it has below', async t => {
      const lower = [directory('d', { mode: 0o2750, uid: 5, gid: 6, mtime: 77 })]
      await expect(
        t,
        [lower, [file('d/e/f')]],
        [
          '. 40000 755 0:0 0',
          'd 40000 2750 5:6 77',
          'd/e 40000 755 0:0 0',
          'd/e/f 100000 644 0:0 1000000 ""',
        ],
      )
    })

    test('a symlink below that stands for a parent directory is followed inside the root', async t => {
      const lower = [directory('usr'), directory('usr/bin', { mode: 0o711 }), symlink('bin', 'usr/bin')]
      await expect(
        t,
        [lower, [file('bin/tool', 'x')]],
        [
          '. 40000 755 0:0 0',
          'bin 120000 777 0:0 1000000 -> usr/bin',
          'usr 40000 755 0:0 1000000',
          'usr/bin 40000 711 0:0 1000000',
          'usr/bin/tool 100000 644 0:0 1000000 "x"',
        ],
      )
    })

    test('what is written below a name goes where the name leads by then, not where it led before', async t => {
      const layer = [
        ...[directory('x'), directory('y'), directory('x/s'), directory('y/s'), directory('d')],
        ...[file('d/1', 'd'), symlink('l', 'x'), file('l/1', 'x'), file('l/s/1', 'x')],
        ...[symlink('l', 'y'), file('l/2', 'y'), file('l/s/2', 'y'), symlink('d', 'x'), file('d/3', 'x')],
      ]
      await expect(
        t,
        [layer],
        [
          '. 40000 755 0:0 0',
          'd 120000 777 0:0 1000000 -> x',
          'l 120000 777 0:0 1000000 -> y',
          'x 40000 755 0:0 1000000',
          'x/1 100000 644 0:0 1000000 "x"',
          'x/3 100000 644 0:0 1000000 "x"',
          'x/s 40000 755 0:0 1000000',
          'x/s/1 100000 644 0:0 1000000 "x"',
          'y 40000 755 0:0 1000000',
          'y/2 100000 644 0:0 1000000 "y"',
          'y/s 40000 755 0:0 1000000',
          'y/s/2 100000 644 0:0 1000000 "y"',
        ],
      )
    })

    test('types replace each other, within a layer and across layers', async t => {
      const lower = [directory('a'), file('a/x'), file('b'), directory('c'), file('c/x')]
      const upper = [
        file('a', 'file'),
        directory('b', { mode: 0o700 }),
        file('b/x'),
        symlink('c', 'b'),
        file('e', '1'),
        file('e', '22'),
        directory('g'),
        file('g/x'),
        file('g', 'g'),
      ]
      await expect(
        t,
        [lower, upper],
        [
          '. 40000 755 0:0 0',
          'a 100000 644 0:0 1000000 "file"',
          'b 40000 700 0:0 1000000',
          'b/x 100000 644 0:0 1000000 ""',
          'c 120000 777 0:0 1000000 -> b',
          'e 100000 644 0:0 1000000 "22"',
          'g 100000 644 0:0 1000000 "g"',
        ],
      )
    })

    test('a hard link to a file of a lower layer shares that file', async t => {
      await expect(
        t,
        [[file('f', 'content', { mode: 0o600, uid: 9 })], [hardLink('g', 'f')]],
        [
          '. 40000 755 0:0 0',
          'f 100000 600 9:0 1000000 "content" same as f',
          'g 100000 600 9:0 1000000 "content" same as f',
        ],
      )
    })

    test('prepare() gives a writable root that commit() turns into a snapshot', async t => {
      const { snapshotter } = open(t)
      const base = await applyAll(snapshotter, [[directory('.', { mode: 0o750 }), file('old', 'old')]])
      const name = digestOf('written')
      await using active = await snapshotter.prepare(base)
      await mounted(active.mounts, root => writeFileSync(`${root}/new`, 'new'))
      assert.equal(await snapshotter.has(name), false)
      await active.commit(name)
      assert.equal(await snapshotter.has(name), true)
      await using next = await snapshotter.prepare(name)
      await mounted(next.mounts, async root => {
        assert.equal(readFileSync(`${root}/new`, 'utf8'), 'new')
        assert.equal(readFileSync(`${root}/old`, 'utf8'), 'old')
        assert.match((await describeTree(root))[0] ?? '', /^\. 40000 750 0:0/)
      })
    })

    test('prepare() without a parent starts from nothing', async t => {
      const { snapshotter } = open(t)
      await using active = await snapshotter.prepare(undefined)
      await mounted(active.mounts, root => writeFileSync(`${root}/new`, 'new'))
      await active.commit(digestOf('first'))
      await using next = await snapshotter.prepare(digestOf('first'))
      await mounted(next.mounts, root => assert.ok(existsSync(`${root}/new`)))
    })

    test('what is written to one snapshot does not show in its siblings', async t => {
      const { snapshotter } = open(t)
      const base = await applyAll(snapshotter, [[file('f', 'as it was')]])
      await using one = await snapshotter.prepare(base)
      await using other = await snapshotter.prepare(base)
      await mounted(one.mounts, root => writeFileSync(`${root}/f`, 'changed'))
      await mounted(other.mounts, root => assert.equal(readFileSync(`${root}/f`, 'utf8'), 'as it was'))
    })

    test('apply() of what is there already is success, also at the same time', async t => {
      const { snapshotter } = open(t)
      const name = digestOf('same')
      const apply = () => snapshotter.apply(name, undefined, writeTar([file('f', 'x')]), never)
      await Promise.all([apply(), apply()])
      await apply()
      assert.equal(await snapshotter.has(name), true)
    })

    test('a source that fails, even after the archive has ended, leaves nothing behind', async t => {
      const { snapshotter } = open(t)
      async function* failing() {
        yield* writeTar([file('f', 'x')])
        throw new OciError('digest-mismatch', 'not what was promised')
      }
      const name = digestOf('failing')
      await assert.rejects(snapshotter.apply(name, undefined, failing(), never), { code: 'digest-mismatch' })
      assert.equal(await snapshotter.has(name), false)
    })

    test('apply() stops when it is aborted', async t => {
      const { snapshotter } = open(t)
      const abort = new AbortController()
      async function* endless() {
        for (let n = 0; ; n++) {
          if (n === 1000) abort.abort()
          yield file(`f${n}`, 'x')
        }
      }
      const name = digestOf('aborted')
      await assert.rejects(snapshotter.apply(name, undefined, writeTar(endless()), abort.signal), {
        name: 'AbortError',
      })
      assert.equal(await snapshotter.has(name), false)
    })

    test('128 layers can be mounted', async t => {
      const { snapshotter } = open(t)
      const layers = Array.from({ length: 128 }, (_, n) => [file(`f${n}`, `${n}`), file('same', `${n}`)])
      await using active = await snapshotter.prepare(await applyAll(snapshotter, layers))
      await mounted(active.mounts, root => {
        assert.equal(readFileSync(`${root}/f0`, 'utf8'), '0')
        assert.equal(readFileSync(`${root}/same`, 'utf8'), '127')
      })
    })
  })
}
