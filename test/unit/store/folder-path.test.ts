import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { makeFolderPath } from '../../../src/store/folder-path.ts'

const root = mkdtempSync(join(tmpdir(), 'slipway-folders-'))
after(() => rmSync(root, { recursive: true, force: true }))

describe('makeFolderPath()', () => {
  it('makes what is missing, with the mode, and tells the topmost folder of it', () => {
    assert.equal(makeFolderPath(join(root, 'a/b/c'), 0o700), join(root, 'a'))
    assert.equal(statSync(join(root, 'a/b/c')).mode & 0o777, 0o700)
    assert.equal(makeFolderPath(join(root, 'a/d')), join(root, 'a/d'))
    assert.equal(makeFolderPath(join(root, 'a/b')), undefined)
    assert.equal(makeFolderPath('/'), undefined)
  })

  it('takes a symlink to a folder for one', () => {
    symlinkSync(root, join(root, 'link'))
    assert.equal(makeFolderPath(join(root, 'link')), undefined)
    assert.equal(makeFolderPath(join(root, 'link/new')), join(root, 'link/new'))
  })

  it('fails where a file is in the way, or a symlink to nothing', () => {
    writeFileSync(join(root, 'file'), '')
    symlinkSync('nothing', join(root, 'broken'))
    assert.throws(() => makeFolderPath(join(root, 'file')), { code: 'EEXIST' })
    assert.throws(() => makeFolderPath(join(root, 'file/below')), { code: 'ENOTDIR' })
    assert.throws(() => makeFolderPath(join(root, 'broken')), { code: 'EEXIST' })
    assert.throws(() => makeFolderPath(join(root, 'broken/below')), { code: 'EEXIST' })
  })

  it('ends where a folder that is there takes no new ones', () => {
    assert.throws(() => makeFolderPath('/proc/slipway'), { code: 'ENOENT' })
    assert.throws(() => makeFolderPath('/proc/slipway/store'), { code: 'ENOENT' })
  })
})
