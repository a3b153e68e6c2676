import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { proxiesOf } from '../../../src/remote/proxies.ts'

const BOTH = { HTTP_PROXY: 'http://plain.test:3128', HTTPS_PROXY: 'secure.test:3129' }

function proxyOf(env: Readonly<Record<string, string>>, target: string): string | undefined {
  return proxiesOf(env)(new URL(target))?.href
}

describe('proxiesOf()', () => {
  it('chooses by the scheme of what is asked for', () => {
    assert.equal(proxyOf(BOTH, 'http://a.test/'), 'http://plain.test:3128/')
    assert.equal(proxyOf(BOTH, 'https://a.test/'), 'http://secure.test:3129/')
    assert.equal(proxyOf({ HTTP_PROXY: 'p' }, 'https://a.test/'), undefined)
    assert.equal(proxyOf({}, 'http://a.test/'), undefined)
    assert.equal(proxyOf({ HTTP_PROXY: '', http_proxy: '' }, 'http://a.test/'), undefined)
  })

  it('takes lower case where upper case is not set', () => {
    assert.equal(proxyOf({ https_proxy: 'https://p:1' }, 'https://a.test/'), 'https://p:1/')
    assert.equal(proxyOf({ https_proxy: 'low:1', HTTPS_PROXY: 'up:1' }, 'https://a.test/'), 'http://up:1/')
    assert.equal(proxyOf({ ...BOTH, no_proxy: 'a.test' }, 'https://a.test/'), undefined)
  })

  for (const target of [
    'http://localhost/',
    'https://localhost:5000/',
    'http://127.9.9.9/',
    'http://[::1]:5000/',
  ])
    it(`leaves ${target} to this machine`, () => assert.equal(proxyOf(BOTH, target), undefined))

  const exempt: readonly (readonly [list: string, target: string, isExempt: boolean])[] = [
    ['*', 'https://a.test/', true],
    ['a.test', 'https://a.test/', true],
    ['a.test', 'https://A.TEST./', true],
    ['a.test', 'https://b.a.test/', true],
    ['a.test', 'https://ba.test/', false],
    ['.a.test', 'https://b.a.test/', true],
    ['.a.test', 'https://a.test/', false],
    ['*.a.test', 'https://b.a.test/', true],
    ['*.a.test', 'https://a.test/', false],
    ['x, a.test ,y', 'https://a.test/', true],
    ['A.Test', 'https://a.test/', true],
    ['a.test:443', 'https://a.test/', true],
    ['a.test:5000', 'https://a.test:5000/', true],
    ['a.test:5000', 'https://a.test/', false],
    ['a.test:80', 'http://a.test/', true],
    ['10.1.2.3', 'https://10.1.2.3:5000/', true],
    ['10.1.2.3:5000', 'https://10.1.2.3:5000/', true],
    ['10.1.2.3:5000', 'https://10.1.2.3/', false],
    ['10.0.0.0/8', 'https://10.200.1.1/', true],
    ['10.0.0.0/8', 'https://11.0.0.1/', false],
    ['10.0.0.0/8', 'https://10.a.test/', false],
    ['10.0.0.0/99', 'https://10.0.0.1/', false],
    ['fd00::/8', 'https://[fd12::1]/', true],
    ['fd00::1', 'https://[fd00::1]/', true],
    ['[fd00::1]:5000', 'https://[fd00::1]:5000/', true],
    ['fd00::/8', 'https://[fe12::1]/', false],
    [',,', 'https://a.test/', false],
  ]
  for (const [list, target, isExempt] of exempt) {
    it(`${isExempt ? 'asks' : 'does not ask'} ${target} directly with NO_PROXY=${list}`, () =>
      assert.equal(proxyOf({ ...BOTH, NO_PROXY: list }, target) === undefined, isExempt))
  }

  for (const bad of ['socks5://p:1080', 'http://', 'http://user:secret@:1', 'a b'])
    it(`refuses ${bad} without its password`, () =>
      assert.throws(
        () => proxyOf({ HTTPS_PROXY: bad }, 'https://a.test/'),
        error =>
          error instanceof Error &&
          'code' in error &&
          error.code === 'registry-unreachable' &&
          !error.message.includes('secret'),
      ))
})
