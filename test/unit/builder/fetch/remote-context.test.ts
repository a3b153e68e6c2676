import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { BuildError } from '../../../../src/builder/errors.ts'
import type { GitReference } from '../../../../src/builder/fetch/git-reference.ts'
import { openRemoteContext } from '../../../../src/builder/fetch/remote-context.ts'
import type { FileTree } from '../../../../src/builder/tree/file-tree.ts'
import { walkBelow } from '../../../../src/builder/tree/walk.ts'
import type { ByteString } from '../../../../src/oci/byte-string.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { tarOf } from '../ops/fixture.ts'

const { signal } = new AbortController()
const TEXT = Buffer.from('FROM scratch\n')

describe('openRemoteContext()', () => {
  let temporaryDirectory: string
  before(() => {
    temporaryDirectory = mkdtempSync(join(tmpdir(), 'slipway-remote-context-'))
  })
  after(() => rmSync(temporaryDirectory, { recursive: true, force: true }))

  const opened: GitReference[] = []
  const open = (location: string, content: Buffer, keepGitDir = false) =>
    openRemoteContext(location, {
      signal,
      temporaryDirectory,
      keepGitDir,
      sources: {
        downloads: {
          get: async () => ({
            digest: digestOf(content),
            size: content.length,
            mtime: 77,
            open: async () => content,
          }),
          [Symbol.asyncDispose]: () => Promise.resolve(),
        },
        git: {
          resolve: () => Promise.reject(new Error('not needed')),
          async open(reference) {
            opened.push(reference)
            return EMPTY
          },
          [Symbol.asyncDispose]: () => Promise.resolve(),
        },
      },
    })

  async function listed(tree: FileTree): Promise<readonly string[]> {
    const found: string[] = []
    for await (const { path, node } of walkBelow(tree, '' as ByteString, signal))
      found.push(`${path} ${node.mode.toString(8)} ${node.uid} ${node.mtime}`)
    return found
  }

  it('knows archives by their content, and unpacks them without their ignore file', async () => {
    const tar = await tarOf({ Dockerfile: { uid: 7 }, '.dockerignore': { content: '*' } })
    for (const content of [tar, gzipSync(tar), zstdCompressSync(tar)]) {
      await using context = await open('http://host/Dockerfile', content)
      assert.deepEqual(await listed(context.tree), ['.dockerignore 644 0 500', 'Dockerfile 644 7 500'])
      assert.equal(context.file, undefined)
    }
  })

  it('takes any other file for the whole context, as BuildKit names it', async () => {
    await using context = await open('http://host/x.tar.gz', TEXT)
    assert.equal(context.file, 'context')
    assert.deepEqual(await listed(context.tree), ['context 600 0 77'])
    assert.equal(String(await context.tree.open('context' as ByteString)), String(TEXT))
    assert.equal(await context.tree.digest('context' as ByteString), digestOf(TEXT))
    assert.deepEqual(await context.tree.list('context' as ByteString), [])
  })

  it('names the URL of an archive that is damaged, without what is secret in it', async () => {
    const damaged = gzipSync(await tarOf({ f: { content: 'x'.repeat(5000) } })).subarray(0, 100)
    await assert.rejects(open('http://u:secret@host/a?token=secret', damaged), (error: unknown) => {
      assert.ok(error instanceof BuildError)
      assert.equal(error.code, 'context-invalid')
      assert.match(error.message, /^Cannot read build context http:\/\/host\/a: /)
      return true
    })
  })

  it('opens repositories, with .git where they or the build say so', async () => {
    await open('github.com/a/b#v1', TEXT)
    await open('https://host/a.git?keep-git-dir=1', TEXT)
    await open('git@host:a', TEXT, true)
    assert.deepEqual(
      opened.map(({ remote, keepGitDir }) => `${remote} ${keepGitDir}`),
      ['https://github.com/a/b.git false', 'https://host/a.git true', 'git@host:a true'],
    )
  })
})

const EMPTY: FileTree = {
  stat: async () => undefined,
  list: async () => [],
  digest: async () => digestOf(''),
  prepare: async () => undefined,
  open: async () => Buffer.alloc(0),
}
