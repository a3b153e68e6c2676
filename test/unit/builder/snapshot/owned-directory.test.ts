import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createOwnedDirectory, removeAbandoned } from '../../../../src/builder/snapshot/owned-directory.ts'
import { loadLinux } from '../../../../src/linux/linux.ts'

const linux = await loadLinux()
const nothing = async () => undefined

function temporaryDirectory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'slipway-test-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

function abandon(parent: string): string {
  mkdirSync(join(parent, 'tmp-0123456789ab/deep'), { recursive: true })
  writeFileSync(join(parent, 'tmp-0123456789ab.lock'), '')
  return join(parent, 'tmp-0123456789ab')
}

test('a disposed directory is gone with its content and its lock', async t => {
  const parent = temporaryDirectory(t)
  const owned = createOwnedDirectory(linux, parent)
  writeFileSync(join(owned.path, 'file'), '')
  await owned[Symbol.asyncDispose]()
  await owned[Symbol.asyncDispose]()
  assert.deepEqual(readdirSync(parent), [])
})

test('publish() moves the whole directory, and disposing then does nothing', async t => {
  const parent = temporaryDirectory(t)
  {
    await using owned = createOwnedDirectory(linux, parent)
    writeFileSync(join(owned.path, 'file'), '')
    await owned.publish(join(parent, 'target'))
  }
  assert.deepEqual(readdirSync(parent), ['target'])
  assert.deepEqual(readdirSync(join(parent, 'target')), ['file'])
})

test('publish() over what is there already keeps that', async t => {
  const parent = temporaryDirectory(t)
  mkdirSync(join(parent, 'target'))
  writeFileSync(join(parent, 'target/first'), '')
  await using owned = createOwnedDirectory(linux, parent)
  writeFileSync(join(owned.path, 'second'), '')
  await owned.publish(join(parent, 'target'))
  assert.deepEqual(readdirSync(join(parent, 'target')), ['first'])
  assert.equal(existsSync(owned.path), false)
})

test('removeAbandoned() removes what nobody owns, after what the caller undoes', async t => {
  const parent = temporaryDirectory(t)
  const path = abandon(parent)
  const undone: string[] = []
  await removeAbandoned(linux, parent, async directory => {
    assert.ok(existsSync(directory))
    undone.push(directory)
  })
  assert.deepEqual(undone, [path])
  assert.deepEqual(readdirSync(parent), [])
})

test('removeAbandoned() leaves what is owned, and files that are not its own', async t => {
  const parent = temporaryDirectory(t)
  await using owned = createOwnedDirectory(linux, parent)
  writeFileSync(join(parent, 'other.lock'), '')
  await removeAbandoned(linux, parent, nothing)
  assert.ok(existsSync(owned.path))
  assert.ok(existsSync(join(parent, 'other.lock')))
})

test('removeAbandoned() keeps a directory whose mounts cannot be undone', async t => {
  const parent = temporaryDirectory(t)
  const path = abandon(parent)
  const busy = async () => {
    throw new Error('busy')
  }
  await assert.rejects(removeAbandoned(linux, parent, busy), { message: 'busy' })
  assert.ok(existsSync(join(path, 'deep')))
  await removeAbandoned(linux, parent, nothing)
  assert.equal(existsSync(path), false)
})

test('removeAbandoned() where there is no such directory is success', async t => {
  await removeAbandoned(linux, join(temporaryDirectory(t), 'nothing'), nothing)
})
