import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { createWorkdirOp } from '../../../../src/builder/ops/workdir.ts'
import type { Result } from '../../../../src/builder/solve/vertex.ts'
import { Bench, CREATED_AT, type EntryOf } from './fixture.ts'

const SCRATCH: Result = { chainID: undefined, layers: [] }

let bench: Bench
beforeEach(() => {
  bench = new Bench()
})
afterEach(() => bench.dispose())

const workdir = async (base: Readonly<Record<string, EntryOf>>, path: string, user = '') =>
  bench.run(createWorkdirOp({ path, user }, bench.deps), await bench.root(base))

describe('createWorkdirOp()', () => {
  it('semantics 76: creates every missing level, 0755, owned by the current user', async () => {
    const base = { 'etc/passwd': { content: 'app:x:12:34::/:\n' } }
    const entries = await workdir(base, '/a/b', 'app')
    assert.deepEqual(
      entries.map(({ path, type, mode, uid, gid, mtime }) => [path, type, mode, uid, gid, mtime]),
      [
        ['a', 'directory', 0o755, 12, 34, CREATED_AT],
        ['a/b', 'directory', 0o755, 12, 34, CREATED_AT],
      ],
    )
  })

  it('semantics 76: leaves an existing directory alone, and still makes a layer', async () => {
    assert.deepEqual(await workdir({ 'a/': { mode: 0o700, uid: 5 } }, '/a'), [])
    assert.deepEqual(await workdir({}, '/'), [])
  })

  it('follows symlinks inside the root, and cleans the path', async () => {
    const base = { 'real/': {}, l: { link: '../../real' } }
    assert.deepEqual(
      (await workdir(base, '/l//x/../y/')).map(({ path }) => path),
      ['real', 'real/y'],
    )
  })

  it('refuses a file in the way', async () => {
    const message = /"\/a" as a directory/
    await assert.rejects(workdir({ a: { content: 'x' } }, '/a'), { code: 'copy-conflict', message })
    await assert.rejects(workdir({ a: { content: 'x' } }, '/a/b'), { code: 'copy-conflict', message })
  })

  it('has a key of parent, clean path and user', async () => {
    const key = async (root: Result, path: string, user: string) =>
      (await createWorkdirOp({ path, user }, bench.deps).cacheKey([root], bench.context))?.digest
    const root = await bench.root({ x: {} })
    assert.equal(await key(SCRATCH, '/a', ''), await key(SCRATCH, '/b/../a/', ''))
    const keys = [
      key(SCRATCH, '/a', ''),
      key(SCRATCH, '/b', ''),
      key(SCRATCH, '/a', 'u'),
      key(root, '/a', ''),
    ]
    assert.equal(new Set(await Promise.all(keys)).size, keys.length)
  })
})
