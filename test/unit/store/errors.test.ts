import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { StoreError, storeErrorFrom } from '../../../src/store/errors.ts'
import { isProcessAlive, ownProcessIdentity } from '../../../src/store/process-identity.ts'

describe('storeErrorFrom()', () => {
  const named = (code: string) =>
    Object.assign(new Error(`${code}: said the kernel`), { code, syscall: 'write' })
  const codes = [
    ['ENOSPC', 'store-full'],
    ['EDQUOT', 'store-full'],
    ['EACCES', 'store-denied'],
    ['EROFS', 'store-denied'],
    ['EIO', 'store-failed'],
  ] as const
  for (const [errno, code] of codes)
    it(`takes ${errno} for ${code}`, () => {
      const cause = named(errno)
      const error = storeErrorFrom(cause, 'Cannot write /some/path')
      assert.ok(error instanceof StoreError)
      assert.equal(error.code, code)
      assert.match(error.message, /^Cannot write \/some\/path: /)
      assert.equal(error.cause, cause)
    })

  it('leaves our own errors, mistakes of ours, and what is no error as they are', () => {
    const own = new StoreError('content-missing', 'x')
    for (const thing of [own, new TypeError('a bug'), 'text', undefined])
      assert.equal(storeErrorFrom(thing, 'Cannot'), thing)
    const database = new DatabaseSync(':memory:')
    try {
      database.exec('SELEKT')
    } catch (error) {
      assert.equal(storeErrorFrom(error, 'Cannot'), error)
    }
    database.close()
  })
})

describe('isProcessAlive()', () => {
  it('knows this process from one that had its number before, and from one before the last boot', () => {
    const own = ownProcessIdentity()
    const [boot, namespace, pid, start] = own.split('/')
    assert.equal(isProcessAlive(own), true)
    assert.equal(isProcessAlive([boot, namespace, pid, Number(start) - 1].join('/')), false)
    assert.equal(isProcessAlive(['another boot', namespace, pid, start].join('/')), false)
    assert.equal(isProcessAlive([boot, namespace, 2 ** 30, start].join('/')), false)
  })

  it('takes a process that it cannot see for alive', () => {
    const [boot] = ownProcessIdentity().split('/')
    assert.equal(isProcessAlive([boot, 'pid:[1]', '1', '1'].join('/')), true)
  })
})
