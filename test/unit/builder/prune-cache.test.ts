import assert from 'node:assert/strict'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pruneCache } from '../../../src/builder/prune-cache.ts'
import { loadLinux } from '../../../src/linux/linux.ts'

const NOW = 1_700_000_000_000
const HOUR = 3_600_000
const { signal } = new AbortController()

function storeRoot(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'slipway-test-'))
  t.after(() => rmSync(root, { recursive: true }))
  return root
}

function put(root: string, path: string, ageMs: number): void {
  mkdirSync(join(root, path, '..'), { recursive: true })
  writeFileSync(join(root, path), 'x'.repeat(5000))
  utimesSync(join(root, path), (NOW - ageMs) / 1000, (NOW - ageMs) / 1000)
}

test('pruneCache() removes what was learnt of contexts, and temporary files of killed processes', async t => {
  const root = storeRoot(t)
  put(root, 'context-digests/a.json', 0)
  put(root, 'context-digests/a.json.1234', HOUR)
  put(root, 'tmp/spool-1', HOUR)
  put(root, 'tmp/spool-2', 1000)
  put(root, 'blobs/kept', HOUR)
  const options = { storeRoot: root, madeBefore: Number.POSITIVE_INFINITY, now: NOW, signal }
  const { snapshots, bytes } = await pruneCache(options)
  assert.equal(snapshots, 0)
  assert.ok(bytes >= 15_000, `${bytes} bytes`)
  assert.deepEqual(readdirSync(join(root, 'context-digests')), [])
  assert.deepEqual(readdirSync(join(root, 'tmp')), ['spool-2'])
  assert.deepEqual(readdirSync(join(root, 'blobs')), ['kept'])
})

test('pruneCache() keeps what is younger than asked for, and has nothing to do in a new store', async t => {
  const root = storeRoot(t)
  const options = { storeRoot: root, madeBefore: NOW - HOUR, now: NOW, signal }
  assert.deepEqual(await pruneCache(options), { snapshots: 0, cacheMounts: 0, bytes: 0 })
  put(root, 'context-digests/young.json', HOUR / 2)
  put(root, 'context-digests/old.json', HOUR * 2)
  await pruneCache(options)
  assert.deepEqual(readdirSync(join(root, 'context-digests')), ['young.json'])
})

test('pruneCache() empties cache mounts that no step uses, the older of two if asked', async t => {
  const root = storeRoot(t)
  const mount = (key: string) => `cache-mounts/${key.repeat(64)}/0`
  for (const [key, age] of [
    ['a', HOUR * 2],
    ['b', HOUR / 2],
    ['c', HOUR * 2],
  ] as const) {
    put(root, `${mount(key)}/fs/d/file`, 0)
    put(root, `${mount(key)}/lock`, age)
  }
  const used = openSync(join(root, mount('c'), 'lock'), 'r')
  t.after(() => closeSync(used))
  assert.ok((await loadLinux()).tryLock(used, 'shared'))
  const options = { storeRoot: root, now: NOW, signal }
  const { cacheMounts, bytes } = await pruneCache({ ...options, madeBefore: NOW - HOUR })
  assert.equal(cacheMounts, 1)
  assert.ok(bytes >= 5000, `${bytes} bytes`)
  const left = () => ['a', 'b', 'c'].filter(key => existsSync(join(root, mount(key), 'fs/d/file')))
  assert.deepEqual(left(), ['b', 'c'])
  await pruneCache({ ...options, madeBefore: Number.POSITIVE_INFINITY })
  assert.deepEqual(left(), ['c'])
})
