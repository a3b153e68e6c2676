import assert from 'node:assert/strict'
import { test } from 'node:test'
import { byteStringOf } from '../../src/oci/byte-string.ts'
import { OciError } from '../../src/oci/errors.ts'
import { readChangeset } from '../../src/oci/layer/changeset.ts'
import { TocRecorder } from '../../src/oci/layer/toc-recorder.ts'
import { mergeTocs } from '../../src/oci/layer/tree.ts'
import { type Limits, limitKey } from '../../src/oci/limits.ts'
import { BLOCK_BYTES } from '../../src/oci/tar/header.ts'
import { type TarLimits, TarParser } from '../../src/oci/tar/reader.ts'
import {
  directory,
  END_OF_ARCHIVE,
  extension,
  file,
  inChunks,
  link,
  padded,
  rawHeader,
  readAll,
  records,
  symlink,
  tarOf,
  withChecksum,
} from '../unit/oci/tar-bytes.ts'

const long = 'n'.repeat(40_000)

/** Archives that must be refused by name, not misread. */
const refused: readonly [name: string, bytes: Buffer, problem: RegExp][] = [
  ['a wrong checksum', withChecksum(rawHeader({})).fill('x', 0, 1), /checksum/],
  [
    'a checksum that is no number',
    rawHeader({}).fill('?', 148, 156),
    /the checksum .* is not an octal number/,
  ],
  ['bytes that are no tar', Buffer.alloc(1024, 'no tar '), /is not an octal number/],
  ['a negative size', rawHeader({}, b => b.fill(0xff, 124, 136)), /the size -1 is negative/],
  [
    'a size beyond 53 bits',
    rawHeader({}, b => b.fill(0x7f, 125, 136).fill(0x80, 124, 125)),
    /beyond 53 bits/,
  ],
  ['a size in a base that nobody knows', rawHeader({}, b => b.fill(0xbf, 124, 136)), /beyond 53 bits/],
  ['a size that is no number', rawHeader({}, b => b.write('NaN', 124)), /the size .* is not an octal number/],
  ['a size with a sign', rawHeader({}, b => b.write('-1', 124)), /the size .* is not an octal number/],
  ['a negative uid', rawHeader({}, b => b.fill(0xff, 108, 116)), /the uid -1 is not within/],
  ['the uid that means "leave it"', ext({ uid: '4294967295' }), /the uid 4294967295 is not within/],
  ['a single zero block', Buffer.concat([Buffer.alloc(512), rawHeader({})]), /a single zero block/],
  ['an old GNU sparse file', rawHeader({ type: 'S' }), /sparse files are not supported/],
  [
    'a PAX sparse file',
    ext({ 'GNU.sparse.major': '1', 'GNU.sparse.realsize': '99' }),
    /sparse files are not supported/,
  ],
  ['a volume of several', rawHeader({ type: 'M' }), /type "M" are not supported/],
  ['a GNU directory dump', rawHeader({ type: 'D' }), /type "D" are not supported/],
  ['a type that nobody knows', rawHeader({ type: 'Z' }), /type "Z" are not supported/],
  ['a symlink to nowhere', rawHeader({ type: '2' }), /has no target/],
  ['a PAX path with a NUL', ext({ path: 'safe\0/../../etc' }), /a path holds a NUL/],
  ['a PAX link target with a NUL', ext({ linkpath: 'a\0b' }, { type: '2' }), /a link target holds a NUL/],
  ['a PAX key with a NUL', ext({ 'a\0b': 'c' }), /a NUL in its key/],
  ['a PAX attribute without a name', ext({ 'SCHILY.xattr.': 'x' }), /has no name/],
  ['a PAX size that is negative', ext({ size: '-5' }), /the size "-5" is not a number/],
  ['a PAX size with an exponent', ext({ size: '1e3' }), /the size "1e3" is not a number/],
  ['a PAX size in hexadecimal', ext({ size: '0x10' }), /is not a number/],
  ['a PAX size of many digits', ext({ size: '9'.repeat(17) }), /is not a number/],
  ['a PAX size beyond 53 bits', ext({ size: '9007199254740993' }), /is not a number/],
  ['a PAX time that is none', ext({ mtime: 'NaN' }), /the mtime "NaN" is not a time/],
  ['a PAX time of two points', ext({ mtime: '1.2.3' }), /is not a time/],
  ['a PAX time beyond 53 bits', ext({ mtime: '99999999999999999' }), /is not a time/],
  ['a PAX record longer than its header', raw('99 path=x\n'), /a wrong length/],
  ['a PAX record without a length', raw('path=x\n'), /a wrong length/],
  ['a PAX record of length 0', raw('0 path=x\n'), /a wrong length/],
  ['a PAX record of negative length', raw('-9 path=x\n'), /a wrong length/],
  ['a PAX record of endless length', raw(`${'9'.repeat(400)} path=x\n`), /a wrong length/],
  ['a PAX record whose length ends in the key', raw('5 path=x\n'), /KEY=VALUE/],
  ['a PAX record whose length ends in its digits', raw('1 path=x\n'), /a wrong length/],
  ['a PAX record without a line feed', raw('9 path=x\0'), /KEY=VALUE/],
  ['a PAX record without a key', raw('5 =x\n'), /KEY=VALUE/],
  ['a PAX record without =', raw('7 path\n'), /KEY=VALUE/],
  ['a PAX header full of zeros', raw('\0'.repeat(100)), /a wrong length/],
  [
    'two PAX headers for one entry',
    Buffer.concat([pax({ path: 'a' }), ext({ mtime: '1' })]),
    /two extended headers/,
  ],
  [
    'two long names for one entry',
    Buffer.concat([extension('L', 'a'), extension('L', 'b'), rawHeader({})]),
    /two extended/,
  ],
  [
    'a long name against a PAX path',
    Buffer.concat([extension('L', 'shown'), ext({ path: 'real' })]),
    /both PAX and GNU/,
  ],
  [
    'a PAX target against a long one',
    Buffer.concat([pax({ linkpath: 'a' }), extension('K', 'b')]),
    /both PAX and GNU/,
  ],
  [
    'a global header before its entry',
    Buffer.concat([pax({ path: 'a' }), extension('g', '')]),
    /a global header stands between/,
  ],
  ['a global path', extension('g', records({ path: 'all/the/same' })), /a global header sets "path"/],
  ['a global size', extension('g', records({ size: '0' })), /a global header sets "size"/],
  ['a global attribute', extension('g', records({ 'SCHILY.xattr.user.a': 'b' })), /a global header sets/],
  ['a global sparse map', extension('g', records({ 'GNU.sparse.map': '0,1' })), /a global header sets/],
  [
    'an extended header before the end',
    Buffer.concat([pax({ path: 'a' }), END_OF_ARCHIVE]),
    /ends after an extended/,
  ],
  ['an extended header at the very end', pax({ path: 'a' }), /cut off/],
  [
    'a negative extended header',
    rawHeader({ type: 'L' }, b => b.fill(0xff, 124, 136)),
    /an extended header of -1 bytes/,
  ],
]

function raw(body: string): Buffer {
  return Buffer.concat([extension('x', body), rawHeader({})])
}

function pax(values: Readonly<Record<string, string>>): Buffer {
  return extension('x', records(values))
}

function ext(values: Readonly<Record<string, string>>, header: Parameters<typeof rawHeader>[0] = {}): Buffer {
  return Buffer.concat([pax(values), rawHeader(header)])
}

for (const [name, bytes, message] of refused) {
  test(`a tar with ${name} is tar-invalid`, async () => {
    await assert.rejects(readAll(bytes), { code: 'tar-invalid', message })
    await assert.rejects(readAll(bytes, {}, 100), { code: 'tar-invalid', message })
  })
}

const names = Buffer.concat([
  extension('L', 'n'.repeat(200)),
  rawHeader({}),
  extension('L', 'n'.repeat(200)),
  rawHeader({}),
])
const attribute = ext({ 'SCHILY.xattr.user.a': 'x'.repeat(100) })

/** What a limit refuses, and that a larger one takes. */
const limited: readonly [limits: TarLimits, bytes: () => Buffer | Promise<Buffer>, enough: TarLimits][] = [
  [{ archiveEntries: 2 }, () => tarOf(file('a', 'x'), file('b'), file('c')), { archiveEntries: 3 }],
  [{ archiveBytes: 2559 }, () => tarOf(file('a', 'x'.repeat(513))), { archiveBytes: 2560 }],
  [{ paxTotalBytes: 300 }, () => names, { paxTotalBytes: 400 }],
  [{ paxBytes: 100 }, () => names, { paxBytes: 200 }],
  [{ pathBytes: 100 }, () => names, { pathBytes: 200 }],
  [{ pathDepth: 3 }, () => tarOf(file('a/b/c/d')), { pathDepth: 4 }],
  [{ pathDepth: 3 }, () => tarOf(symlink('a', '../../../b')), { pathDepth: 4 }],
  [{ xattrBytes: 105 }, () => attribute, { xattrBytes: 106 }],
]
for (const [limits, bytes, enough] of limited) {
  const [[name, value] = ['', 0]] = Object.entries(limits)
  const key = limitKey(name as keyof Limits)
  test(`the limit ${key} bounds a tar, and says how to raise it`, async () => {
    await assert.rejects(readAll(await bytes(), limits), (error: unknown) => {
      assert.ok(error instanceof OciError)
      assert.equal(error.code, 'limit-exceeded')
      assert.ok(error.message.endsWith(`(limit ${key} = ${value})`), error.message)
      assert.match(error.hint ?? '', new RegExp(`raise ${key} under .limits.`))
      return true
    })
    await readAll(await bytes(), enough)
  })
}

/** More than the limits that hold unless told otherwise. */
const beyondDefaults: readonly [name: string, bytes: Buffer][] = [
  ['an extended header of 1 GiB', rawHeader({ type: 'x', size: 2 ** 30 })],
  ['a name of 40,000 bytes', Buffer.concat([extension('L', long), rawHeader({})])],
  ['a PAX path of 40,000 bytes', ext({ path: long })],
  ['a link target of 40,000 bytes', Buffer.concat([extension('K', long), rawHeader({ type: '2' })])],
  ['a path of 3,000 names', ext({ path: 'd/'.repeat(3000) })],
  ['attributes of 300 KB', ext({ 'SCHILY.xattr.user.a': 'x'.repeat(300_000) })],
]
for (const [name, bytes] of beyondDefaults)
  test(`a tar with ${name} is beyond the limits`, async () => {
    await assert.rejects(readAll(bytes), { code: 'limit-exceeded', message: /^.{1,200}$/ })
    await assert.rejects(readAll(bytes, {}, 100), { code: 'limit-exceeded' })
  })

test('bytes after the end blocks count against the total', async () => {
  async function* source() {
    yield END_OF_ARCHIVE
    for (;;) yield Buffer.alloc(1 << 16)
  }
  const changes = readChangeset(source(), { archiveBytes: 10 << 20 })
  await assert.rejects(changes.next(), { code: 'limit-exceeded', message: /archive-bytes/ })
})

test('global headers without end hold no memory and end with the total', () => {
  const parser = new TarParser({ archiveBytes: 20 << 20 })
  const many = Buffer.concat(
    Array.from({ length: 100 }, (_, index) => extension('g', records({ [`comment.${index}`]: 'x' }))),
  )
  assert.throws(
    () => {
      for (;;) for (const _event of parser.push(many));
    },
    { code: 'limit-exceeded', message: /archive-bytes/ },
  )
})

test('an interpretation that differs between readers is refused or read as unpackers do', async () => {
  // The header says 512 bytes, PAX says none: a reader that goes by the header skips the entry "hidden".
  const smuggled = Buffer.concat([
    pax({ size: '0' }),
    rawHeader({ name: 'carrier', size: 512 }),
    rawHeader({ name: 'hidden' }),
    END_OF_ARCHIVE,
  ])
  assert.deepEqual(
    (await readAll(smuggled)).map(record => record.entry.path),
    ['carrier', 'hidden'],
  )
})

const attacks: readonly [name: string, item: ReturnType<typeof file>][] = [
  ['a path above the root', file('../../etc/passwd', 'x')],
  ['an absolute path above the root', file('/../etc/passwd', 'x')],
  ['a path that climbs from inside', file('a/../../etc/passwd', 'x')],
  ['a hard link to above the root', link('passwd', '../../etc/passwd')],
  ['a whiteout above the root', file('../.wh.etc')],
  ['a whiteout of the directory itself', file('dir/.wh.')],
  ['a whiteout of "." (CVE-2014-9357 family)', file('dir/.wh..')],
  ['a whiteout of ".." (CVE-2014-9357 family)', file('dir/.wh...')],
  ['a root that is a symlink', symlink('.', '/etc')],
  ['a root that is a file', file('./.', 'x')],
]
for (const [name, item] of attacks) {
  test(`a layer with ${name} is layer-invalid`, async () => {
    const tar = await tarOf(item)
    assert.throws(() => new TocRecorder().update(tar), { code: 'layer-invalid' })
    await assert.rejects(readChangeset(inChunks(tar)).next(), { code: 'layer-invalid' })
  })
}

test('many entries behind long chains of symlinks come to an end', () => {
  const deep = Array.from({ length: 40 }, (_, index) => {
    const target = `${'./'.repeat(15_000)}l${index + 1}`
    return { ...symlink(`l${index}`, 'x').entry, linkPath: byteStringOf(target) }
  })
  const behind = Array.from({ length: 1000 }, (_, index) => file(`l1/f${index}`).entry)
  const entries = [...deep, directory('l40').entry, ...behind]
  assert.throws(() => mergeTocs([{ entries, whiteouts: [], opaque: [] }]), {
    code: 'layer-invalid',
    message: /too long/,
  })
})

test('a tree of more directories than any honest one is refused before it fills the memory', () => {
  const entries = Array.from({ length: 170 }, (_, index) => file(`${index}${'/d'.repeat(15_000)}/f`).entry)
  assert.throws(() => mergeTocs([{ entries, whiteouts: [], opaque: [] }]), { code: 'layer-invalid' })
})

/** A small generator, so that a failure can be repeated. */
function createRandom(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

test('thousands of damaged archives are read or refused, none hangs or fails otherwise', async () => {
  const good = await tarOf(
    directory('dir'),
    file('dir/small', 'hello'),
    file(`dir/${'ü'.repeat(80)}`, Buffer.alloc(1500, 1), {
      xattrs: new Map([['user.a', Buffer.from([0, 255])]]),
    }),
    link('hard', 'dir/small'),
    symlink('soft', 't'.repeat(150)),
    file('dir/.wh.gone'),
    file('last', 'x', { mtime: -1, uid: 2 ** 31 }),
  )
  const headers = Array.from({ length: good.length / BLOCK_BYTES }, (_, index) => index * BLOCK_BYTES).filter(
    start => good.toString('latin1', start + 257, start + 262) === 'ustar',
  )
  const random = createRandom(20_260_401)
  let readable = 0
  for (let round = 0; round < 4000; round++) {
    const bad = damage(good, headers, random)
    try {
      const recorder = new TocRecorder()
      for (let at = 0; at < bad.length; at += 700) recorder.update(bad.subarray(at, at + 700))
      mergeTocs([recorder.finish()])
      readable++
    } catch (error) {
      if (!(error instanceof OciError)) throw new Error(`round ${round} failed`, { cause: error })
    }
  }
  assert.ok(readable > 400 && readable < 3600, `${readable} of 4000 were readable`)
})

function damage(good: Buffer, headers: readonly number[], random: (below: number) => number): Buffer {
  const bad = Buffer.from(good)
  const start = headers[random(headers.length)] ?? 0
  for (let changes = 1 + random(3); changes > 0; changes--)
    bad.writeUInt8(
      random(256),
      start + [0, 100, 108, 124, 125, 135, 136, 156, 157, 257, 345, 512, 520][random(13)]!,
    )
  // Mostly with a right checksum, so that the damage gets past it.
  if (random(8) > 0) withChecksum(bad.subarray(start, start + BLOCK_BYTES))
  const kind = random(6)
  if (kind === 0) return bad.subarray(0, random(bad.length))
  if (kind === 1) return Buffer.concat([bad.subarray(0, start), bad.subarray(start + BLOCK_BYTES)])
  if (kind === 2)
    return Buffer.concat([bad.subarray(0, start), padded(Buffer.from('junk')), bad.subarray(start)])
  return bad
}
