import assert from 'node:assert/strict'
import { fstatSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { OpenDirectories } from '../../../../src/builder/snapshot/open-directories.ts'
import { isErrno } from '../../../../src/oci/errors.ts'

test('a path that is open is not opened again, until all are forgotten, which closes them', t => {
  const { directories, opened } = directoriesIn(folderFor(t))
  const first = directories.get('a')
  assert.equal(directories.get('a'), first)
  assert.deepEqual(opened, ['a'])
  directories.forgetAll()
  assert.ok(isClosed(first))
  directories.get('a')
  assert.deepEqual(opened, ['a', 'a'])
  directories.forgetAll()
})

test('a descriptor that was given to it is that of its path, and is closed with the others', t => {
  const folder = folderFor(t)
  const { directories, opened } = directoriesIn(folder)
  const given = openSync(folder, 'r')
  directories.keep('given', given)
  assert.equal(directories.get('given'), given)
  assert.deepEqual(opened, [])
  directories.forgetAll()
  assert.ok(isClosed(given))
})

test('however many paths are asked for, few stay open: those that were used last', t => {
  const { directories, opened } = directoriesIn(folderFor(t))
  const used = directories.get('used')
  directories.get('unused')
  for (let index = 0; index < 100; index++) {
    directories.get(`${index}`)
    assert.equal(directories.get('used'), used)
  }
  assert.equal(opened.filter(path => path === 'used').length, 1)
  directories.get('unused')
  assert.equal(opened.at(-1), 'unused')
  directories.forgetAll()
})

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-directories-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

function directoriesIn(folder: string): { directories: OpenDirectories; opened: string[] } {
  const opened: string[] = []
  const directories = new OpenDirectories(path => {
    opened.push(path)
    mkdirSync(join(folder, path), { recursive: true })
    return openSync(join(folder, path), 'r')
  })
  return { directories, opened }
}

/** Of a number that nothing was given since. */
function isClosed(descriptor: number): boolean {
  try {
    fstatSync(descriptor)
    return false
  } catch (error) {
    if (isErrno(error, 'EBADF')) return true
    throw error
  }
}
