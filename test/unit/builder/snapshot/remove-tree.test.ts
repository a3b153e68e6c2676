import assert from 'node:assert/strict'
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { removeTree } from '../../../../src/builder/snapshot/remove-tree.ts'
import { AT_FDCWD, loadLinux } from '../../../../src/linux/linux.ts'

function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'slipway-test-'))
}

test('removeTree() removes files and directories, and what a symlink points at stays', async () => {
  const outside = temporaryDirectory()
  writeFileSync(join(outside, 'kept'), '')
  const root = temporaryDirectory()
  mkdirSync(join(root, 'a/b/c'), { recursive: true })
  writeFileSync(join(root, 'a/b/file'), 'x')
  writeFileSync(Buffer.concat([Buffer.from(`${root}/a/`), Buffer.from([0xff, 0x0a])]), 'odd name')
  symlinkSync(outside, join(root, 'a/link'))
  await removeTree(root)
  assert.equal(existsSync(root), false)
  assert.equal(existsSync(join(outside, 'kept')), true)
  rmSync(outside, { recursive: true })
})

test('removeTree() of a symlink removes the symlink', async () => {
  const outside = temporaryDirectory()
  const link = `${outside}-link`
  symlinkSync(outside, link)
  await removeTree(link)
  assert.equal(existsSync(outside), true)
  rmSync(outside, { recursive: true })
})

test('removeTree() of nothing is success', async () => {
  await removeTree(join(tmpdir(), 'slipway-test-nothing'))
})

test('removeTree() removes a tree deeper than the longest path', async () => {
  const linux = await loadLinux()
  const root = temporaryDirectory()
  const name = 'd'.repeat(100)
  let directory = linux.openat(AT_FDCWD, root, constants.O_DIRECTORY)
  for (let depth = 0; depth < 100; depth++) {
    linux.mkdirat(directory, name, 0o755)
    const next = linux.openat(directory, name, constants.O_DIRECTORY)
    closeSync(directory)
    directory = next
  }
  closeSync(directory)
  await removeTree(root)
  assert.equal(existsSync(root), false)
})
