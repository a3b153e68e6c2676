import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hashSync } from 'bcryptjs'
import { createPasswordVerifier } from '../../../../src/registry/auth/bcrypt.ts'

describe('createPasswordVerifier()', () => {
  it('tells each who asks at the same time the right thing', async () => {
    const { verify } = createPasswordVerifier()
    const hashes = ['a', 'b', 'c'].map(password => hashSync(password, 4))
    const answers = await Promise.all(
      ['a', 'b', 'c'].flatMap(password => hashes.map(hash => verify(password, hash))),
    )
    assert.deepEqual(answers, [true, false, false, false, true, false, false, false, true])
  })

  it('takes the hashes of Apache', async () => {
    const { verify } = createPasswordVerifier()
    assert.equal(await verify('x', hashSync('x', 4).replace(/^\$2b/, '$2y')), true)
  })

  it('refuses when too many wait, and serves again when they are through', async () => {
    const { verify } = createPasswordVerifier()
    const hash = hashSync('x', 4)
    const answers = await Promise.allSettled(Array.from({ length: 100 }, () => verify('x', hash)))
    assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 40)
    const refused = answers.find(answer => answer.status === 'rejected')
    assert.equal(refused?.reason.code, 'rate-limited')
    assert.equal(refused?.reason.headers['Retry-After'], '5')
    assert.equal(await verify('x', hash), true)
  })
})
