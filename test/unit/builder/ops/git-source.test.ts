import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { parseExcludes } from '../../../../src/builder/context/ignore.ts'
import { parseGitReference } from '../../../../src/builder/fetch/git-reference.ts'
import { createAddOp } from '../../../../src/builder/ops/add.ts'
import type { CopySpec } from '../../../../src/builder/ops/copy-spec.ts'
import { Bench } from './fixture.ts'

const REMOTE = 'https://host/a.git'
const ID = 'a'.repeat(40)
const SPAN = { source: { name: 'Dockerfile', text: '' }, startLine: 1, endLine: 1 }

let bench: Bench
beforeEach(() => {
  bench = new Bench()
})
afterEach(() => bench.dispose())

async function addOf(spec: Partial<CopySpec> = {}, wanted = '', id = ID) {
  const tree = await bench.localContext({ 'a.txt': 'a', 'd/f': { mode: 0o755, content: 'f' }, 'd/x': 'x' })
  bench.repositories.set(REMOTE, { commit: { id }, tree })
  const reference = parseGitReference(REMOTE + wanted)
  assert.ok(reference)
  const full: CopySpec = {
    origin: { kind: 'context', tree: await bench.localContext({}) },
    sources: [{ kind: 'git', text: REMOTE + wanted, reference }],
    destination: '/x',
    workdir: '/',
    unpack: 'local',
    ...spec,
  }
  return createAddOp(full, bench.deps)
}

async function keyOf(...args: Parameters<typeof addOf>): Promise<string> {
  const key = await (await addOf(...args)).cacheKey([await bench.root({})], bench.context)
  assert.ok(key)
  return key.digest
}

describe('ADD of a Git repository', () => {
  it('semantics 52: puts its files into the destination, whether that ends with a slash or not', async () => {
    for (const destination of ['/x', '/x/']) {
      const entries = await bench.run(await addOf({ destination }), await bench.root({}))
      assert.deepEqual(
        entries.map(({ path }) => path),
        ['x', 'x/a.txt', 'x/d', 'x/d/f', 'x/d/x'],
      )
    }
  })

  it('dresses them, and leaves out what is excluded', async () => {
    const exclude = parseExcludes(['d/x'], SPAN)
    const entries = await bench.run(await addOf({ exclude, chown: '3:4' }), await bench.root({}))
    assert.deepEqual(
      entries.map(({ path, uid, gid }) => `${path} ${uid}:${gid}`),
      ['x 3:4', 'x/a.txt 3:4', 'x/d 3:4', 'x/d/f 3:4'],
    )
  })

  it('has the commit in its key, and what is wanted of it, but not by which name it was found', async () => {
    assert.equal(await keyOf({}, '#main'), await keyOf({}, '#v1'))
    const keys = [
      await keyOf(),
      await keyOf({}, '', 'b'.repeat(40)),
      await keyOf({}, '#:d'),
      await keyOf({}, '?submodules=0'),
      await keyOf({}, '?keep-git-dir'),
    ]
    assert.equal(new Set(keys).size, keys.length)
  })
})
