import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import { type Claims, signToken, verifyToken } from '../../../../src/registry/auth/signed-token.ts'

const key = Buffer.alloc(32, 7)
const claims: Claims = { use: 'access', sub: 'user:anna', fingerprint: 'f', iat: 1000, exp: 1300, access: [] }
const token = signToken(claims, key)

describe('verifyToken()', () => {
  it('gives back what was signed', () => {
    assert.deepEqual(verifyToken(token, key, 1_100_000), claims)
  })

  it('ends with the time, and bears half a minute between clocks', () => {
    assert.ok(verifyToken(token, key, 1_329_000))
    assert.equal(verifyToken(token, key, 1_330_000), undefined)
    assert.ok(verifyToken(token, key, 970_000))
    assert.equal(verifyToken(token, key, 969_000), undefined)
  })

  const [header = '', payload = '', signature = ''] = token.split('.')
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = (start: string, secret: Uint8Array): string =>
    `${start}.${createHmac('sha256', secret).update(start).digest('base64url')}`
  const rows: readonly (readonly [what: string, token: string])[] = [
    ['nothing', ''],
    ['a word', 'abc'],
    ['another key', signToken(claims, Buffer.alloc(32, 8))],
    ['changed claims', [header, encode({ ...claims, sub: 'user:root' }), signature].join('.')],
    ['no signature', `${header}.${payload}.`],
    ['a cut signature', token.slice(0, -2)],
    ['more parts', `${token}.x`],
    ['the algorithm none', `${encode({ typ: 'JWT', alg: 'none' })}.${payload}.`],
    ['another header, rightly signed', signed(`${encode({ alg: 'HS256', typ: 'JWT' })}.${payload}`, key)],
    ['claims that are no object', signed(`${header}.${Buffer.from('7').toString('base64url')}`, key)],
    ['a megabyte', 'x'.repeat(1 << 20)],
  ]
  for (const [what, bad] of rows)
    it(`refuses ${what}`, () => assert.equal(verifyToken(bad, key, 1_100_000), undefined))
})
