import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Tag } from '../../../src/oci/reference.ts'
import { parseChallenges } from '../../../src/remote/challenge.ts'
import type { Credential, Credentials } from '../../../src/remote/credentials.ts'
import { type Handler, repositoryAt, type ScriptedRegistry, scriptedRegistry } from './scripted-registry.ts'

const v1 = 'v1' as Tag
const alice: Credential = { kind: 'password', username: 'alice', password: 's3cret:with colon' }
const aliceBasic = `Basic ${Buffer.from('alice:s3cret:with colon').toString('base64')}`
const knowing = (credential: Credential): Credentials => ({ get: async () => credential })

/** A registry that wants the token `good`, and its token endpoint. */
async function bearerRegistry(
  answerToken: Handler = (_, response) => response.end('{"token":"good","expires_in":300}'),
): Promise<ScriptedRegistry> {
  const registry = await scriptedRegistry((request, response, seen) => {
    if (request.url?.startsWith('/token')) return answerToken(request, response, seen)
    if (seen.authorization === 'Bearer good') return response.writeHead(404).end()
    const challenge = `Bearer realm="http://${registry.host}/token",service="reg, istry",scope="repository:team/app:pull"`
    response.writeHead(401, { 'www-authenticate': challenge }).end()
  })
  return registry
}

describe('parseChallenges()', () => {
  const parsed = (header: string) =>
    parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)])
  const rows: readonly [string, string, unknown][] = [
    [
      'quoted commas and escapes',
      'Bearer realm="a,b",service="q\\"x"',
      [['bearer', { realm: 'a,b', service: 'q"x' }]],
    ],
    [
      'several schemes',
      'Basic realm=x, Bearer realm="y"',
      [
        ['basic', { realm: 'x' }],
        ['bearer', { realm: 'y' }],
      ],
    ],
    [
      'schemes without parameters',
      'Negotiate, NTLM abc==, Basic realm="x"',
      [
        ['negotiate', {}],
        ['ntlm', {}],
        ['basic', { realm: 'x' }],
      ],
    ],
    ['odd case and spaces', 'BEARER  Realm = "x" ,  Service=y', [['bearer', { realm: 'x', service: 'y' }]]],
    ['nothing', '', []],
    ['nonsense', '="', []],
    ['an unclosed quote', 'Bearer realm="x', [['bearer', {}]]],
  ]
  for (const [name, header, want] of rows) {
    test(`reads ${name}`, () => {
      const got = parsed(header)
      assert.deepEqual(name === 'an unclosed quote' ? got.slice(0, 1) : got, want)
    })
  }
})

test('an anonymous token is fetched when it is asked for, and kept', async () => {
  const { host, seen } = await bearerRegistry()
  const repository = repositoryAt(host)
  await repository.resolve(v1)
  await repository.resolve(v1)
  assert.deepEqual(seen, [
    { method: 'HEAD', url: '/v2/team/app/manifests/v1', authorization: undefined },
    {
      method: 'GET',
      url: '/token?service=reg%2C+istry&scope=repository%3Ateam%2Fapp%3Apull',
      authorization: undefined,
    },
    { method: 'HEAD', url: '/v2/team/app/manifests/v1', authorization: 'Bearer good' },
    { method: 'HEAD', url: '/v2/team/app/manifests/v1', authorization: 'Bearer good' },
  ])
})

test('a token is fetched once for all who wait for it', async () => {
  const { host, seen } = await bearerRegistry()
  const repository = repositoryAt(host)
  await repository.resolve(v1)
  seen.length = 0
  await Promise.all([1, 2, 3, 4].map(() => repository.listTags()))
  assert.equal(seen.filter(({ url }) => url.startsWith('/token')).length, 0)
})

test('a token that is over is fetched again', async () => {
  const { host, seen } = await bearerRegistry()
  let now = 0
  const repository = repositoryAt(host, { now: () => now })
  await repository.resolve(v1)
  now = 300_000
  await repository.resolve(v1)
  assert.equal(seen.filter(({ url }) => url.startsWith('/token')).length, 2)
})

test('the password goes to the token endpoint only', async () => {
  const { host, seen } = await bearerRegistry()
  await repositoryAt(host, { credentials: knowing(alice) }).resolve(v1)
  assert.deepEqual(
    seen.map(({ authorization }) => authorization),
    [undefined, aliceBasic, 'Bearer good'],
  )
})

test('an identity token is exchanged by POST', async () => {
  let form = ''
  const { host } = await bearerRegistry((request, response) => {
    assert.equal(request.method, 'POST')
    request.setEncoding('utf8').on('data', text => {
      form += text
    })
    request.on('end', () => response.end('{"access_token":"good"}'))
  })
  await repositoryAt(host, { credentials: knowing({ kind: 'identity-token', token: 'id/1' }) }).resolve(v1)
  assert.deepEqual(Object.fromEntries(new URLSearchParams(form)), {
    grant_type: 'refresh_token',
    refresh_token: 'id/1',
    service: 'reg, istry',
    client_id: 'slipway',
    scope: 'repository:team/app:pull',
  })
})

test('Basic sends the password to the registry that asked', async () => {
  const { host, seen } = await scriptedRegistry((_, response, { authorization }) =>
    authorization === aliceBasic
      ? response.writeHead(404).end()
      : response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end(),
  )
  assert.equal(await repositoryAt(host, { credentials: knowing(alice) }).resolve(v1), undefined)
  assert.equal(seen.length, 2)
})

describe('log-ins that fail end without another try and without a secret in the message', () => {
  const rows: readonly [string, Handler, string][] = [
    ['a token endpoint that refuses', (_, response) => response.writeHead(401).end(), 'unauthorized'],
    ['a token that is refused', (_, response) => response.end('{"token":"bad"}'), 'unauthorized'],
    ['a token endpoint without tokens', (_, response) => response.end('[]'), 'response-invalid'],
    [
      'a token that breaks the header',
      (_, response) => response.end('{"token":"a\\r\\nb: c"}'),
      'response-invalid',
    ],
    ['a token endpoint that fails', (_, response) => response.writeHead(500).end(), 'registry-failed'],
  ]
  for (const [name, answerToken, code] of rows) {
    test(name, async () => {
      const { host, seen } = await bearerRegistry(answerToken)
      await assert.rejects(repositoryAt(host, { credentials: knowing(alice) }).resolve(v1), error => {
        assert.equal((error as { code?: string }).code, code)
        assert.doesNotMatch(String(error), /s3cret|good|bad/)
        return true
      })
      assert.ok(seen.length <= 4)
    })
  }
  for (const challenge of [
    'Digest realm="x"',
    'Bearer realm="file:///etc/passwd"',
    'Bearer realm="http://u:p@h/"',
    '',
  ]) {
    test(`a challenge that reads ${JSON.stringify(challenge)}`, async () => {
      const { host } = await scriptedRegistry((_, response) =>
        response.writeHead(401, { 'www-authenticate': challenge }).end(),
      )
      await assert.rejects(repositoryAt(host).resolve(v1), { name: 'RemoteError' })
    })
  }
})

test('a redirect to another host loses the credentials', async () => {
  const storage = await scriptedRegistry((_, response) => response.end('{"tags":["a"]}'))
  const { host } = await scriptedRegistry((_, response, { authorization }) =>
    authorization === undefined
      ? response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
      : response.writeHead(307, { location: `http://${storage.host}/tags?signature=1` }).end(),
  )
  assert.deepEqual(await repositoryAt(host, { credentials: knowing(alice) }).listTags(), ['a'])
  assert.deepEqual(storage.seen, [{ method: 'GET', url: '/tags?signature=1', authorization: undefined }])
})

test('the other host of a redirect cannot ask for credentials', async () => {
  const storage = await scriptedRegistry((_, response) =>
    response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end(),
  )
  const { host } = await scriptedRegistry((_, response) =>
    response.writeHead(307, { location: `http://${storage.host}/blob` }).end(),
  )
  await assert.rejects(repositoryAt(host, { credentials: knowing(alice) }).listTags(), {
    code: 'unauthorized',
  })
  assert.deepEqual(
    storage.seen.map(({ authorization }) => authorization),
    [undefined],
  )
})

test('redirects in a circle end', async () => {
  const { host, seen } = await scriptedRegistry((request, response) =>
    response.writeHead(302, { location: request.url }).end(),
  )
  await assert.rejects(repositoryAt(host).listTags(), { code: 'response-invalid', message: /redirects/ })
  assert.equal(seen.length, 6)
})

test('a redirect to what is not HTTP is refused', async () => {
  const { host } = await scriptedRegistry((_, response) =>
    response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
  )
  await assert.rejects(repositoryAt(host).listTags(), { code: 'response-invalid' })
})
