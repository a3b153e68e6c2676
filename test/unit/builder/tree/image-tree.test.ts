import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { byteStringOf } from '../../../../src/oci/byte-string.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { Bench } from '../ops/fixture.ts'

const path = byteStringOf
const SIGNAL = new AbortController().signal

let bench: Bench
beforeEach(() => {
  bench = new Bench()
})
afterEach(() => bench.dispose())

async function textOf(content: Buffer | AsyncIterable<Buffer>): Promise<string> {
  if (content instanceof Uint8Array) return content.toString()
  const chunks: Buffer[] = []
  for await (const chunk of content) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

describe('createImageTree()', () => {
  it('shows the merged layers, without the facts of their tars', async () => {
    const root = await bench.root(
      { 'd/': { mode: 0o700 }, 'd/a': { content: 'low' }, 'd/b': { content: 'b' } },
      { 'd/a': { content: 'high', mode: 0o600 }, 'd/.wh.b': {} },
    )
    await using tree = bench.tree(root)
    assert.deepEqual(await tree.list(path('d')), ['a'])
    assert.deepEqual(await tree.stat(path('d/a')), {
      type: 'file',
      mode: 0o600,
      uid: 0,
      gid: 0,
      size: 4,
      mtime: 500,
    })
    assert.equal(await tree.digest(path('d/a')), digestOf('high'))
    assert.equal(await tree.stat(path('d/b')), undefined)
    assert.equal((await tree.stat(path('')))?.type, 'directory')
  })

  it('is empty without layers', async () => {
    await using tree = bench.tree({ chainID: undefined, layers: [] })
    assert.deepEqual(await tree.list(path('')), [])
    assert.equal((await tree.stat(path('')))?.mode, 0o755)
  })

  it('reads each layer once for all that was prepared, in any order, and leaves no file', async () => {
    const large = 'x'.repeat(2_500_000)
    const root = await bench.root(
      { c: { content: 'c' }, a: { content: large }, empty: {}, b: { content: 'b' } },
      { z: { content: 'z' } },
    )
    {
      await using tree = bench.tree(root)
      await tree.prepare(['b', 'z', 'a', 'empty', 'c', 'a'].map(path), SIGNAL)
      assert.equal(bench.layers.reads, 2)
      for (const [name, content] of [
        ['a', large],
        ['b', 'b'],
        ['c', 'c'],
        ['z', 'z'],
        ['empty', ''],
      ] as const)
        assert.equal(await textOf(await tree.open(path(name))), content)
      assert.equal(bench.layers.reads, 2)
      assert.deepEqual(readdirSync(join(bench.directory, 'tmp')), [])
    }
  })

  it('opens what was not prepared', async () => {
    await using tree = bench.tree(await bench.root({ a: { content: 'a' }, b: { type: 'link', link: 'a' } }))
    assert.equal(await textOf(await tree.open(path('b'))), 'a')
    assert.equal(await textOf(await tree.open(path('a'))), 'a')
    assert.equal(bench.layers.reads, 1)
  })

  it('touches neither disk nor layers before it is asked', async () => {
    const tree = bench.tree(await bench.root({ a: { content: 'a' } }))
    await tree[Symbol.asyncDispose]()
    assert.equal(bench.layers.reads, 0)
    assert.equal(existsSync(join(bench.directory, 'tmp')), false)
  })

  it('refuses a stored layer that is damaged', async () => {
    const root = await bench.root({ a: { content: 'content' } })
    const tar = bench.layers.tars.get(root.layers[0]?.digest ?? '')
    tar?.write('X', 512)
    await using tree = bench.tree(root)
    await assert.rejects(tree.open(path('a')), { code: 'digest-mismatch', message: /damaged/ })
    tar?.write('c', 512)
    assert.equal(await textOf(await tree.open(path('a'))), 'content')
  })

  it('refuses to open what is no file', async () => {
    await using tree = bench.tree(await bench.root({ 'd/': {} }))
    for (const name of ['d', 'none', ''])
      await assert.rejects(tree.open(path(name)), { code: 'content-missing' })
  })

  it('stops preparing when the build is aborted', async () => {
    await using tree = bench.tree(await bench.root({ a: { content: 'a' } }))
    await assert.rejects(tree.prepare([path('a')], AbortSignal.abort(new Error('stop'))), /stop/)
  })
})
