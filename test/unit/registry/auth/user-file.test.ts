import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { openUserFile } from '../../../../src/registry/auth/user-file.ts'

const HASH = `$2b$10$${'a'.repeat(53)}`

function prepare(test: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-user-file-'))
  test.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'users')
  const warnings: string[] = []
  const clock = { ms: 0 }
  return {
    path,
    warnings,
    clock,
    open: () =>
      openUserFile({ path, monotonicMs: () => clock.ms, warn: problem => warnings.push(problem.message) }),
    write(text: string) {
      writeFileSync(`${path}.new`, text)
      renameSync(`${path}.new`, path)
    },
  }
}

describe('openUserFile()', () => {
  it('sees changes within a second', async test => {
    const { open, write, clock } = prepare(test)
    write(`anna:${HASH}\n`)
    const file = await open()
    write(`anna:${HASH}\nben:${HASH}\n`)
    assert.deepEqual([...((await file.current())?.keys() ?? [])], ['anna'])
    clock.ms += 1000
    assert.deepEqual([...((await file.current())?.keys() ?? [])], ['anna', 'ben'])
  })

  it('keeps the users that it knows when the file is broken, and says so once', async test => {
    const { open, write, clock, warnings } = prepare(test)
    write(`anna:${HASH}\n`)
    const file = await open()
    write('anna:$apr1$x$y\n')
    for (let second = 0; second < 3; second++) {
      clock.ms += 1000
      assert.equal((await file.current())?.get('anna'), HASH)
    }
    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', /hashed with MD5/)
    write(`ben:${HASH}\n`)
    clock.ms += 1000
    assert.equal((await file.current())?.has('anna'), false)
  })

  it('leaves nobody, and does not open the door, when the file goes away', async test => {
    const { open, write, clock, path } = prepare(test)
    assert.equal(await (await open()).current(), undefined)
    write(`anna:${HASH}\n`)
    const file = await open()
    rmSync(path)
    clock.ms += 1000
    assert.equal((await file.current())?.size, 0)
  })

  it('refuses to begin with a file that is broken or none', async test => {
    const { open, write, path } = prepare(test)
    write('anna\n')
    await assert.rejects(open(), { code: 'users-invalid' })
    rmSync(path)
    mkdirSync(path)
    await assert.rejects(open(), { code: 'users-invalid', message: /it is not a readable file/ })
  })
})
