import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { createAddOp } from '../../../../src/builder/ops/add.ts'
import { createCopyOp } from '../../../../src/builder/ops/copy.ts'
import type { CopySpec } from '../../../../src/builder/ops/copy-spec.ts'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import type { TocEntry } from '../../../../src/oci/layer/toc.ts'
import { Bench, CREATED_AT, type EntryOf, tarOf } from './fixture.ts'

let bench: Bench
beforeEach(() => {
  bench = new Bench()
})
afterEach(() => bench.dispose())

type Entries = Readonly<Record<string, EntryOf>>

/** ADDs one file of these bytes. */
async function add(
  bytes: Uint8Array,
  base: Entries,
  destination: string,
  chown?: string,
): Promise<readonly TocEntry[]> {
  const tree = await bench.localContext({})
  writeFileSync(join(tree.directory, 'archive'), bytes)
  const op = createAddOp(
    {
      origin: { kind: 'context', tree },
      sources: [{ kind: 'path', path: 'archive' }],
      destination,
      workdir: '/',
      ...(chown !== undefined && { chown }),
    },
    bench.deps,
  )
  return bench.run(op, await bench.root(base))
}

const unpack = async (entries: Entries, base: Entries = {}, destination = '/t', chown?: string) =>
  add(await tarOf(entries), base, destination, chown)

const paths = (entries: readonly TocEntry[]) => entries.map(({ path }) => path)
const contentOf = (entry: TocEntry | undefined) =>
  [...bench.layers.tars.values()]
    .at(-1)
    ?.toString('latin1', entry?.offset, (entry?.offset ?? 0) + (entry?.size ?? 0))

const SAMPLE = { 'd/': { mode: 0o711 }, 'd/f': { content: 'hello', uid: 7, mode: 0o4755, mtime: 9 } }

describe('ADD --unpack', () => {
  it('copies an archive as it is when it is false, as COPY would', async () => {
    const tree = await bench.localContext({})
    writeFileSync(join(tree.directory, 'a.tar'), await tarOf(SAMPLE))
    const spec = {
      origin: { kind: 'context', tree },
      sources: [{ kind: 'path', path: 'a.tar' }],
      destination: '/t/',
      workdir: '/',
    } as const
    const added = createAddOp({ ...spec, unpack: 'none' }, bench.deps)
    assert.deepEqual(paths(await bench.run(added, await bench.root())), ['t', 't/a.tar'])
    const unpacked = createAddOp({ ...spec, unpack: 'all' }, bench.deps)
    assert.deepEqual(paths(await bench.run(unpacked, await bench.root())), ['t', 't/d', 't/d/f'])
    const root = await bench.root({})
    const keys = [added, unpacked, createCopyOp(spec, bench.deps)].map(op =>
      op.cacheKey([root], bench.context),
    )
    const [ofAdded, ofUnpacked, ofCopy] = (await Promise.all(keys)).map(key => key?.digest)
    assert.equal(ofAdded, ofCopy)
    assert.notEqual(ofUnpacked, ofCopy)
  })
})

describe('ADD of a URL', () => {
  const addUrl = async (
    url: string,
    destination: string,
    more: Partial<CopySpec> & { checksum?: Digest } = {},
  ) => {
    const { checksum, ...rest } = more
    return createAddOp(
      {
        origin: { kind: 'context', tree: await bench.localContext({}) },
        sources: [{ kind: 'url', url, ...(checksum && { checksum }) }],
        destination,
        workdir: '/',
        ...rest,
      },
      bench.deps,
    )
  }
  const run = async (...args: Parameters<typeof addUrl>) =>
    bench.run(await addUrl(...args), await bench.root({ 'there/': {} }))
  const URL_OF_FILE = 'https://example.test/a/b%20c.txt?x=/y'

  it('semantics 51: is a file of mode 0600 with the time and the name that the server gives', async () => {
    bench.web.set(URL_OF_FILE, { content: Buffer.from('hello'), mtime: 77 })
    const [directory, file] = await run(URL_OF_FILE, '/d/')
    assert.equal(directory?.path, 'd')
    assert.deepEqual([file?.path, file?.mode, file?.uid, file?.mtime], ['d/b c.txt', 0o600, 0, 77])
    assert.equal(contentOf(file), 'hello')
    assert.deepEqual(paths(await run(URL_OF_FILE, '/x')), ['x'])
    assert.deepEqual(paths(await run(URL_OF_FILE, '/there')), ['there', 'there/b c.txt'])
    const [changed] = await run(URL_OF_FILE, '/x', { chown: '3:4' })
    assert.deepEqual([changed?.uid, changed?.gid], [3, 4])
  })

  it('semantics 51: takes the time of other created files where the server gives none', async () => {
    const [file] = await run('http://example.test/f', '/x')
    assert.equal(file?.mtime, CREATED_AT)
  })

  it('semantics 51: refuses a URL without a name where one is needed', async () => {
    for (const url of [
      'https://example.test',
      'https://example.test/?f',
      'https://example.test/%2e%2e%2F',
      'https://',
    ])
      await assert.rejects(run(url, '/d/'), { code: 'dockerfile-invalid' }, url)
    assert.deepEqual(paths(await run('https://example.test/', '/x')), ['x'])
  })

  it('semantics 50: unpacks an archive with --unpack only', async () => {
    bench.web.set('https://example.test/a.tgz', { content: gzipSync(await tarOf(SAMPLE)) })
    assert.deepEqual(paths(await run('https://example.test/a.tgz', '/t/')), ['t', 't/a.tgz'])
    const unpacked = await run('https://example.test/a.tgz', '/t/', { unpack: 'all' })
    assert.deepEqual(paths(unpacked), ['t', 't/d', 't/d/f'])
    assert.equal(contentOf(unpacked.at(-1)), 'hello')
  })

  it('semantics 51: refuses what has another checksum', async () => {
    bench.web.set(URL_OF_FILE, { content: Buffer.from('hello') })
    assert.equal((await run(URL_OF_FILE, '/x', { checksum: digestOf('hello') })).length, 1)
    await assert.rejects(run(URL_OF_FILE, '/x', { checksum: digestOf('bye') }), { code: 'digest-mismatch' })
  })

  it('semantics 51: has a key of name, content and time; with a checksum, of that without a download', async () => {
    const keyOf = async (...args: Parameters<typeof addUrl>) =>
      (await (await addUrl(...args)).cacheKey([await bench.root({})], bench.context))?.digest
    const serve = (content: string, mtime?: number) =>
      bench.web.set(URL_OF_FILE, { content: Buffer.from(content), ...(mtime && { mtime }) })
    const keys = new Set<string | undefined>()
    for (const [content, mtime] of [['a'], ['b'], ['b', 5]] as const) {
      serve(content, mtime)
      keys.add(await keyOf(URL_OF_FILE, '/d/'))
    }
    keys.add(await keyOf(URL_OF_FILE, '/d/', { unpack: 'all' }))
    assert.equal(keys.size, 4)
    const checksum = digestOf('a')
    const before = await keyOf(URL_OF_FILE, '/d/', { checksum })
    serve('changed')
    assert.equal(await keyOf(URL_OF_FILE, '/d/', { checksum }), before)
  })
})

describe('ADD of an archive', () => {
  const compressors: readonly (readonly [string, (tar: Buffer) => Buffer])[] = [
    ['plain', tar => tar],
    ['gzip', tar => gzipSync(tar)],
    [
      'gzip of two members',
      tar => Buffer.concat([gzipSync(tar.subarray(0, 700)), gzipSync(tar.subarray(700))]),
    ],
    ['zstd', tar => zstdCompressSync(tar)],
    ['xz', tar => spawnSync('xz', ['-c'], { input: tar }).stdout],
    ['bzip2', tar => spawnSync('bzip2', ['-c'], { input: tar }).stdout],
  ]
  for (const [name, compress] of compressors) {
    it(`semantics 50: unpacks a ${name} tar, whatever its name`, async () => {
      const entries = await add(compress(await tarOf(SAMPLE)), {}, '/t')
      assert.deepEqual(paths(entries), ['t', 't/d', 't/d/f'])
      const file = entries[2]
      assert.deepEqual([file?.uid, file?.mode, file?.mtime], [7, 0o4755, 9])
      assert.equal(contentOf(file), 'hello')
    })
  }

  it('semantics 50: copies what is not a tar with an entry as a file', async () => {
    const others: readonly (readonly [string, Uint8Array])[] = [
      ['text', Buffer.from('hello')],
      ['an empty file', Buffer.alloc(0)],
      ['an empty archive', Buffer.alloc(1024)],
      ['gzip of text', gzipSync('hello')],
      ['a gzip that is cut off', gzipSync(await tarOf(SAMPLE)).subarray(0, 20)],
      ['the first bytes of gzip', Buffer.from([0x1f, 0x8b])],
      ['a broken header', Buffer.concat([Buffer.from('x'), (await tarOf(SAMPLE)).subarray(1)])],
    ]
    for (const [what, bytes] of others) {
      const entries = await add(bytes, {}, '/t')
      assert.deepEqual(
        entries.map(({ path, type, size }) => [path, type, size]),
        [['t', 'file', bytes.length]],
        what,
      )
    }
  })

  it("semantics 50: the archive's own root does not change the destination", async () => {
    const entries = await unpack({ './': { mode: 0o700, uid: 9 }, './f': {} }, { 't/': { mode: 0o750 } })
    assert.deepEqual(paths(entries), ['t', 't/f'])
    assert.equal(entries[0]?.mode, 0o750)
    const [made] = await unpack({ './': { mode: 0o700, uid: 9 }, './f': {} })
    assert.deepEqual([made?.mode, made?.uid], [0o755, 0])
  })

  it('semantics 50: --chown rewrites owners', async () => {
    const entries = await unpack(SAMPLE, {}, '/t', '5:6')
    assert.deepEqual(
      entries.map(({ uid, gid }) => [uid, gid]),
      [
        [5, 6],
        [5, 6],
        [5, 6],
      ],
    )
  })

  it('keeps links, devices, attributes; hard links become relative to the layer', async () => {
    const value = Buffer.from([1, 0, 255])
    const entries = await unpack({
      a: { content: 'x', xattrs: new Map([['security.capability', value]]) },
      b: { type: 'link', link: './a' },
      c: { link: '../../outside' },
      n: { type: 'character', deviceMajor: 1, deviceMinor: 3 },
      p: { type: 'fifo' },
    })
    assert.deepEqual(
      entries.map(({ path, type, linkPath }) => [path, type, linkPath]),
      [
        ['t', 'directory', undefined],
        ['t/a', 'file', undefined],
        ['t/b', 'link', 't/a'],
        ['t/c', 'symlink', '../../outside'],
        ['t/n', 'character', undefined],
        ['t/p', 'fifo', undefined],
      ],
    )
    assert.deepEqual(Buffer.from(entries[1]?.xattrs?.get('security.capability') ?? []), value)
  })

  it('keeps names inside the destination', async () => {
    const entries = await unpack({
      '../up': {},
      '/abs': {},
      'a/../../../b': {},
      '..': { type: 'directory', mode: 0o700 },
    })
    assert.deepEqual(paths(entries), ['t', 't/abs', 't/b', 't/up'])
  })

  it('follows symlinks on the way inside the destination, those of the archive and those of the image', async () => {
    const base = { 't/': {}, 't/old': { link: '/etc' }, 'etc/': {} }
    const entries = await unpack({ new: { link: '../../..' }, 'new/x': {}, 'old/y': {} }, base)
    assert.deepEqual(paths(entries), ['t', 't/etc', 't/etc/y', 't/new', 't/x'])
  })

  it('replaces a symlink at the end of a name instead of writing through it', async () => {
    const base = { 't/f': { link: '/etc/passwd' }, 'etc/passwd': { content: 'x' }, 't/d': { link: '/etc' } }
    const entries = await unpack({ f: { content: 'y' }, 'd/': {} }, base)
    assert.deepEqual(
      entries.map(({ path, type }) => [path, type]),
      [
        ['t', 'directory'],
        ['t/d', 'directory'],
        ['t/f', 'file'],
      ],
    )
  })

  it('replaces directories by files, and hides what was below them', async () => {
    const base = { 't/d/': {}, 't/d/old': { content: 'x' } }
    assert.deepEqual(paths(await unpack({ 'd/made': {}, d: { content: 'f' } }, base)), ['t', 't/d'])
    const tree = await bench.localContext({})
    writeFileSync(join(tree.directory, 'a'), await tarOf({ d: { content: 'f' }, 'd/': {}, 'd/new': {} }))
    const op = createAddOp(
      {
        origin: { kind: 'context', tree },
        sources: [{ kind: 'path', path: 'a' }],
        destination: '/t',
        workdir: '/',
      },
      bench.deps,
    )
    const toc = await bench.runToc(op, await bench.root(base))
    assert.deepEqual([paths(toc.entries), toc.opaque], [['t', 't/d', 't/d/new'], ['t/d']])
  })

  it('copies a file of the image that a hard link of the archive names', async () => {
    const base = { 't/old': { content: 'from the image', uid: 3 } }
    const entries = await unpack(
      { one: { type: 'link', link: 'old' }, two: { type: 'link', link: './old' } },
      base,
    )
    assert.deepEqual(
      entries.map(({ path, type, linkPath }) => [path, type, linkPath]),
      [
        ['t', 'directory', undefined],
        ['t/one', 'file', undefined],
        ['t/two', 'link', 't/one'],
      ],
    )
    assert.deepEqual([contentOf(entries[1]), entries[1]?.uid], ['from the image', 3])
  })

  it('keeps the content of a hard link whose first name is replaced later', async () => {
    const tree = await bench.localContext({})
    const first = await tarOf({ a: { content: 'old' }, b: { type: 'link', link: 'a' } })
    const second = await tarOf({ a: { content: 'new' }, c: { type: 'link', link: 'a' } })
    writeFileSync(join(tree.directory, '1'), first)
    writeFileSync(join(tree.directory, '2'), second)
    const sources = ['1', '2'].map(path => ({ kind: 'path', path }) as const)
    const spec = { origin: { kind: 'context', tree }, sources, destination: '/', workdir: '/' } as const
    const entries = await bench.run(createAddOp(spec, bench.deps), await bench.root({}))
    assert.deepEqual(
      entries.map(({ path, type, linkPath }) => [path, type, linkPath]),
      [
        ['a', 'file', undefined],
        ['b', 'file', undefined],
        ['c', 'link', 'a'],
      ],
    )
    assert.deepEqual([contentOf(entries[0]), contentOf(entries[1])], ['new', 'old'])
  })

  const refused: readonly (readonly [string, Entries, RegExp])[] = [
    ['a hard link to nothing', { f: {}, l: { type: 'link', link: 'none' } }, /hard link to "none"/],
    ['a hard link to a directory', { 'd/': {}, l: { type: 'link', link: 'd' } }, /hard link to "d"/],
    [
      'a hard link out of the destination',
      { f: {}, l: { type: 'link', link: '../../etc/passwd' } },
      /hard link to/,
    ],
    ['a loop of symlinks', { a: { link: 'b' }, b: { link: 'a' }, 'a/x': {} }, /loop/],
  ]
  for (const [what, entries, message] of refused) {
    it(`refuses ${what}`, async () => {
      const base = { 'etc/passwd': { content: 'x' } }
      await assert.rejects(unpack(entries, base), { code: 'archive-invalid', message })
    })
  }

  it('refuses names that mean deletions, and files used as directories', async () => {
    await assert.rejects(unpack({ f: {}, '.wh.f': {} }), { code: 'copy-conflict', message: /\.wh\.f/ })
    await assert.rejects(unpack({ f: {}, 'f/g': {} }), {
      code: 'copy-conflict',
      message: /"\/t\/f" as a directory/,
    })
  })

  it('refuses an archive that breaks off, or is damaged behind its first entry', async () => {
    const tar = await tarOf({ a: { content: 'x'.repeat(5000) }, b: { content: 'y' } })
    const damaged = Buffer.from(tar)
    damaged.fill('Z', 512 + 5120, 512 + 5120 + 100)
    const large = await tarOf({ a: {}, b: { content: 'x'.repeat(3_000_000) } })
    for (const bytes of [tar.subarray(0, 2000), damaged, gzipSync(large).subarray(0, 1500)])
      await assert.rejects(add(bytes, {}, '/t'), { code: 'archive-invalid', message: /"archive"/ })
  })

  it('copies directories and unpacks nothing inside them', async () => {
    const tree = await bench.localContext({ 'd/': '' })
    writeFileSync(join(tree.directory, 'd/a.tar'), await tarOf(SAMPLE))
    const spec = {
      origin: { kind: 'context', tree },
      sources: [{ kind: 'path', path: 'd' }],
      destination: '/',
      workdir: '/',
    } as const
    assert.deepEqual(paths(await bench.run(createAddOp(spec, bench.deps), await bench.root({}))), ['a.tar'])
  })
})
