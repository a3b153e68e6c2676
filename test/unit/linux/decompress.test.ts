import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { decompressWith } from '../../../src/linux/decompress.ts'

async function* chunks(bytes: Buffer, size = 1000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts)
}

const text = Buffer.from(Array.from({ length: 50_000 }, (_, n) => `line ${n}\n`).join(''))

for (const program of ['xz', 'bzip2'] as const) {
  const packed = spawnSync(program, ['-c'], { input: text }).stdout
  const skip = packed === null ? `${program} is not installed` : false

  test(`decompressWith('${program}') unpacks`, { skip }, async () => {
    assert.deepEqual(await collect(decompressWith(program, chunks(packed))), text)
  })

  test(`decompressWith('${program}') refuses damaged and cut off data`, { skip }, async () => {
    const damaged = Buffer.from(packed)
    damaged.writeUInt8(damaged.readUInt8(damaged.length >> 1) ^ 0xff, damaged.length >> 1)
    for (const bad of [damaged, packed.subarray(0, -10), Buffer.from('not packed at all')])
      await assert.rejects(collect(decompressWith(program, chunks(bad))), { code: 'data-corrupt' })
  })

  test(`decompressWith('${program}') passes the error of its source on`, { skip }, async () => {
    async function* failing() {
      yield packed.subarray(0, 100)
      throw new Error('the source failed')
    }
    await assert.rejects(collect(decompressWith(program, failing())), { message: 'the source failed' })
  })

  test(`decompressWith('${program}') can be left early`, { skip }, async () => {
    for await (const chunk of decompressWith(program, chunks(packed))) {
      assert.ok(chunk.length > 0)
      break
    }
  })
}

test('decompressWith() says which program and package are missing', async () => {
  const path = process.env.PATH
  process.env.PATH = '/nonexistent'
  try {
    await assert.rejects(collect(decompressWith('xz', chunks(text))), {
      code: 'program-missing',
      message: 'Cannot unpack xz data: the program xz is not installed (package xz-utils)',
    })
  } finally {
    process.env.PATH = path
  }
})
