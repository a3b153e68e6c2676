import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ByteString, byteStringOf } from '../../../../src/oci/byte-string.ts'
import type { TarEntry } from '../../../../src/oci/tar/entry.ts'
import { TarParser } from '../../../../src/oci/tar/reader.ts'
import { encodeTarEntry, type TarItem, writeTar } from '../../../../src/oci/tar/writer.ts'
import { collect, directory, entry, file, inChunks, pipeThrough, readAll, tarOf } from '../tar-bytes.ts'

/** Everything that is hard to say, each with the number of 512-byte blocks that its headers take. */
const entries: readonly [name: string, entry: TarEntry, blocks: number][] = [
  ['a plain file', entry('etc/passwd', { size: 5 }), 1],
  ['a file without any permission', entry('etc/shadow', { mode: 0 }), 1],
  ['all permission bits', entry('x', { mode: 0o7777 }), 1],
  ['a directory', entry('usr', { type: 'directory' }), 1],
  ['the root', entry('.', { type: 'directory' }), 1],
  ['a name of 100 bytes', entry('n'.repeat(100)), 1],
  ['a name of 101 bytes', entry('n'.repeat(101)), 3],
  ['a directory of 100 bytes, whose slash is one too many', entry('d'.repeat(100), { type: 'directory' }), 3],
  ['a path that splits into prefix and name', entry(`${'p'.repeat(155)}/${'n'.repeat(100)}`), 1],
  ['a directory that splits', entry(`${'p'.repeat(155)}/${'n'.repeat(99)}`, { type: 'directory' }), 1],
  ['a path that does not split', entry(`${'p'.repeat(156)}/${'n'.repeat(100)}`), 3],
  ['a long absolute path', entry(`/${'n'.repeat(100)}`), 3],
  ['a path of 5000 bytes', entry(`${'deep/'.repeat(1000)}x`), 2 + 10],
  ['a path in UTF-8', entry('Grüße/日本'), 3],
  ['a path that is not text', entry('x', { path: '\xff\xc3(\x80' as ByteString }), 3],
  ['a path with a line feed and an equals sign', entry('a\nb=c'), 1],
  ['a symlink', entry('l', { type: 'symlink', linkPath: byteStringOf('/etc/../x') }), 1],
  ['a symlink to 101 bytes', entry('l', { type: 'symlink', linkPath: byteStringOf('t'.repeat(101)) }), 3],
  ['a symlink to UTF-8', entry('l', { type: 'symlink', linkPath: byteStringOf('ü') }), 3],
  ['a hard link', entry('l', { type: 'link', linkPath: byteStringOf('a/b') }), 1],
  ['a device', entry('null', { type: 'character', deviceMajor: 1, deviceMinor: 3 }), 1],
  ['a device of large numbers', entry('d', { type: 'block', deviceMajor: 2 ** 31, deviceMinor: 1048575 }), 1],
  ['a FIFO', entry('f', { type: 'fifo' }), 1],
  ['the largest ids of a header', entry('i', { uid: 0o7777777, gid: 0o7777777 }), 1],
  ['larger ids', entry('i', { uid: 0o10000000, gid: 4294967294 }), 3],
  ['the largest size of a header', entry('s', { size: 0o77777777777 }), 1],
  ['a larger size', entry('s', { size: 2 ** 40 + 1 }), 3],
  ['the last second of a header', entry('t', { mtime: 0o77777777777 }), 1],
  ['a later time', entry('t', { mtime: 0o100000000000 }), 3],
  ['a time before 1970', entry('t', { mtime: -1 }), 3],
  ['nanoseconds', entry('t', { mtime: 1_700_000_000, mtimeNanoseconds: 120 }), 3],
  ['nanoseconds before 1970', entry('t', { mtime: -1, mtimeNanoseconds: 999_999_999 }), 3],
  [
    'binary attributes',
    entry('newuidmap', {
      xattrs: new Map([
        ['security.capability', Buffer.from('0100000280000000000000000000000000000000', 'hex')],
        ['user.empty', Buffer.alloc(0)],
        ['user.\xff', Buffer.from('=\n\0')],
      ]),
    }),
    3,
  ],
]

for (const [name, written, blocks] of entries) {
  test(`encodeTarEntry() keeps ${name}`, () => {
    const bytes = encodeTarEntry(written)
    assert.equal(bytes.length / 512, blocks)
    assert.deepEqual(
      entriesOf(bytes).map(event => event.entry),
      [written],
    )
  })
}

function entriesOf(bytes: Buffer) {
  return [...new TarParser().push(bytes)].filter(event => event.kind === 'entry')
}

test('the root directory is written as ./', async () => {
  const [record] = await readAll(await tarOf(directory('')))
  assert.equal(record?.entry.path, '.')
})

const refused: readonly [name: string, entry: TarEntry, problem: RegExp][] = [
  ['a negative uid', entry('a', { uid: -1 }), /its uid is -1/],
  ['a uid that is no number', entry('a', { uid: Number.NaN }), /its uid is NaN/],
  ['a broken size', entry('a', { size: 1.5 }), /its size is 1.5/],
  ['a mode with file type bits', entry('a', { mode: 0o100644 }), /its mode is 0100644/],
  ['a time that is no number', entry('a', { mtime: Number.POSITIVE_INFINITY }), /its mtime is Infinity/],
  ['a second of nanoseconds', entry('a', { mtimeNanoseconds: 1e9 }), /mtimeNanoseconds/],
  ['a directory with a body', entry('a', { type: 'directory', size: 1 }), /a directory has no body/],
  ['a NUL in the path', entry('a\0b'), /NUL/],
  ['a file without a name', entry(''), /no name for a file/],
  ['a file named like a directory', entry('a/'), /no name for a file/],
  ['a symlink to nowhere', entry('a', { type: 'symlink' }), /a symlink needs a target/],
  ['a file with a target', entry('a', { linkPath: byteStringOf('b') }), /a file has no target/],
  [
    'an absolute hard link',
    entry('a', { type: 'link', linkPath: byteStringOf('/b') }),
    /not an absolute one/,
  ],
  [
    'an attribute whose name holds =',
    entry('a', { xattrs: new Map([['user.a=b', Buffer.alloc(1)]]) }),
    /no PAX record/,
  ],
]
for (const [name, bad, problem] of refused) {
  test(`encodeTarEntry() refuses ${name}`, () => {
    assert.throws(() => encodeTarEntry(bad), { code: 'tar-invalid', message: problem })
  })
}

test('writeTar() fails unless a body is exactly as long as its entry says', async () => {
  const five = entry('five', { size: 5 })
  const bodies: readonly [TarItem['body'] | undefined, RegExp][] = [
    [undefined, /want 5 bytes of body, got 0/],
    [Buffer.alloc(4), /got 4/],
    [Buffer.alloc(6), /got more|got 6/],
    [inChunks(Buffer.alloc(4), 1), /got 4/],
    [inChunks(Buffer.alloc(6), 1), /got more/],
  ]
  for (const [body, message] of bodies) {
    const item = body === undefined ? { entry: five } : { entry: five, body }
    await assert.rejects(collect(writeTar([item])), { code: 'tar-invalid', message })
  }
})

test('writeTar() ends with two zero blocks, also for no entries', async () => {
  assert.deepEqual(await tarOf(), Buffer.alloc(1024))
})

test('writeTar() takes bodies in one piece or in many, from lists or as they come', async () => {
  const body = Buffer.from('0123456789'.repeat(30_000))
  const large = entry('large', { size: body.length })
  async function* items(): AsyncGenerator<TarItem> {
    yield file('small', 'x')
    yield { entry: large, body: inChunks(body, 999) }
  }
  assert.deepEqual(await collect(writeTar(items())), await tarOf(file('small', 'x'), { entry: large, body }))
})

test('writeTar() joins small entries into large chunks', async () => {
  const sizes: number[] = []
  const many = Array.from({ length: 2000 }, (_, index) => file(`f${index}`, 'abc'))
  for await (const chunk of writeTar(many)) sizes.push(chunk.length)
  assert.ok(sizes.length <= 9, `${sizes.length} chunks`)
})

test('writeTar() lets an error of a body through', async () => {
  async function* body() {
    yield Buffer.alloc(1)
    throw new Error('cannot read on')
  }
  await assert.rejects(
    collect(writeTar([{ entry: entry('a', { size: 2 }), body: body() }])),
    /cannot read on/,
  )
})

const oracle = `
import sys, tarfile, json, io
def show(m):
    return [m.name, m.type.decode(), m.mode, m.uid, m.gid, m.size, m.mtime, m.linkname, m.devmajor, m.devminor,
            {k: v for k, v in m.pax_headers.items() if k.startswith('SCHILY')}, m.uname, m.gname]
archive = tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read()), encoding='utf-8', errors='surrogateescape')
print(json.dumps([show(m) for m in archive]))
`

test("Python's tarfile reads what we write", async () => {
  const readable = entries.map(([, written]) => written).filter(written => written.size === 0)
  const tar = await tarOf(...readable.map(written => ({ entry: written })))
  const members = JSON.parse((await pipeThrough(['python3', '-c', oracle], tar)).toString()) as unknown[][]
  assert.equal(members.length, readable.length)
  for (const [index, written] of readable.entries()) {
    const [name, , mode, uid, gid, size, mtime, linkName, major, minor, , uname, gname] = members[index] ?? []
    const { mtimeNanoseconds = 0 } = written
    assert.equal(bytesOfPython(name), written.path)
    assert.deepEqual([mode, uid, gid, size], [written.mode, written.uid, written.gid, written.size])
    assert.ok(Math.abs(Number(mtime) - (written.mtime + mtimeNanoseconds / 1e9)) < 1e-6)
    assert.equal(bytesOfPython(linkName), written.linkPath ?? '')
    assert.deepEqual([major, minor], [written.deviceMajor ?? 0, written.deviceMinor ?? 0])
    assert.deepEqual([uname, gname], ['', ''])
  }
})

/** Python shows a byte that is not UTF-8 as a lone surrogate. */
function bytesOfPython(text: unknown): string {
  return [...String(text)]
    .map(character => {
      const code = character.codePointAt(0) ?? 0
      return code >= 0xdc80 && code <= 0xdcff ? String.fromCharCode(code - 0xdc00) : byteStringOf(character)
    })
    .join('')
}

test('GNU tar lists what we write without a warning', async () => {
  const tar = await tarOf(
    directory('a'),
    file(`a/${'n'.repeat(150)}`, 'text', { mtime: 1, mtimeNanoseconds: 500_000_000, mode: 0 }),
    { entry: entry('a/hard', { type: 'link', linkPath: byteStringOf(`a/${'n'.repeat(150)}`) }) },
    file('a/ü', 'x', { uid: 4_000_000_000 }),
  )
  const listing = await pipeThrough(
    ['tar', '--numeric-owner', '--full-time', '--quoting-style=literal', '-tvf', '-'],
    tar,
  )
  assert.match(listing.toString(), /^drwxr-xr-x 0\/0 /m)
  assert.match(listing.toString(), /^---------- 0\/0 +4 1970-01-01 00:00:01.5 a\/n{150}$/m)
  assert.match(listing.toString(), /^hrw-r--r-- 0\/0 +0 .* a\/hard link to a\/n{150}$/m)
  assert.match(listing.toString(), /4000000000\/0 /)
})

test('GNU tar finds the extended attributes that we write, at their whole length', async () => {
  const value = Buffer.from('0000000280ff3d0a00', 'hex')
  const tar = await tarOf(file('a', 'x', { xattrs: new Map([['security.capability', value]]) }))
  const listing = await pipeThrough(['tar', '--xattrs', '--xattrs-include=*', '-tvvf', '-'], tar)
  assert.match(listing.toString(), new RegExp(`x: *${value.length} security.capability`))
})

test('we read what GNU tar and Python write, in every format', async () => {
  const script = `
import sys, tarfile, io
out = io.BytesIO()
with tarfile.open(fileobj=out, mode='w', format=int(sys.argv[1]), encoding='utf-8') as archive:
    m = tarfile.TarInfo('d/' + 'n' * 180 + '/' + 'ü' * 30); m.size = 3; m.uid = 3000000; m.mtime = 1234567890; m.mode = 0o4755
    archive.addfile(m, io.BytesIO(b'abc'))
    m = tarfile.TarInfo('l'); m.type = tarfile.SYMTYPE; m.linkname = 't' * 150
    archive.addfile(m)
sys.stdout.buffer.write(out.getvalue())
`
  for (const format of ['1', '2']) {
    const tar = await pipeThrough(['python3', '-c', script, format], Buffer.alloc(0))
    const [first, second] = await readAll(tar)
    const path = `d/${'n'.repeat(180)}/${'ü'.repeat(30)}`
    assert.deepEqual(first?.entry, entry(path, { size: 3, uid: 3_000_000, mtime: 1234567890, mode: 0o4755 }))
    assert.equal(second?.entry.linkPath, 't'.repeat(150))
  }
})
