import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { Spool } from '../../../../src/builder/tree/spool.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'slipway-spool-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

async function bytesOf(content: Buffer | AsyncIterable<Buffer>): Promise<Buffer> {
  if (content instanceof Uint8Array) return content
  const chunks: Buffer[] = []
  for await (const chunk of content) chunks.push(chunk)
  return Buffer.concat(chunks)
}

describe('Spool', () => {
  it('gives back what was appended, small and large, in any order', async () => {
    await using spool = new Spool(directory)
    const contents = [Buffer.from('a'), Buffer.alloc(3_000_000, 'xyz'), Buffer.alloc(0), Buffer.from('last')]
    const places = []
    for (const content of contents)
      places.push(await spool.append([content.subarray(0, 1), content.subarray(1)]))
    for (const [index, place] of [...places.entries()].reverse())
      assert.ok((await bytesOf(await spool.read(place))).equals(contents[index] ?? Buffer.alloc(0)))
    const more = await spool.append([Buffer.from('more')])
    assert.equal((await bytesOf(await spool.read(more))).toString(), 'more')
    assert.deepEqual(readdirSync(directory), [])
  })

  it('holds its own bytes, not the buffers of which they are a part', async () => {
    await using spool = new Spool(directory)
    const chunk = Buffer.from('content and more')
    const place = await spool.append([chunk.subarray(0, 7)])
    chunk.fill('x')
    assert.equal((await bytesOf(await spool.read(place))).toString(), 'content')
  })

  it('reads at once in several places what is not on the disk yet', async () => {
    await using spool = new Spool(directory)
    const place = await spool.append([Buffer.alloc(100_000, 'abc')])
    for (const content of await Promise.all([1, 2, 3].map(() => spool.read(place))))
      assert.equal((await bytesOf(content)).length, 100_000)
  })

  it('makes no file before it has to', async () => {
    const spool = new Spool(join(directory, 'none'))
    await spool.append([])
    await spool[Symbol.asyncDispose]()
    assert.equal(existsSync(join(directory, 'none')), false)
  })

  it('reads as many large contents at once as there are, and none when it is closed', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error) => warnings.push(warning)
    process.on('warning', onWarning)
    const spool = new Spool(directory)
    const place = await spool.append([Buffer.alloc(3_000_000)])
    const streams = await Promise.all(Array.from({ length: 12 }, () => spool.read(place)))
    await spool[Symbol.asyncDispose]()
    for (const stream of streams) await assert.rejects(bytesOf(stream), /closed/)
    await new Promise(setImmediate)
    process.off('warning', onWarning)
    assert.deepEqual(warnings, [])
  })

  it('refuses to be used when it is closed', async () => {
    const spool = new Spool(directory)
    const place = await spool.append([Buffer.from('a')])
    await spool[Symbol.asyncDispose]()
    await assert.rejects(spool.read(place), /closed/)
    await assert.rejects(spool.append([]), /closed/)
  })
})
