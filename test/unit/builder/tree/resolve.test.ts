import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { resolvePath } from '../../../../src/builder/tree/resolve.ts'
import { type ByteString, byteStringOf } from '../../../../src/oci/byte-string.ts'

/** Paths of symlinks and their targets; everything else is not there, which resolves the same. */
const treeOf = (links: Readonly<Record<string, string>>) => ({
  async stat(path: ByteString) {
    const target = links[path]
    if (target === undefined) return undefined
    const linkPath = byteStringOf(target)
    return { type: 'symlink', mode: 0o777, uid: 0, gid: 0, size: 0, mtime: 0, linkPath } as const
  },
})

const LINKS = {
  abs: '/real',
  rel: 'real/sub',
  up: '../../../real',
  'd/rel': 'x',
  'd/up': '../real',
  chain: 'abs/x',
  self: 'self',
  a: 'b/x',
  b: 'a/y',
  dot: '.',
  slash: '/',
  'jail/abs': '/etc',
  'jail/up': '../../etc',
}

describe('resolvePath()', () => {
  const cases: readonly (readonly [path: string, resolved: string | undefined])[] = [
    ['', ''],
    ['/', ''],
    ['/x/./y//z/', 'x/y/z'],
    ['x/../../../y', 'y'],
    ['abs', 'real'],
    ['/abs/f', 'real/f'],
    ['rel/f', 'real/sub/f'],
    ['rel/..', 'real'],
    ['up/f', 'real/f'],
    ['d/rel', 'd/x'],
    ['d/up/f', 'real/f'],
    ['chain', 'real/x'],
    ['dot/dot/dot/f', 'f'],
    ['slash/f', 'f'],
    ['self', undefined],
    ['self/x', undefined],
    ['a', undefined],
  ]
  for (const [path, resolved] of cases) {
    it(`leads "${path}" to ${resolved === undefined ? 'nowhere' : `"${resolved}"`}`, async () => {
      assert.equal(await resolvePath(treeOf(LINKS), byteStringOf(path)), resolved)
    })
  }

  it('leads nowhere out of a root', async () => {
    const root = byteStringOf('jail')
    const inJail = (path: string) => resolvePath(treeOf(LINKS), byteStringOf(path), root)
    assert.deepEqual(
      [await inJail('abs/f'), await inJail('up/f'), await inJail('../../f'), await inJail('/')],
      ['jail/etc/f', 'jail/etc/f', 'jail/f', 'jail'],
    )
  })

  it('ends soon for links that multiply', async () => {
    const bomb = treeOf({ x: 'x/x/x/x/'.repeat(10_000) })
    assert.equal(await resolvePath(bomb, byteStringOf('x')), undefined)
  })
})
