import assert from 'node:assert/strict'
import { test } from 'node:test'
import { byteStringOf } from '../../../../src/oci/byte-string.ts'
import { changeOf, cleanPath, readChangeset } from '../../../../src/oci/layer/changeset.ts'
import { collect, directory, entry, file, inChunks, link, symlink, tarOf } from '../tar-bytes.ts'

const paths: readonly [raw: string, clean: string][] = [
  ['', ''],
  ['.', ''],
  ['./', ''],
  ['/', ''],
  ['a/b', 'a/b'],
  ['./a//b/', 'a/b'],
  ['/a/b', 'a/b'],
  ['//a', 'a'],
  ['a/./b/.', 'a/b'],
  ['a/../b', 'b'],
  ['a/b/../../c', 'c'],
  ['a/..', ''],
  ['...', '...'],
  ['a/..b/.c', 'a/..b/.c'],
  ['a../b', 'a../b'],
]
for (const [raw, clean] of paths) {
  test(`cleanPath() makes ${JSON.stringify(raw)} ${JSON.stringify(clean)}`, () => {
    assert.equal(cleanPath(byteStringOf(raw)), clean)
  })
}

for (const raw of ['..', '../a', 'a/../../b', '/../etc/passwd', './..', 'a/b/../../../c']) {
  test(`cleanPath() refuses ${raw}`, () => {
    assert.throws(() => cleanPath(byteStringOf(raw)), { code: 'layer-invalid', message: /out of the root/ })
  })
}

test('readChangeset() yields additions, whiteouts and opaque directories in order', async () => {
  const tar = await tarOf(
    directory('.'),
    directory('./dir'),
    file('./dir/file', 'content'),
    file('dir/.wh.gone'),
    file('dir/.wh..wh..opq'),
    file('.wh..wh.aufs', 'bookkeeping'),
    symlink('dir/link', '/abs/../target'),
    link('dir/hard', './dir//file'),
    { entry: entry('dir/deleted', { type: 'character', deviceMajor: 0, deviceMinor: 0 }) },
  )
  const seen: unknown[] = []
  for await (const change of readChangeset(inChunks(tar, 1000))) {
    if (change.kind !== 'add') seen.push([change.kind, change.path])
    else
      seen.push(['add', change.entry.path, change.entry.linkPath, (await collect(change.body())).toString()])
  }
  assert.deepEqual(seen, [
    ['add', '', undefined, ''],
    ['add', 'dir', undefined, ''],
    ['add', 'dir/file', undefined, 'content'],
    ['whiteout', 'dir/gone'],
    ['opaque', 'dir'],
    ['add', 'dir/link', '/abs/../target', ''],
    ['add', 'dir/hard', 'dir/file', ''],
    ['whiteout', 'dir/deleted'],
  ])
})

test('changeOf() reads absolute hard-link targets as paths of the layer', () => {
  const change = changeOf(entry('b', { type: 'link', linkPath: byteStringOf('/dir/a') }), 0)
  assert.ok(change?.kind === 'add')
  assert.equal(change.entry.linkPath, 'dir/a')
})

test("changeOf() drops overlayfs's own attributes and keeps others", () => {
  const value = Buffer.from('y')
  const xattrs = new Map([
    ['trusted.overlay.opaque', value],
    ['user.overlay.redirect', value],
    ['trusted.other', value],
  ])
  const kept = changeOf(entry('a', { xattrs }), 0)
  assert.ok(kept?.kind === 'add')
  assert.deepEqual([...(kept.entry.xattrs?.keys() ?? [])], ['trusted.other'])
  const none = changeOf(entry('a', { xattrs: new Map([['trusted.overlay.opaque', value]]) }), 0)
  assert.ok(none?.kind === 'add' && !('xattrs' in none.entry))
})

const refused: readonly [name: string, entry: ReturnType<typeof entry>, problem: RegExp][] = [
  ['a root that is a file', entry('./'), /the root is a file/],
  [
    'a root that is a symlink',
    entry('/', { type: 'symlink', linkPath: byteStringOf('x') }),
    /the root is a symlink/,
  ],
  ['a path out of the root', entry('a/../../b'), /out of the root/],
  [
    'a hard link out of the root',
    entry('a', { type: 'link', linkPath: byteStringOf('../b') }),
    /out of the root/,
  ],
  ['a hard link to the root', entry('a', { type: 'link', linkPath: byteStringOf('/') }), /to the root/],
  ['a hard link to itself', entry('a', { type: 'link', linkPath: byteStringOf('./a') }), /to itself/],
  ['a whiteout of the parent', entry('dir/.wh...'), /no name for a whiteout/],
  ['a file in a whiteout', entry('.wh.dir/file'), /no name for a whiteout/],
]
for (const [name, bad, message] of refused) {
  test(`changeOf() refuses ${name}`, () => {
    assert.throws(() => changeOf(bad, 0), { code: 'layer-invalid', message })
  })
}
