import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { holdDirectory } from '../../../../src/builder/snapshot/held-directory.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'slipway-held-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

test('a held directory stays itself when a symlink takes its place', {
  skip: !existsSync('/proc/self/fd'),
}, t => {
  const root = folder(t)
  const victim = folder(t)
  mkdirSync(join(root, 'd'))
  using held = holdDirectory(Buffer.from(join(root, 'd')))
  renameSync(join(root, 'd'), join(root, 'moved'))
  symlinkSync(victim, join(root, 'd'))
  writeFileSync(held.at(Buffer.from('file')), '')
  assert.deepEqual(readdirSync(held.at()), ['file'])
  assert.deepEqual(readdirSync(join(root, 'moved')), ['file'])
  assert.deepEqual(readdirSync(victim), [])
})

test('what is a symlink by now is not held', t => {
  const root = folder(t)
  symlinkSync('/', join(root, 'd'))
  assert.throws(() => holdDirectory(Buffer.from(join(root, 'd'))), { code: /^(ELOOP|ENOTDIR)$/ })
})
