import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { changeHtpasswd, parseHtpasswd, userNameProblem } from '../../../../src/registry/auth/htpasswd.ts'
import { RegistryError } from '../../../../src/registry/errors.ts'

const HASH = `$2y$05$${'a'.repeat(53)}`

describe('parseHtpasswd()', () => {
  it('reads names and hashes, comments and empty lines left out', () => {
    const users = parseHtpasswd(`# team\n\nanna:${HASH}\r\n  ben:${HASH.replace('2y', '2b')}\n`, '/u')
    assert.deepEqual([...users.keys()], ['anna', 'ben'])
    assert.equal(users.get('anna'), HASH)
  })

  const rows: readonly (readonly [what: string, hash: string])[] = [
    ['MD5', '$apr1$abc$abcdefghijklmnopqrstuv'],
    ['SHA-1', '{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g='],
    ['SHA-256', '$5$abc$def'],
    ['SHA-512', '$6$abc$def'],
    ['the crypt of old Unix', 'rqXexS6ZhobKA'],
    ['something unknown', 'secret in plain text'],
    ['a damaged or faulty form of bcrypt', `$2x$05$${'a'.repeat(53)}`],
  ]
  for (const [what, hash] of rows)
    it(`refuses ${what}, with the line and what to do, without the hash`, () => {
      assert.throws(
        () => parseHtpasswd(`anna:${HASH}\nben:${hash}\n`, '/etc/users'),
        (error: unknown) => {
          assert.ok(error instanceof RegistryError)
          assert.equal(error.code, 'users-invalid')
          assert.match(
            error.message,
            /^Cannot read users \/etc\/users:2: the password of "ben" is hashed with /,
          )
          assert.ok(error.message.includes(what))
          assert.match(error.hint ?? '', /slipway user add ben/)
          assert.ok(!`${error.message}${error.hint}`.includes(hash))
          return true
        },
      )
    })

  for (const cost of ['03', '16', '31'])
    it(`refuses a cost of ${cost}`, () => {
      assert.throws(() => parseHtpasswd(`a:${HASH.replace('$05$', `$${cost}$`)}`, '/u'), /cost of/)
    })

  it('refuses lines that are none, and a name that is there twice', () => {
    assert.throws(() => parseHtpasswd('anna', '/u'), /:1: the line is not NAME:HASH/)
    assert.throws(() => parseHtpasswd(`a:${HASH}\na:${HASH}`, '/u'), /:2: "a" is there twice/)
  })
})

describe('changeHtpasswd()', () => {
  it('adds, replaces and removes a line, and leaves the others', () => {
    const text = '# ours\nanna:1\n\nben:2'
    assert.equal(changeHtpasswd('', 'anna', '1'), 'anna:1\n')
    assert.equal(changeHtpasswd(text, 'carl', '3'), '# ours\nanna:1\n\nben:2\ncarl:3\n')
    assert.equal(changeHtpasswd(text, 'anna', '9'), '# ours\nanna:9\n\nben:2\n')
    assert.equal(changeHtpasswd(text, 'anna', undefined), '# ours\n\nben:2\n')
    assert.equal(changeHtpasswd(text, 'ann', undefined), text)
  })
})

describe('userNameProblem()', () => {
  for (const name of ['', 'anonymous', '@a', '*', 'robot$ci', 'a:b', 'a\nb', 'x'.repeat(129)])
    it(`refuses ${JSON.stringify(name.slice(0, 12))}`, () => assert.ok(userNameProblem(name)))
  for (const name of ['anna', 'anna@example.com', 'Ünal', 'a b'])
    it(`takes ${name}`, () => assert.equal(userNameProblem(name), undefined))
})
