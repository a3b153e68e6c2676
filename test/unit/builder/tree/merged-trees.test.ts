import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { createMergedTrees, type MergedTrees } from '../../../../src/builder/tree/merged-trees.ts'
import { type ByteString, byteStringOf } from '../../../../src/oci/byte-string.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import type { LayerToc, TocEntry } from '../../../../src/oci/layer/toc.ts'
import { type MergedTree, mergeTocs } from '../../../../src/oci/layer/tree.ts'
import type { LayerRecord } from '../../../../src/store/metadata.ts'

const path = byteStringOf

const TOCS: Readonly<Record<string, LayerToc>> = {
  base: toc([entry('d', 'directory'), entry('d/a'), entry('d/b'), entry('e')]),
  removes: { ...toc([]), whiteouts: [path('d/a')] },
  replaces: toc([entry('e', 'directory'), entry('e/f')]),
  hides: { ...toc([entry('d', 'directory')]), opaque: [path('d')] },
  broken: toc([{ ...entry('l', 'link'), linkPath: path('nothing') }]),
}

let read: string[]
let trees: MergedTrees
beforeEach(() => {
  read = []
  trees = createMergedTrees({
    toc({ diffID }) {
      const [name = '', found] = Object.entries(TOCS).find(([each]) => digestOf(each) === diffID) ?? []
      read.push(name)
      return found ?? assert.fail(diffID)
    },
  })
})

describe('createMergedTrees()', () => {
  it('grows the tree of the layers below, and reads what is new', () => {
    const stack = ['base', 'removes', 'replaces', 'hides']
    for (let height = 1; height <= stack.length; height++) {
      const names = stack.slice(0, height)
      using taken = trees.take(layers(...names))
      assert.deepEqual(allOf(taken.tree), allOf(mergeTocs(names.map(name => TOCS[name] ?? assert.fail()))))
    }
    assert.deepEqual(read, stack)
  })

  it('gives nobody a tree that another reads, or one that has grown past the layers', () => {
    {
      using first = trees.take(layers('base'))
      using grown = trees.take(layers('base', 'removes'))
      assert.ok(first.tree.get(path('d/a')))
      assert.equal(grown.tree.get(path('d/a')), undefined)
    }
    trees.take(layers('base', 'removes', 'replaces'))[Symbol.dispose]()
    trees.take(layers('base', 'hides'))[Symbol.dispose]()
    using again = trees.take(layers('base'))
    assert.ok(again.tree.get(path('d/a')))
    using other = trees.take(layers('removes'))
    assert.equal(other.tree.get(path('e')), undefined)
  })

  it('has no use for a tree that a broken layer left half grown', () => {
    trees.take(layers('base'))[Symbol.dispose]()
    assert.throws(() => trees.take(layers('base', 'broken')), { code: 'layer-invalid' })
    using taken = trees.take(layers('base'))
    assert.deepEqual(taken.tree.children(path('')), ['d', 'e'])
    assert.deepEqual(read, ['base', 'broken', 'base'])
  })

  it('keeps few trees that nobody reads', () => {
    const all = ['base', 'removes', 'replaces'].map(name => trees.take(layers(name)))
    for (const taken of all) taken[Symbol.dispose]()
    read = []
    for (const name of ['base', 'removes', 'replaces']) trees.take(layers(name))
    assert.deepEqual(read, ['base'])
  })
})

function entry(name: string, type: TocEntry['type'] = 'file'): TocEntry {
  return { type, path: path(name), mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 0 }
}

function toc(entries: readonly TocEntry[]): LayerToc {
  return { entries, whiteouts: [], opaque: [] }
}

function layers(...names: readonly string[]): readonly LayerRecord[] {
  return names.map(name => ({
    digest: digestOf(`blob of ${name}`),
    mediaType: 'application/vnd.oci.image.layer.v1.tar',
    size: 0,
    diffID: digestOf(name),
    uncompressedSize: 0,
  }))
}

function allOf(tree: MergedTree, directory = '' as ByteString): readonly unknown[] {
  return tree.children(directory).flatMap(name => {
    const below = (directory === '' ? name : `${directory}/${name}`) as ByteString
    return [tree.get(below), ...allOf(tree, below)]
  })
}
