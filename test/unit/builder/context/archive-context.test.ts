import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, describe, it } from 'node:test'
import { readArchiveContext, sniffContext } from '../../../../src/builder/context/archive-context.ts'
import type { OpenTree } from '../../../../src/builder/tree/image-tree.ts'
import { walkBelow } from '../../../../src/builder/tree/walk.ts'
import { byteStringOf } from '../../../../src/oci/byte-string.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import type { TarEntry } from '../../../../src/oci/tar/entry.ts'
import { encodeTarEntry, type TarItem, writeTar } from '../../../../src/oci/tar/writer.ts'

const folder = mkdtempSync(join(tmpdir(), 'slipway-archive-context-'))
after(() => rmSync(folder, { recursive: true }))
const { signal } = new AbortController()

function entry(path: string, type: TarEntry['type'], more: Partial<TarEntry> = {}): TarItem {
  const entry = { path: byteStringOf(path), type, mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 5, ...more }
  return { entry }
}

function file(path: string, content: string, more: Partial<TarEntry> = {}): TarItem {
  return { ...entry(path, 'file', { size: content.length, ...more }), body: Buffer.from(content) }
}

const link = (path: string, target: string): TarItem =>
  entry(path, 'link', { linkPath: byteStringOf(target) })
const symlink = (path: string, target: string): TarItem =>
  entry(path, 'symlink', { linkPath: byteStringOf(target) })

async function open(...items: readonly TarItem[]): Promise<OpenTree> {
  return readArchiveContext(await sniffContext(writeTar(Readable.from(items))), {
    temporaryDirectory: folder,
    signal,
  })
}

async function textOf(tree: OpenTree, path: string): Promise<string> {
  const content = await tree.open(byteStringOf(path))
  return (content instanceof Uint8Array ? content : await buffer(content)).toString()
}

async function paths(tree: OpenTree): Promise<readonly string[]> {
  return (await Array.fromAsync(walkBelow(tree, byteStringOf(''), signal))).map(({ path }) => path)
}

describe('readArchiveContext()', () => {
  it('shows files with owner, mode, time, digest and content', async () => {
    await using tree = await open(
      entry('./', 'directory', { mode: 0o700 }),
      file('./a', 'hello', { uid: 7, gid: 8, mode: 0o4755 }),
      file('d/e/f', 'deep'),
    )
    assert.deepEqual(await paths(tree), ['a', 'd', 'd/e', 'd/e/f'])
    const node = await tree.stat(byteStringOf('a'))
    assert.deepEqual([node?.uid, node?.gid, node?.mode, node?.mtime, node?.size], [7, 8, 0o4755, 5, 5])
    assert.equal(await tree.digest(byteStringOf('a')), digestOf('hello'))
    assert.equal(await textOf(tree, 'd/e/f'), 'deep')
    assert.equal((await tree.stat(byteStringOf('')))?.mode, 0o700)
  })

  it('gives names of one file one identity', async () => {
    await using tree = await open(file('a', 'x'), link('b', 'a'), file('c', 'x'))
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map(path => tree.stat(byteStringOf(path))))
    assert.ok(a?.identity !== undefined && a.identity === b?.identity && c?.identity === undefined)
    assert.equal(await textOf(tree, 'b'), 'x')
  })

  it('takes the last of several entries with one name', async () => {
    await using tree = await open(
      file('a', '1'),
      file('a', '2'),
      file('d/x', ''),
      file('d', '3'),
      file('f', ''),
      file('f/g', '4'),
    )
    assert.deepEqual(await paths(tree), ['a', 'd', 'f', 'f/g'])
    assert.equal(await textOf(tree, 'a'), '2')
    assert.equal(await textOf(tree, 'd'), '3')
  })

  it('leads nowhere out of the archive', async () => {
    await using tree = await open(
      file('../../up', '1'),
      file('/abs', '2'),
      symlink('out', '/../../etc'),
      file('out/passwd', '3'),
      symlink('self', 'abs'),
      file('self', '4'),
    )
    assert.deepEqual(await paths(tree), ['abs', 'etc', 'etc/passwd', 'out', 'self', 'up'])
    assert.equal(await textOf(tree, 'abs'), '2')
  })

  it('refuses loops, and links to what is not there', async () => {
    for (const items of [
      [symlink('a', 'b'), symlink('b', 'a'), file('a/x', '')],
      [link('a', 'etc/passwd')],
      [entry('d', 'directory'), link('a', 'd')],
    ])
      await assert.rejects(open(...items), { code: 'context-invalid' })
  })

  for (const [where, items] of [
    ['within a file', [entry('huge', 'file', { size: 2 ** 33 })]],
    ['after the last entry', []],
  ] as const)
    it(`ends when it is aborted ${where}, however much there is still to read`, async () => {
      const controller = new AbortController()
      let chunks = 0
      async function* endless() {
        for (const { entry } of items) yield encodeTarEntry(entry)
        for (; chunks < 1000; chunks++) {
          if (chunks === 10) controller.abort(new Error('enough'))
          yield Buffer.alloc(64 * 1024)
        }
      }
      const sniffed = { ...(await sniffContext(endless())), isArchive: true }
      const deps = { temporaryDirectory: folder, signal: controller.signal }
      await assert.rejects(readArchiveContext(sniffed, deps), /enough/)
      assert.ok(chunks < 100, `${chunks} chunks were read`)
    })

  it('leaves nothing behind', async () => {
    await using _ = await open(file('a', 'x'.repeat(3_000_000)))
    assert.deepEqual(readdirSync(folder), [])
  })
})
