import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { parseIgnoreFile } from '../../../../src/builder/context/ignore.ts'
import { type LocalContext, openLocalContext } from '../../../../src/builder/context/local-context.ts'
import type { StatCache } from '../../../../src/builder/context/stat-cache.ts'
import { byteStringFrom, byteStringOf } from '../../../../src/oci/byte-string.ts'
import { digestOf } from '../../../../src/oci/digest.ts'

const NO_CACHE: StatCache = { get: () => undefined, put: () => undefined, save: async () => undefined }

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'slipway-context-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const at = (path: string) => join(directory, path)
const path = byteStringOf

function open(ignore?: string): Promise<LocalContext> {
  const rules = ignore === undefined ? {} : { ignore: parseIgnoreFile(ignore, '.dockerignore') }
  return openLocalContext({ directory, fileDigests: NO_CACHE, ...rules })
}

async function bytesOf(context: LocalContext, name: string): Promise<Buffer> {
  const content = await context.open(path(name))
  if (content instanceof Uint8Array) return content
  const chunks: Buffer[] = []
  for await (const chunk of content) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const CHANGED = { code: 'context-invalid', message: /changed while/ }

describe('openLocalContext()', () => {
  it('takes the whole machine for a context', async () => {
    writeFileSync(at('f'), 'hello')
    const context = await openLocalContext({ directory: '/', fileDigests: NO_CACHE })
    assert.equal((await bytesOf(context, at('f').slice(1))).toString(), 'hello')
    assert.equal((await context.stat(path('')))?.type, 'directory')
    assert.ok((await context.list(path(''))).includes(path('proc')))
  })

  it('tells type, mode, time and size, and makes root the owner', async () => {
    writeFileSync(at('f'), 'hello', { mode: 0o640 })
    utimesSync(at('f'), 100.75, 100.75)
    mkdirSync(at('d'), { mode: 0o711 })
    symlinkSync('/target', at('l'))
    const context = await open()
    assert.deepEqual(await context.stat(path('f')), {
      type: 'file',
      mode: 0o640,
      uid: 0,
      gid: 0,
      size: 5,
      mtime: 100,
    })
    assert.deepEqual((await context.stat(path('d')))?.mode, 0o711)
    const link = await context.stat(path('l'))
    assert.deepEqual([link?.type, link?.linkPath, link?.size], ['symlink', '/target', 0])
    assert.deepEqual(await context.list(path('')), ['d', 'f', 'l'])
    assert.equal(await context.stat(path('none')), undefined)
    assert.equal(await context.stat(path('f/below')), undefined)
  })

  it('reads and hashes small and large files', async () => {
    const large = Buffer.alloc(3 * 1024 * 1024 + 17, 'abcdefg')
    writeFileSync(at('large'), large)
    writeFileSync(at('small'), 'x')
    writeFileSync(at('empty'), '')
    const context = await open()
    for (const [name, content] of [
      ['large', large],
      ['small', Buffer.from('x')],
      ['empty', Buffer.alloc(0)],
    ] as const) {
      assert.ok((await bytesOf(context, name)).equals(content), name)
      assert.equal(await context.digest(path(name)), digestOf(content), name)
    }
  })

  it('rounds times before the epoch down', async () => {
    writeFileSync(at('f'), '')
    utimesSync(at('f'), new Date(-1500), new Date(-1500))
    assert.equal((await (await open()).stat(path('f')))?.mtime, -2)
  })

  it('keeps names that are not UTF-8', async () => {
    const name = Buffer.from([0x61, 0xff, 0x62])
    writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), name]), 'odd')
    const context = await open()
    assert.deepEqual(await context.list(path('')), [byteStringFrom(name)])
    assert.equal(await context.digest(byteStringFrom(name)), digestOf('odd'))
  })

  it('tells names of one file by their identity', async () => {
    writeFileSync(at('a'), '1')
    writeFileSync(at('c'), '1')
    linkSync(at('a'), at('b'))
    const context = await open()
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map(name => context.stat(path(name))))
    assert.ok(a?.identity)
    assert.equal(a?.identity, b?.identity)
    assert.equal(c?.identity, undefined)
  })

  it('semantics 53: shows FIFOs, not sockets', async () => {
    execFileSync('mkfifo', [at('fifo')])
    const server = createServer()
    await new Promise<void>(resolve => server.listen(at('socket'), resolve))
    try {
      const context = await open()
      assert.deepEqual(await context.list(path('')), ['fifo'])
      assert.equal((await context.stat(path('fifo')))?.type, 'fifo')
      assert.equal(await context.stat(path('socket')), undefined)
    } finally {
      server.close()
    }
  })

  it('semantics 43: passes on extended attributes but those of this machine', async () => {
    writeFileSync(at('f'), '')
    const xattrs = ['user.a', 'security.capability', 'security.selinux', 'com.apple.provenance']
    const context = await openLocalContext({
      directory,
      fileDigests: NO_CACHE,
      loadXattrReader: async () => () => new Map(xattrs.map(name => [name, Buffer.from([0, 255])])),
    })
    const node = await context.stat(path('f'))
    assert.deepEqual([...(node?.xattrs?.keys() ?? [])], ['user.a', 'security.capability'])
  })

  it('loads no reader of attributes where all are remembered', async () => {
    writeFileSync(at('f'), '')
    const context = await openLocalContext({
      directory,
      fileDigests: { ...NO_CACHE, get: () => ({ xattrs: new Map([['user.a', Buffer.from('1')]]) }) },
      loadXattrReader: () => assert.fail('loaded'),
    })
    assert.equal((await context.stat(path('f')))?.xattrs?.size, 1)
  })

  it('does not look behind a symlink', async () => {
    mkdirSync(at('real'))
    writeFileSync(at('real/f'), '')
    symlinkSync('real', at('link'))
    symlinkSync('/etc', at('etc'))
    const context = await open()
    assert.equal(await context.stat(path('link/f')), undefined)
    assert.equal(await context.stat(path('etc/passwd')), undefined)
    assert.deepEqual(await context.list(path('etc')), [])
    await assert.rejects(context.open(path('etc/passwd')), { code: 'context-invalid' })
  })

  it('refuses a directory that was swapped for a symlink after the first look', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'slipway-outside-'))
    try {
      mkdirSync(at('d'))
      writeFileSync(at('d/f'), 'inside')
      const context = await open()
      await context.stat(path('d/f'))
      // The very same file, reached from outside: only its path gives it away.
      renameSync(at('d/f'), join(outside, 'f'))
      rmSync(at('d'), { recursive: true })
      symlinkSync(outside, at('d'))
      await assert.rejects(context.open(path('d/f')), CHANGED)
    } finally {
      rmSync(outside, { recursive: true })
    }
  })

  const changes: readonly (readonly [string, () => void])[] = [
    ['grows', () => appendFileSync(at('f'), 'more')],
    ['is written over with the same size', () => writeFileSync(at('f'), 'olleh')],
    ['vanishes', () => unlinkSync(at('f'))],
    [
      'becomes a symlink',
      () => {
        unlinkSync(at('f'))
        symlinkSync('/etc/passwd', at('f'))
      },
    ],
    [
      'becomes a FIFO',
      () => {
        unlinkSync(at('f'))
        execFileSync('mkfifo', [at('f')])
      },
    ],
    [
      'becomes a directory',
      () => {
        unlinkSync(at('f'))
        mkdirSync(at('f'))
      },
    ],
    [
      'is replaced by an equal one',
      () => {
        writeFileSync(at('g'), 'hello')
        renameSync(at('g'), at('f'))
      },
    ],
  ]
  for (const [what, change] of changes) {
    it(`refuses a file that ${what} after the first look`, async () => {
      writeFileSync(at('f'), 'hello')
      utimesSync(at('f'), 1, 1)
      const context = await open()
      await context.stat(path('f'))
      change()
      await assert.rejects(context.open(path('f')), CHANGED)
      await assert.rejects(async () => context.digest(path('f')), CHANGED)
    })
  }

  it('refuses a large file that changes while it is read', async () => {
    writeFileSync(at('f'), Buffer.alloc(3 * 1024 * 1024))
    const context = await open()
    const content = await context.open(path('f'))
    assert.ok(!(content instanceof Uint8Array))
    const chunks = content[Symbol.asyncIterator]()
    await chunks.next()
    utimesSync(at('f'), 5, 5)
    await assert.rejects(async () => {
      for (let next = await chunks.next(); !next.done; ) next = await chunks.next()
    }, CHANGED)
  })

  it('refuses what is not a directory', async () => {
    writeFileSync(at('f'), '')
    const of = (name: string) => openLocalContext({ directory: at(name), fileDigests: NO_CACHE })
    await assert.rejects(of('none'), { code: 'context-invalid', message: /none.*no such/ })
    await assert.rejects(of('f'), { code: 'context-invalid', message: /not a directory/ })
  })

  it('asks the cache before it reads, and tells it what it read', async () => {
    writeFileSync(at('f'), 'hello')
    const told: string[] = []
    const known = digestOf('something else')
    const cache: StatCache = {
      ...NO_CACHE,
      get: name => (name === 'known' ? { digest: known } : undefined),
      put: (name, stamp, facts) => told.push(`${name} ${stamp.size} ${facts.digest}`),
    }
    writeFileSync(at('known'), 'x')
    const context = await openLocalContext({ directory, fileDigests: cache })
    assert.equal(await context.digest(path('known')), known)
    await context.digest(path('f'))
    assert.deepEqual(told, [`f 5 ${digestOf('hello')}`])
  })
})

describe('the ignore rules of a context', () => {
  beforeEach(() => {
    for (const name of ['a', 'dir/keep', 'dir/drop', 'dir/sub/keep', 'other/drop', '.git/config']) {
      mkdirSync(join(at(name), '..'), { recursive: true })
      writeFileSync(at(name), name)
    }
  })

  it('hide files and all below ignored directories', async () => {
    const context = await open('.git\ndir/drop\n')
    assert.deepEqual(await context.list(path('')), ['a', 'dir', 'other'])
    assert.deepEqual(await context.list(path('dir')), ['keep', 'sub'])
    assert.equal(await context.stat(path('.git/config')), undefined)
    assert.equal(context.isIgnored(path('.git/config')), true)
    assert.equal(context.isIgnored(path('a')), false)
  })

  it('semantics 57: show an ignored directory only as the way to what ! brings back', async () => {
    const context = await open('**\n!**/keep\n')
    assert.deepEqual(await context.list(path('')), ['dir'])
    assert.deepEqual(await context.list(path('dir')), ['keep', 'sub'])
    assert.equal((await context.stat(path('dir')))?.mode, statSync(at('dir')).mode & 0o7777)
    assert.equal(await context.stat(path('other')), undefined)
  })
})
