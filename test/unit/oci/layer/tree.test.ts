import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ByteString, byteStringOf } from '../../../../src/oci/byte-string.ts'
import { TocRecorder } from '../../../../src/oci/layer/toc-recorder.ts'
import { type MergedTree, mergeTocs } from '../../../../src/oci/layer/tree.ts'
import type { TarItem } from '../../../../src/oci/tar/writer.ts'
import { directory, entry, file, link, symlink, tarOf } from '../tar-bytes.ts'

async function merge(...layers: readonly (readonly TarItem[])[]): Promise<MergedTree> {
  const tocs = await Promise.all(
    layers.map(async items => {
      const recorder = new TocRecorder()
      recorder.update(await tarOf(...items))
      return recorder.finish()
    }),
  )
  return mergeTocs(tocs)
}

const at = (tree: MergedTree, path: string) => tree.get(byteStringOf(path))

/** Every path with the index of the layer that provides it. */
function pathsOf(tree: MergedTree, directoryPath = ''): string[] {
  return tree.children(byteStringOf(directoryPath)).flatMap(name => {
    const path = directoryPath === '' ? name : `${directoryPath}/${name}`
    const node = tree.get(path as ByteString)
    assert.equal(node?.entry.path, path)
    return [`${path}:${node.layer}`, ...pathsOf(tree, path)]
  })
}

test('mergeTocs() of no layers is an empty root', () => {
  const tree = mergeTocs([])
  assert.equal(at(tree, '')?.entry.type, 'directory')
  assert.deepEqual(tree.children(byteStringOf('')), [])
})

test('later layers add, replace and remove', async () => {
  const tree = await merge(
    [directory('a'), file('a/kept', '0'), file('a/changed', '0'), file('a/gone', '0'), file('z', '0')],
    [file('a/changed', '1'), file('a/.wh.gone'), file('a/new', '1'), file('.wh.nothing')],
  )
  assert.deepEqual(pathsOf(tree), ['a:0', 'a/changed:1', 'a/kept:0', 'a/new:1', 'z:0'])
})

test('names come sorted by bytes', async () => {
  const tree = await merge([file('ä'), file('b'), file('a.b'), file('a'), file('B')])
  assert.deepEqual(tree.children(byteStringOf('')), ['B', 'a', 'a.b', 'b', 'ä'].map(byteStringOf))
})

test('an opaque directory hides what is below, not its siblings, in either order', async () => {
  const lower = [directory('d', { mode: 0o700 }), file('d/old'), file('d/sub/old'), file('outside')]
  const marker = file('d/.wh..wh..opq')
  for (const upper of [
    [marker, file('d/new')],
    [file('d/new'), marker],
  ]) {
    const tree = await merge(lower, upper)
    assert.deepEqual(pathsOf(tree), ['d:0', 'd/new:1', 'outside:0'])
    assert.equal(at(tree, 'd')?.entry.mode, 0o700)
  }
})

test('a whiteout removes what is below, not its sibling of the same name, in either order', async () => {
  const lower = [file('d/old'), file('e')]
  for (const upper of [
    [file('.wh.d'), file('d/new')],
    [file('d/new'), file('.wh.d')],
  ])
    assert.deepEqual(pathsOf(await merge(lower, upper)), ['d:1', 'd/new:1', 'e:0'])
})

test('an opaque root hides everything below', async () => {
  assert.deepEqual(pathsOf(await merge([file('a'), file('b/c')], [file('.wh..wh..opq'), file('d')])), ['d:1'])
})

test('a directory over a directory keeps the children and takes the new metadata', async () => {
  const tree = await merge(
    [directory('d', { uid: 1 }), file('d/a')],
    [directory('d', { uid: 2, mode: 0o500 })],
  )
  assert.deepEqual(pathsOf(tree), ['d:1', 'd/a:0'])
  assert.equal(at(tree, 'd')?.entry.uid, 2)
  assert.equal(at(tree, 'd')?.entry.mode, 0o500)
})

test('the root entry sets the metadata of the root', async () => {
  const tree = await merge([file('a')], [directory('./', { mode: 0o711 })])
  assert.equal(at(tree, '')?.entry.mode, 0o711)
  assert.deepEqual(pathsOf(tree), ['a:0'])
})

test('a file over a directory replaces the tree, a directory over a file the file', async () => {
  const tree = await merge([file('d/a/b'), file('f')], [file('d', 'x'), file('f/inside')].slice(0, 1), [
    directory('f'),
  ])
  assert.deepEqual(pathsOf(tree), ['d:1', 'f:2'])
  assert.equal(at(tree, 'd/a'), undefined)
})

test('of a path named twice in one layer, the last counts', async () => {
  const tree = await merge([file('a', 'first'), file('a', 'second one')])
  assert.equal(at(tree, 'a')?.entry.size, 10)
})

test('parents that no layer names are directories of root with mode 0755', async () => {
  const tree = await merge([file('x/y/z')])
  assert.deepEqual(at(tree, 'x/y')?.entry, entry('x/y', { type: 'directory', mode: 0o755 }))
  assert.equal(at(tree, 'x/y')?.layer, 0)
})

test('a parent that is a symlink is followed inside the root, as an unpacker would', async () => {
  const tree = await merge(
    [directory('usr/lib'), symlink('lib', 'usr/lib'), symlink('abs', '/../usr/./lib/../lib')],
    [file('lib/x.so', 'so'), file('abs/y.so'), file('lib/../z')],
  )
  assert.deepEqual(pathsOf(tree), [
    'abs:0',
    'lib:0',
    'usr:0',
    'usr/lib:0',
    'usr/lib/x.so:1',
    'usr/lib/y.so:1',
    'z:1',
  ])
  assert.equal(at(tree, 'lib/x.so'), undefined)
})

test('a symlink is replaced, not followed, by an entry of its own path', async () => {
  const tree = await merge([directory('d'), symlink('l', 'd')], [directory('l', { mode: 0o700 })])
  assert.equal(at(tree, 'l')?.entry.type, 'directory')
  assert.equal(at(tree, 'd')?.entry.mode, 0o755)
})

test('the names of a hard-linked file share identity, content and metadata', async () => {
  const tree = await merge([
    file('a', 'xyz', { uid: 7 }),
    link('d/b', 'a'),
    link('c', 'd/b'),
    file('other', 'xyz'),
  ])
  const [a, b, c] = ['a', 'd/b', 'c'].map(path => at(tree, path))
  assert.ok(a?.identity !== undefined)
  assert.equal(b?.identity, a.identity)
  assert.equal(c?.identity, a.identity)
  assert.deepEqual({ ...b?.entry, path: 'a' }, a.entry)
  assert.equal(b?.entry.path, 'd/b')
  assert.equal(at(tree, 'other')?.identity, undefined)
})

test('a hard link to a file of a lower layer names that layer, which holds the content', async () => {
  const tree = await merge([file('a', 'xyz')], [link('b', 'a')])
  assert.equal(at(tree, 'b')?.layer, 0)
  assert.equal(at(tree, 'b')?.entry.offset, at(tree, 'a')?.entry.offset)
})

test('a file that replaces one of two names is another file', async () => {
  const tree = await merge([file('a', '1'), link('b', 'a'), file('a', '22'), link('c', 'a')])
  assert.equal(at(tree, 'b')?.entry.size, 1)
  assert.equal(at(tree, 'c')?.entry.size, 2)
  assert.notEqual(at(tree, 'b')?.identity, at(tree, 'c')?.identity)
})

test('a symlink may have two names', async () => {
  const tree = await merge([symlink('s', 'x'), link('t', 's')])
  assert.equal(at(tree, 't')?.entry.type, 'symlink')
  assert.equal(at(tree, 't')?.entry.linkPath, 'x')
})

const refused: readonly [name: string, items: readonly TarItem[], problem: RegExp][] = [
  ['a hard link to nothing', [link('a', 'b')], /which is not a file/],
  ['a hard link to a directory', [directory('d'), link('a', 'd')], /which is not a file/],
  ['a loop of hard links', [link('a', 'b'), link('b', 'a')], /which is not a file/],
  ['a file in a file', [file('a'), file('a/b')], /not a directory/],
  [
    'a file behind a loop of symlinks',
    [symlink('a', 'b'), symlink('b', 'a'), file('a/c')],
    /loop of symlinks/,
  ],
  ['a file behind a symlink to itself', [symlink('a', 'a/a'), file('a/c')], /loop of symlinks/],
]
for (const [name, items, message] of refused) {
  test(`mergeTocs() refuses ${name}`, async () => {
    await assert.rejects(merge(items), { code: 'layer-invalid', message })
  })
}

test('a path that leads out through symlinks ends in the root', async () => {
  const tree = await merge([symlink('out', '../../../etc'), file('out/passwd', 'x')])
  assert.deepEqual(pathsOf(tree), ['etc:0', 'etc/passwd:0', 'out:0'])
})

test('an absolute symlink starts at the root, wherever it stands', async () => {
  const tree = await merge([symlink('a/b/link', '/../x/../y'), file('a/b/link/../z/file')])
  assert.deepEqual(pathsOf(tree), ['a:0', 'a/b:0', 'a/b/link:0', 'a/b/z:0', 'a/b/z/file:0'])
  const followed = await merge([directory('a/b'), symlink('a/b/link', '/../y'), file('a/b/link/file')])
  assert.deepEqual(pathsOf(followed), ['a:0', 'a/b:0', 'a/b/link:0', 'y:0', 'y/file:0'])
})
