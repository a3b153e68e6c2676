import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isError, openRegistry } from '../client.ts'
import { openGuarded, passwordOf } from './guarded.ts'

const rights = {
  repositories: {
    'open/**': { anonymous: ['pull'] },
    'team/**': { anna: ['push'], ben: ['pull'] },
    'anna/**': { anna: ['*'] },
  },
  catalog: ['*'],
}

function claimsOf(token: string): { access: unknown; sub: string; exp: number; iat: number } {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
}

describe('token endpoint', async () => {
  const registry = await openGuarded({ rights })
  const { http } = registry

  it('L9: answers with token and access_token, a lifetime of at least 60 s, and the time of issue', async () => {
    const { body, headers } = await http.get('/token').auth('anna', passwordOf('anna')).expect(200)
    assert.equal(body.token, body.access_token)
    assert.equal(body.expires_in, 300)
    assert.equal(body.issued_at, new Date(registry.time).toISOString())
    assert.equal(headers['content-type'], 'application/json')
    assert.equal(headers['cache-control'], 'no-store')
    const { sub, exp, iat } = claimsOf(body.token)
    assert.deepEqual([sub, exp - iat], ['user:anna', 300])
  })

  it('L9: gives the allowed part of what is asked for, and refuses nothing', async () => {
    const scopes = [
      'repository:team/app:pull,push,delete',
      'repository:anna/app:*',
      'repository:open/app:pull,push',
      'repository:secret:pull',
      'repository(plugin):team/app:pull',
      'registry:catalog:*',
      'nonsense',
      'repository:Bad Name:pull',
    ]
    const access = async (user?: string) => claimsOf(await registry.token(scopes, user)).access
    assert.deepEqual(await access('anna'), [
      { type: 'repository', name: 'team/app', actions: ['pull', 'push'] },
      { type: 'repository', name: 'anna/app', actions: ['pull', 'push', 'delete'] },
      { type: 'repository', name: 'open/app', actions: ['pull'] },
      { type: 'registry', name: 'catalog', actions: ['*'] },
    ])
    assert.deepEqual(await access(), [{ type: 'repository', name: 'open/app', actions: ['pull'] }])
  })

  it('takes several scopes in one parameter', async () => {
    const token = await registry.token(['repository:open/a:pull repository:open/b:pull'])
    assert.equal((claimsOf(token).access as unknown[]).length, 2)
  })

  it('refuses a wrong password, an unknown user, and more scopes than a header holds', async () => {
    for (const [name, password] of [
      ['anna', 'wrong'],
      ['nobody', passwordOf('anna')],
      ['', ''],
    ] as const)
      await http.get('/token').auth(name, password).expect(401).expect(isError('UNAUTHORIZED'))
    await http.get('/token').set('Authorization', 'Basic !!!').expect(401).expect(isError('UNAUTHORIZED'))
    await http
      .get('/token')
      .query({ scope: Array.from({ length: 20 }, () => `repository:${'a/'.repeat(150)}b:pull`) })
      .expect(400)
      .expect(isError('SIZE_INVALID'))
  })

  it('L9: takes OAuth2 forms: a password, and the refresh token that it gives', async () => {
    const form = { service: 'slipway', client_id: 'test', scope: 'repository:team/app:pull,push' }
    const { body } = await http
      .post('/token')
      .type('form')
      .send({ ...form, grant_type: 'password', username: 'anna', password: passwordOf('anna') })
      .send({ access_type: 'offline' })
      .expect(200)
    assert.equal(body.scope, 'repository:team/app:pull,push')
    const refresh = { ...form, grant_type: 'refresh_token', refresh_token: body.refresh_token }
    const again = await http.post('/token').type('form').send(refresh).expect(200)
    assert.deepEqual(claimsOf(again.body.access_token).access, [
      { type: 'repository', name: 'team/app', actions: ['pull', 'push'] },
    ])
    assert.equal(again.body.refresh_token, body.refresh_token)
    // It is good for tokens, and for nothing else; and an access token is no refresh token.
    await http.get('/v2/').auth(body.refresh_token, { type: 'bearer' }).expect(401)
    await http
      .post('/token')
      .type('form')
      .send({ ...refresh, refresh_token: body.access_token })
      .expect(401)
  })

  it('gives no refresh token unasked', async () => {
    const form = { grant_type: 'password', username: 'anna', password: passwordOf('anna') }
    const { body } = await http.post('/token').type('form').send(form).expect(200)
    assert.equal('refresh_token' in body, false)
  })

  it('refuses other grants, and forms that are too long', async () => {
    await http
      .post('/token')
      .type('form')
      .send({ grant_type: 'client_credentials' })
      .expect(400)
      .expect(isError('UNSUPPORTED'))
    await http
      .post('/token')
      .type('form')
      .send({ password: 'x'.repeat(40_000) })
      .expect(400)
      .expect(isError('SIZE_INVALID'))
    const form = { grant_type: 'password', username: 'anna', password: 'wrong' }
    await http.post('/token').type('form').send(form).expect(401).expect(isError('UNAUTHORIZED'))
  })

  it('ends refresh tokens with the password that they were given for', async () => {
    const own = await openGuarded({ rights })
    const form = {
      grant_type: 'password',
      username: 'anna',
      password: passwordOf('anna'),
      access_type: 'offline',
    }
    const { body } = await own.http.post('/token').type('form').send(form).expect(200)
    own.setUsers(['anna'], () => 'another')
    own.time += 2000
    await own.http
      .post('/token')
      .type('form')
      .send({ grant_type: 'refresh_token', refresh_token: body.refresh_token })
      .expect(401)
  })

  it('is not there where nobody has to log in', async () => {
    await (await openGuarded({ isConfigured: false })).http
      .get('/token')
      .expect(404)
      .expect(isError('UNSUPPORTED'))
    await (await openRegistry()).http.get('/token').expect(404).expect(isError('UNSUPPORTED'))
  })
})
