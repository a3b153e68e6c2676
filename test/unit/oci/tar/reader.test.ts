import assert from 'node:assert/strict'
import { test } from 'node:test'
import { byteStringOf } from '../../../../src/oci/byte-string.ts'
import { OciError } from '../../../../src/oci/errors.ts'
import { readTar, TarParser } from '../../../../src/oci/tar/reader.ts'
import {
  collect,
  directory,
  END_OF_ARCHIVE,
  entry,
  extension,
  file,
  inChunks,
  padded,
  rawHeader,
  readAll,
  records,
  symlink,
  tarOf,
} from '../tar-bytes.ts'

const pathsOf = async (bytes: Uint8Array) => (await readAll(bytes)).map(record => record.entry.path)

test('readTar() gives the same records however the bytes are cut', async () => {
  const tar = await tarOf(
    directory('a'),
    file('a/empty'),
    file('a/text', 'hello\n'),
    file(`a/${'long'.repeat(60)}`, Buffer.alloc(5000, 7)),
    symlink('a/link', '../x'),
  )
  const whole = await readAll(tar)
  assert.equal(whole.length, 5)
  for (const size of [1, 7, 511, 512, 513, 4096]) assert.deepEqual(await readAll(tar, {}, size), whole)
})

test('readTar() tells where bodies start', async () => {
  const tar = await tarOf(file('one', 'first'), file('n'.repeat(300), 'second'))
  for (const { bodyOffset, body } of await readAll(tar))
    assert.equal(tar.toString('latin1', bodyOffset, bodyOffset + body.length), body.toString())
})

test('readTar() skips bodies that are not read, or not read to the end', async () => {
  const tar = await tarOf(
    file('a', Buffer.alloc(3000, 1)),
    file('b', Buffer.alloc(3000, 2)),
    file('c', 'end'),
  )
  const seen: string[] = []
  for await (const record of readTar(inChunks(tar, 100))) {
    seen.push(record.entry.path)
    if (record.entry.path === 'b') for await (const _chunk of record.body()) break
    if (record.entry.path === 'c') assert.equal((await collect(record.body())).toString(), 'end')
  }
  assert.deepEqual(seen, ['a', 'b', 'c'])
})

test('a body is refused once its record has passed, or when it was read before', async () => {
  const tar = await tarOf(file('a', 'aaaa'), file('b', 'bbbb'))
  const iterator = readTar(inChunks(tar))
  const first = (await iterator.next()).value
  assert.ok(first)
  await iterator.next()
  await assert.rejects(collect(first.body()), /it has been passed already/)
  for await (const record of readTar(inChunks(tar))) {
    await collect(record.body())
    await assert.rejects(collect(record.body()), /it has been passed already/)
  }
})

test('readTar() closes its source when the consumer stops or the archive is bad', async () => {
  let closed = 0
  async function* source(bytes: Buffer) {
    try {
      yield bytes
      yield Buffer.alloc(512)
    } finally {
      closed++
    }
  }
  for await (const _record of readTar(source(await tarOf(file('a'))))) break
  assert.equal(closed, 1)
  await assert.rejects(readTar(source(Buffer.alloc(512, 1))).next())
  assert.equal(closed, 2)
})

test('readTar() lets an error of the source through', async () => {
  const failure = new Error('connection lost')
  async function* source() {
    yield rawHeader({})
    throw failure
  }
  await assert.rejects(
    async () => {
      for await (const _record of readTar(source()));
    },
    error => error === failure,
  )
})

test('readTar() reads the source to its end, though nothing after the end blocks is an entry', async () => {
  let isDrained = false
  async function* source() {
    yield Buffer.concat([rawHeader({ name: 'shown' }), END_OF_ARCHIVE, rawHeader({ name: 'smuggled' })])
    yield Buffer.alloc(10_000, 0xff)
    isDrained = true
  }
  const seen: string[] = []
  for await (const record of readTar(source())) seen.push(record.entry.path)
  assert.deepEqual(seen, ['shown'])
  assert.ok(isDrained)
})

test('an archive may end without end blocks where an entry has ended', async () => {
  const tar = await tarOf(file('a', 'x'), file('b', 'y'))
  assert.deepEqual(await pathsOf(Buffer.alloc(0)), [])
  assert.deepEqual(await pathsOf(tar.subarray(0, 1024)), ['a'])
  assert.deepEqual(await pathsOf(tar.subarray(0, 2048)), ['a', 'b'])
  assert.deepEqual(await pathsOf(tar.subarray(0, 2048 + 512)), ['a', 'b'])
})

test('an archive that is cut anywhere else is tar-invalid', async () => {
  const tar = (await tarOf(file('n'.repeat(200), Buffer.alloc(700, 1)))).subarray(0, -1024)
  assert.equal(tar.length, 512 * 5)
  for (let length = 1; length < tar.length; length++) {
    const cut = tar.subarray(0, length)
    await assert.rejects(readAll(cut), { code: 'tar-invalid' }, `cut after ${length} bytes`)
  }
})

const dialects: readonly [name: string, block: Buffer, expected: object][] = [
  [
    'V7, without a magic',
    rawHeader({ name: 'old' }, b => b.fill(0, 257, 265)),
    { path: 'old', type: 'file' },
  ],
  [
    'V7, a directory by its slash',
    rawHeader({ type: '\0', name: 'dir/' }),
    { path: 'dir', type: 'directory' },
  ],
  ['a contiguous file', rawHeader({ type: '7' }), { type: 'file' }],
  [
    'GNU, whose prefix field holds times',
    rawHeader({ name: 'gnu' }, b => {
      b.write('ustar  \0', 257, 'latin1')
      b.write('14000000000', 345, 'latin1')
    }),
    { path: 'gnu' },
  ],
  [
    'a ustar prefix',
    rawHeader({ name: 'name' }, b => b.write('some/prefix', 345)),
    { path: 'some/prefix/name' },
  ],
  [
    'star, whose prefix is shorter',
    rawHeader({ name: 'name' }, b => {
      b.write('p'.repeat(131), 345)
      b.write('14000000000', 476)
      b.write('tar\0', 508)
    }),
    { path: `${'p'.repeat(131)}/name` },
  ],
  ['numbers with blanks around', rawHeader({}, b => b.write('   755 \0', 100)), { mode: 0o755 }],
  ['blank numbers', rawHeader({}, b => b.fill(0, 100, 108)), { mode: 0 }],
  ['file type bits in the mode', rawHeader({}, b => b.write('0104755\0', 100)), { mode: 0o4755 }],
  [
    'base 256',
    rawHeader({}, b => {
      b.writeUInt32BE(0x8000_0000, 108)
      b.writeUInt32BE(4_000_000_000, 112)
    }),
    { uid: 4_000_000_000 },
  ],
  ['a negative time in base 256', rawHeader({}, b => b.fill(0xff, 136, 148)), { mtime: -1 }],
  [
    'names of any bytes',
    rawHeader({}, b => b.write('\xff\xfe/\x01', 0, 'latin1')),
    { path: '\xff\xfe/\x01' },
  ],
  ['a FIFO with a size', rawHeader({ type: '6', size: 99 }), { type: 'fifo', size: 0 }],
  [
    'a directory with a size',
    rawHeader({ type: '5', size: 1 << 20, name: 'd/' }),
    { type: 'directory', size: 0 },
  ],
]
for (const [name, block, expected] of dialects) {
  test(`readTar() reads ${name}`, async () => {
    const [record] = await readAll(Buffer.concat([block, END_OF_ARCHIVE]))
    assert.ok(record)
    for (const [key, value] of Object.entries(expected)) assert.equal(record.entry[key as 'path'], value, key)
  })
}

test('an old checksum over signed characters is right, too', async () => {
  const block = rawHeader({}, b => b.write('\xff\xff', 0, 'latin1'))
  const sum = Number.parseInt(block.toString('latin1', 148, 154), 8) - 2 * 256
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  assert.deepEqual(await pathsOf(block), ['\xff\xffle'])
})

test('a PAX header is about the next entry only', async () => {
  const tar = Buffer.concat([
    extension(
      'x',
      records({ path: 'renamed', mtime: '5.25', uid: '3000000', 'SCHILY.xattr.user.a': '\0\xff=\n' }),
    ),
    rawHeader({ name: 'first', mtime: 1 }),
    rawHeader({ name: 'second', mtime: 1 }),
  ])
  const [first, second] = (await readAll(tar)).map(record => record.entry)
  const xattrs = new Map([['user.a', Buffer.from('\0\xff=\n', 'latin1')]])
  assert.deepEqual(
    first,
    entry('renamed', { mtime: 5, mtimeNanoseconds: 250_000_000, uid: 3_000_000, xattrs }),
  )
  assert.deepEqual(second, entry('second', { mtime: 1 }))
})

test('a PAX size counts instead of the one in the header', async () => {
  const tar = Buffer.concat([
    extension('x', records({ size: '600' })),
    rawHeader({ name: 'a', size: 3 }),
    padded(Buffer.alloc(600, 1)),
    rawHeader({ name: 'b' }),
  ])
  const [a, b] = await readAll(tar)
  assert.equal(a?.body.length, 600)
  assert.equal(b?.entry.path, 'b')
})

test('a PAX record without a value leaves the header its say; an attribute without a value is one', async () => {
  const body = records({ path: '', mtime: '', uid: '', size: '', 'SCHILY.xattr.user.empty': '' })
  const [record] = await readAll(Buffer.concat([extension('x', body), rawHeader({ name: 'kept', mtime: 9 })]))
  assert.deepEqual(
    record?.entry,
    entry('kept', { mtime: 9, xattrs: new Map([['user.empty', Buffer.alloc(0)]]) }),
  )
})

test('of a PAX record named twice, the last counts', async () => {
  const body = records({ path: 'one' }) + records({ path: 'two' })
  assert.deepEqual(await pathsOf(Buffer.concat([extension('x', body), rawHeader({})])), ['two'])
})

test('a global PAX header is about all entries that follow, until another takes it back', async () => {
  const tar = Buffer.concat([
    rawHeader({ name: 'before', mtime: 1 }),
    extension('g', records({ comment: 'made by git', mtime: '77', gid: '5' })),
    rawHeader({ name: 'a', mtime: 1 }),
    extension('x', records({ mtime: '88' })),
    rawHeader({ name: 'b', mtime: 1 }),
    extension('g', records({ mtime: '' })),
    rawHeader({ name: 'c', mtime: 1 }),
  ])
  const seen = (await readAll(tar)).map(({ entry: { path, mtime, gid } }) => [path, mtime, gid])
  assert.deepEqual(seen, [
    ['before', 1, 0],
    ['a', 77, 5],
    ['b', 88, 5],
    ['c', 1, 5],
  ])
})

test('GNU long names and links end at their NUL and replace those of the header', async () => {
  const tar = Buffer.concat([
    extension('K', `${'t'.repeat(200)}\0`),
    extension('L', `${'n'.repeat(600)}/\0rest`),
    rawHeader({ type: '2', name: 'short' }),
    rawHeader({ name: 'next' }),
  ])
  const [long, next] = (await readAll(tar)).map(record => record.entry)
  assert.equal(long?.path, 'n'.repeat(600))
  assert.equal(long?.linkPath, 't'.repeat(200))
  assert.equal(next?.path, 'next')
})

test('links have no body, whatever their size says: the next header follows', async () => {
  const tar = Buffer.concat([
    rawHeader({ type: '1', name: 'hard', linkPath: byteStringOf('a'), size: 512 }),
    rawHeader({ name: 'next' }),
  ])
  assert.deepEqual(await pathsOf(tar), ['hard', 'next'])
})

test('TarParser passes bodies on as views and holds none of them', () => {
  const parser = new TarParser()
  const events = [...parser.push(rawHeader({ size: 3_000_000_000 }))]
  assert.equal(events.length, 1)
  const chunk = Buffer.alloc(1000)
  const [event] = parser.push(chunk)
  assert.ok(event?.kind === 'body')
  assert.equal(event.chunk.buffer, chunk.buffer)
  assert.throws(() => parser.finish(), {
    name: OciError.name,
    message: /2999999000 bytes of body are missing/,
  })
})
