import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Response } from 'supertest'
import { digestOf } from '../../../../src/oci/digest.ts'
import { parseRepositoryName } from '../../../../src/oci/reference.ts'
import { makeRobotToken } from '../../../../src/registry/auth/robots.ts'
import { RegistryError } from '../../../../src/registry/errors.ts'
import type { Target } from '../../../../src/registry/route.ts'
import { parseChallenges } from '../../../../src/remote/challenge.ts'
import { isError } from '../client.ts'
import { type GuardedRegistry, openGuarded, passwordOf } from './guarded.ts'

const rights = {
  repositories: {
    'open/**': { anonymous: ['pull'] },
    'team/**': { anna: ['push'], ben: ['pull'] },
    'anna/**': { anna: ['*'] },
  },
}

function challengeOf(response: Response): Record<string, string> {
  const [challenge] = parseChallenges(response.headers['www-authenticate'] ?? '')
  assert.equal(challenge?.scheme, 'bearer')
  return Object.fromEntries(challenge.parameters)
}

function thrown(error: unknown): RegistryError {
  assert.ok(error instanceof RegistryError)
  return error
}

/** As a user, by Basic. */
async function push({ http }: GuardedRegistry, user: string, name: string, content: string): Promise<string> {
  const digest = digestOf(content)
  await http
    .post(`/v2/${name}/blobs/uploads/?digest=${digest}`)
    .auth(user, passwordOf(user))
    .type('application/octet-stream')
    .send(content)
    .expect(201)
  return digest
}

function addRobot(
  { records, time }: GuardedRegistry,
  allow: readonly string[],
  expiresAt = time + 60_000,
): string {
  const { record, token } = makeRobotToken()
  assert.ok(records.addRobot({ ...record, name: `ci-${record.id}`, allow, createdAt: time, expiresAt }))
  return token
}

describe('createAccess()', async () => {
  const registry = await openGuarded({ rights })
  const { http } = registry

  it('L8: challenges a bare ping, where anonymous may pull too, so that Docker learns where to log in', async () => {
    for (const path of ['/v2/', '/v2']) {
      const response = await http.get(path).expect(401).expect(isError('UNAUTHORIZED'))
      assert.deepEqual(challengeOf(response), {
        realm: `http://127.0.0.1:${registry.port}/token`,
        service: 'slipway',
      })
    }
    await http
      .head('/v2/')
      .expect(401)
      .expect('WWW-Authenticate', /^Bearer realm=/)
  })

  it('L8: answers a ping with a token, be it that of anonymous', async () => {
    await http
      .get('/v2/')
      .auth(await registry.token([]), { type: 'bearer' })
      .expect(200)
    await http
      .get('/v2/')
      .auth(await registry.token([], 'anna'), { type: 'bearer' })
      .expect(200)
    await http.get('/v2/').auth('anna', passwordOf('anna')).expect(200)
  })

  it('names the token endpoint as the client has reached us, behind proxies too', async () => {
    const realm = async (headers: Record<string, string>) =>
      challengeOf(await http.get('/v2/').set(headers).expect(401)).realm
    assert.equal(await realm({ Host: 'hub.example:5000' }), 'http://hub.example:5000/token')
    assert.equal(
      await realm({ Host: '10.0.0.1', 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'hub.example' }),
      'https://hub.example/token',
    )
    assert.equal(await realm({ Host: 'a"b' }), 'http://localhost/token')
    assert.equal(
      await realm({ Host: 'h', 'X-Forwarded-Proto': 'javascript', 'X-Forwarded-Host': 'x", y="' }),
      'http://h/token',
    )
  })

  it('asks for Basic over TLS whoever has not asked for /v2/ first: Docker 28 trusts no authority of ours at /token', async () => {
    const challengeFor = async (target: Target, authorization?: string): Promise<string | undefined> => {
      const client = {
        headers: { host: 'hub.example', authorization },
        address: '10.0.0.1',
        isEncrypted: true,
      }
      const request = { method: 'GET', target, query: new URLSearchParams(), client }
      const error = await registry.access.authorize(request).then(() => undefined, thrown)
      return error?.headers['WWW-Authenticate']
    }
    const tags = { kind: 'tags', name: parseRepositoryName('team/app') } as const
    const basic = (password: string) => `Basic ${Buffer.from(`anna:${password}`).toString('base64')}`
    assert.match((await challengeFor({ kind: 'ping' })) ?? '', /^Bearer realm="https:\/\/hub.example\/token"/)
    assert.equal(await challengeFor(tags), 'Basic realm="slipway"')
    assert.equal(await challengeFor(tags, basic('wrong')), 'Basic realm="slipway"')
    assert.equal(await challengeFor(tags, basic(passwordOf('anna'))), undefined)
    const narrow = await registry.token(['repository:anna/app:pull'], 'anna')
    assert.match(
      (await challengeFor(tags, `Bearer ${narrow}`)) ?? '',
      /^Bearer .*error="insufficient_scope"$/,
    )
  })

  it('serves anonymous what is open without more ado, and asks for a login elsewhere', async () => {
    await http.get('/v2/open/app/tags/list').expect(404).expect(isError('NAME_UNKNOWN'))
    const pull = await http.get('/v2/team/app/tags/list').expect(401).expect(isError('UNAUTHORIZED'))
    assert.equal(challengeOf(pull).scope, 'repository:team/app:pull')
    const push = await http.post('/v2/open/app/blobs/uploads/').expect(401).expect(isError('UNAUTHORIZED'))
    assert.equal(challengeOf(push).scope, 'repository:open/app:pull,push')
    const remove = await http.delete('/v2/open/app/manifests/1').expect(401)
    assert.equal(challengeOf(remove).scope, 'repository:open/app:pull,delete')
  })

  it('holds each method to its right', async () => {
    const digest = await push(registry, 'anna', 'team/app', 'content')
    const anna = (method: 'get' | 'put' | 'patch' | 'delete' | 'head', path: string) =>
      http[method](path).auth('anna', passwordOf('anna'))
    const ben = (method: 'get' | 'put' | 'patch' | 'delete' | 'head' | 'post', path: string) =>
      http[method](path).auth('ben', passwordOf('ben'))
    await ben('get', `/v2/team/app/blobs/${digest}`).expect(200)
    await ben('head', `/v2/team/app/blobs/${digest}`).expect(200)
    await ben('get', `/v2/team/app/referrers/${digest}`).expect(200)
    for (const [method, path] of [
      ['post', '/v2/team/app/blobs/uploads/'],
      ['patch', '/v2/team/app/blobs/uploads/abc'],
      ['put', '/v2/team/app/blobs/uploads/abc'],
      ['get', '/v2/team/app/blobs/uploads/abc'],
      ['delete', '/v2/team/app/blobs/uploads/abc'],
      ['put', '/v2/team/app/manifests/1'],
      ['put', '/v2/team/app/manifests/.bad'],
      ['delete', '/v2/team/app/manifests/1'],
      ['delete', `/v2/team/app/blobs/${digest}`],
    ] as const)
      await ben(method, path).expect(403).expect(isError('DENIED'))
    await anna('delete', '/v2/team/app/blobs/uploads/abc').expect(404)
    await anna('delete', `/v2/team/app/blobs/${digest}`).expect(403)
    await push(registry, 'anna', 'anna/app', 'content')
    await anna('delete', `/v2/anna/app/blobs/${digest}`).expect(202)
  })

  it('L9: says insufficient_scope to a token that is for something else, as 401, so that the client asks again', async () => {
    const token = await registry.token(['repository:team/app:pull'], 'anna')
    const response = await http
      .post('/v2/team/app/blobs/uploads/')
      .auth(token, { type: 'bearer' })
      .expect(401)
    assert.equal(challengeOf(response).error, 'insufficient_scope')
    assert.equal(challengeOf(response).scope, 'repository:team/app:pull,push')
    const anonymous = await http
      .get('/v2/team/app/tags/list')
      .auth(await registry.token([]), { type: 'bearer' })
      .expect(401)
    assert.equal(challengeOf(anonymous).error, 'insufficient_scope')
  })

  it('takes a token of anonymous, whatever it was asked for, for what is open: mirrors are asked by other names', async () => {
    const token = await registry.token(['repository:library/debian:pull'])
    await http.get('/v2/open/app/tags/list').auth(token, { type: 'bearer' }).expect(404)
    await http.post('/v2/open/app/blobs/uploads/').auth(token, { type: 'bearer' }).expect(401)
  })

  it('says 403 where no token would help', async () => {
    const token = await registry.token(['repository:team/app:pull,push'], 'ben')
    await http
      .post('/v2/team/app/blobs/uploads/')
      .auth(token, { type: 'bearer' })
      .expect(403)
      .expect(isError('DENIED'))
  })

  it('refuses tokens that are not ours, or over, and what is no login at all', async () => {
    for (const value of [
      'Bearer abc',
      'Bearer a.b.c',
      'Basic',
      'Basic x y',
      'Digest abc',
      'Bearer ',
      'x'.repeat(9000),
    ]) {
      const response = await http.get('/v2/open/app/tags/list').set('Authorization', value).expect(401)
      assert.ok(challengeOf(response).realm)
    }
    const own = await openGuarded({ rights })
    const token = await own.token([], 'anna')
    await own.http.get('/v2/').auth(token, { type: 'bearer' }).expect(200)
    own.time += 331_000
    const late = await own.http.get('/v2/').auth(token, { type: 'bearer' }).expect(401)
    assert.equal(challengeOf(late).error, 'invalid_token')
  })

  it('ends tokens with the user and with the password, at once', async () => {
    const own = await openGuarded({ rights })
    const tokens = [await own.token([], 'anna'), await own.token([], 'ben')]
    own.setUsers(['anna'], () => 'another')
    own.time += 2000
    for (const token of tokens) await own.http.get('/v2/').auth(token, { type: 'bearer' }).expect(401)
    await own.http.get('/v2/').auth('anna', passwordOf('anna')).expect(401)
    await own.http.get('/v2/').auth('anna', 'another').expect(200)
  })

  it('end-11: mounts only from where the token and the rights let pull, and else begins an upload as if nothing were there', async () => {
    const digest = await push(registry, 'anna', 'anna/secret', 'secret content')
    await push(registry, 'anna', 'team/other', 'shared content')
    const mount = (from: string, content: string, token: string) =>
      http
        .post(`/v2/team/app/blobs/uploads/?mount=${digestOf(content)}&from=${from}`)
        .auth(token, { type: 'bearer' })
    const wide = await registry.token(
      ['repository:team/app:pull,push', 'repository:team/other:pull', 'repository:anna/secret:pull'],
      'anna',
    )
    await mount('team/other', 'shared content', wide).expect(201)
    await mount('anna/secret', 'secret content', wide).expect(201)
    const narrow = await registry.token(['repository:team/app:pull,push'], 'anna')
    await mount('anna/secret', 'secret content', narrow).expect(202)
    await mount('anna/nothing', 'secret content', narrow).expect(202)
    const robot = addRobot(registry, ['push:team/**'])
    await http
      .post(`/v2/team/new/blobs/uploads/?mount=${digest}&from=anna/secret`)
      .auth('any', robot)
      .expect(202)
    await http.get(`/v2/team/new/blobs/${digest}`).auth('any', robot).expect(404)
  })

  it('end-11: tells who mounts without a token to ask for the source too', async () => {
    const digest = await push(registry, 'anna', 'team/source', 'content to mount')
    const mount = (from: string) => http.post(`/v2/team/app/blobs/uploads/?mount=${digest}&from=${from}`)
    const { scope = '' } = challengeOf(await mount('team/source').expect(401))
    assert.equal(scope, 'repository:team/app:pull,push repository:team/source:pull')
    await mount('team/source')
      .auth(await registry.token([scope], 'anna'), { type: 'bearer' })
      .expect(201)
    for (const hostile of ['..', 'a%22,realm=%22http://else.example', 'a:pull%20repository:anna/secret']) {
      const challenge = challengeOf(await mount(hostile).expect(401))
      assert.equal(challenge.scope, 'repository:team/app:pull,push')
    }
  })

  it('shows in the catalog what one may pull, page by page', async () => {
    const own = await openGuarded({
      rights: {
        repositories: { '**': { anna: ['*'] }, 'team/**': { ben: ['pull'] } },
        catalog: ['*'],
      },
    })
    for (const name of ['a', 'b', 'team/a', 'team/b', 'z']) {
      const bytes = '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
      await own.http
        .put(`/v2/${name}/manifests/1`)
        .auth('anna', passwordOf('anna'))
        .type('application/vnd.oci.image.index.v1+json')
        .send(bytes)
        .expect(201)
    }
    const list = (query: string, user: string) =>
      own.http.get(`/v2/_catalog${query}`).auth(user, passwordOf(user))
    await list('', 'anna').expect(200, { repositories: ['a', 'b', 'team/a', 'team/b', 'z'] })
    await list('', 'ben').expect(200, { repositories: ['team/a', 'team/b'] })
    const first = await list('?n=1', 'ben').expect(200, { repositories: ['team/a'] })
    assert.match(first.headers.link ?? '', /last=team%2Fa/)
    const last = await list('?n=1&last=team/a', 'ben').expect(200, { repositories: ['team/b'] })
    assert.equal(last.headers.link, undefined)
    const bare = await own.http.get('/v2/_catalog').expect(401)
    assert.equal(challengeOf(bare).scope, 'registry:catalog:*')
    const token = await own.token(['registry:catalog:*', 'repository:team/b:pull'], 'ben')
    await own.http
      .get('/v2/_catalog')
      .auth(token, { type: 'bearer' })
      .expect(200, { repositories: ['team/a', 'team/b'] })
  })

  it('takes a robot’s token as a password under any name, as a bearer, and as a refresh token', async () => {
    const token = addRobot(registry, ['push:team/**', 'pull:open/app'])
    await http.get('/v2/').auth('robot$ci', token).expect(200)
    await http.get('/v2/').auth('whoever', token).expect(200)
    await http.post('/v2/team/app/blobs/uploads/').auth(token, { type: 'bearer' }).expect(202)
    await http.post('/v2/open/app/blobs/uploads/').auth(token, { type: 'bearer' }).expect(403)
    await http.delete('/v2/team/app/manifests/1').auth('x', token).expect(403)
    const form = { grant_type: 'refresh_token', refresh_token: token, scope: 'repository:team/app:pull,push' }
    const { body } = await http.post('/token').type('form').send(form).expect(200)
    await http.post('/v2/team/app/blobs/uploads/').auth(body.token, { type: 'bearer' }).expect(202)
    const { body: basic } = await http
      .get('/token?scope=repository:team/app:pull,push')
      .auth('x', token)
      .expect(200)
    await http.post('/v2/team/app/blobs/uploads/').auth(basic.token, { type: 'bearer' }).expect(202)
  })

  it('ends a robot’s tokens when it is revoked, and when its time is over', async () => {
    const own = await openGuarded({ rights })
    const token = addRobot(own, ['*:**'], own.time + 1000)
    const { body } = await own.http.get('/token').auth('x', token).expect(200)
    await own.http.get('/v2/').auth(body.token, { type: 'bearer' }).expect(200)
    own.time += 1000
    await own.http.get('/v2/').auth('x', token).expect(401)
    await own.http.get('/v2/').auth(body.token, { type: 'bearer' }).expect(401)
    const revoked = addRobot(own, ['*:**'])
    await own.http.get('/v2/').auth('x', revoked).expect(200)
    const [robot] = own.records.listRobots().filter(({ usedAt }) => usedAt === own.time)
    own.records.removeRobot(robot?.name ?? '')
    await own.http.get('/v2/').auth('x', revoked).expect(401)
    for (const bad of ['slipway_', token.slice(0, -1), `${token}x`, token.replace(/.$/, '!')])
      await own.http.get('/v2/').auth('x', bad).expect(401)
  })

  it('compares a password once for a pull of many layers, and again after some minutes', async () => {
    const own = await openGuarded({ rights })
    const ping = () => own.http.get('/v2/').auth('anna', passwordOf('anna'))
    await Promise.all(Array.from({ length: 10 }, async () => ping().expect(200)))
    for (let count = 0; count < 10; count++) await ping().expect(200)
    assert.equal(own.compared.length, 1)
    own.time += 301_000
    await ping().expect(200)
    assert.equal(own.compared.length, 2)
    await own.http.get('/v2/').auth('anna', 'wrong').expect(401)
    await own.http.get('/v2/').auth('anna', 'wrong').expect(401)
    assert.equal(own.compared.length, 4)
  })

  it('spends as much on an unknown user as on a wrong password', async () => {
    const own = await openGuarded({ rights })
    await own.http.get('/v2/').auth('nobody', 'x').expect(401)
    assert.deepEqual(own.compared, ['x'])
    // Not even somebody's right password helps under a name that is not there.
    for (const name of ['anna', 'ben'])
      await own.http.get('/v2/').auth('nobody', passwordOf(name)).expect(401)
    const empty = await openGuarded({ rights, users: [] })
    await empty.http.get('/v2/').auth('nobody', 'x').expect(401)
    assert.deepEqual(empty.compared, ['x'])
  })

  it('answers 429 with Retry-After after failed logins, to that client, and not to who is known', async () => {
    const own = await openGuarded({ rights, failedLoginsPerMinute: 3, trusted: ['127.0.0.1'] })
    const ping = (user: string, password: string, from = '1.1.1.1') =>
      own.http.get('/v2/').set('X-Forwarded-For', from).auth(user, password)
    await ping('anna', passwordOf('anna')).expect(200)
    for (let count = 0; count < 3; count++) await ping('ben', `wrong ${count}`).expect(401)
    await ping('ben', passwordOf('ben'))
      .expect(429)
      .expect('Retry-After', '20')
      .expect(isError('TOOMANYREQUESTS'))
    await own.http
      .get('/token')
      .set('X-Forwarded-For', '1.1.1.1')
      .auth('ben', 'x')
      .expect(429)
      .expect(isError('TOOMANYREQUESTS'))
    await ping('anna', passwordOf('anna')).expect(200)
    await ping('ben', passwordOf('ben'), '2.2.2.2').expect(200)
    own.time += 20_000
    await ping('ben', 'again').expect(401)
    await ping('ben', 'again').expect(429)
  })

  it('answers 429 to who asks too often: by address, and by user once logged in', async () => {
    const own = await openGuarded({ rights, requestsPerMinute: 2, trusted: ['127.0.0.1'] })
    const list = (from: string) => own.http.get('/v2/open/app/tags/list').set('X-Forwarded-For', from)
    await list('1.1.1.1').expect(404)
    await list('1.1.1.1').expect(404)
    await list('1.1.1.1').expect(429).expect('Retry-After', '30').expect(isError('TOOMANYREQUESTS'))
    await list('2.2.2.2').expect(404)
    await list('1.1.1.1').auth('anna', passwordOf('anna')).expect(404)
    await list('2.2.2.2').auth('anna', passwordOf('anna')).expect(404)
    await list('3.3.3.3').auth('anna', passwordOf('anna')).expect(429)
    await list('1.1.1.1').auth('ben', passwordOf('ben')).expect(404)
  })

  it('begins with the first user, where nothing is configured', async () => {
    const own = await openGuarded({ isConfigured: false })
    await own.http.get('/v2/').expect(200)
    await own.http.get('/v2/').auth('x', 'y').expect(200)
    own.setUsers(['anna'])
    await own.http.get('/v2/').expect(200)
    own.time += 1000
    await own.http.get('/v2/').expect(401)
    await own.http.post('/v2/app/blobs/uploads/').auth('anna', passwordOf('anna')).expect(202)
  })

  it('keeps no name and no password in what it answers', async () => {
    const response = await http.get('/v2/').auth('some-name', 'some-password').expect(401)
    assert.doesNotMatch(JSON.stringify([response.headers, response.body]), /some-name|some-password/)
  })
})

describe("createAccess(), where names that are not ours are another registry's", async () => {
  const registry = await openGuarded({
    rights: {
      repositories: { ...rights.repositories, here: { anna: ['push'] }, 'docker.io/**': { ben: ['pull'] } },
    },
    defaultHost: 'docker.io',
  })
  const { http } = registry

  it('tells whoever may push to a name that it is not there yet, not that the other registry is forbidden', async () => {
    for (const path of ['manifests/1', 'tags/list', `referrers/${digestOf('x')}`])
      await http
        .get(`/v2/team/new/${path}`)
        .auth('anna', passwordOf('anna'))
        .expect(404)
        .expect(isError('NAME_UNKNOWN'))
  })

  it('tells others nothing of what is there', async () => {
    await http
      .get('/v2/other/new/manifests/1')
      .auth('anna', passwordOf('anna'))
      .expect(403)
      .expect(isError('DENIED'))
    await http.get('/v2/team/new/manifests/1').expect(401)
  })

  it('refuses in the same words whether there is such a repository of ours or not', async () => {
    for (const name of ['team/here', 'here'])
      await registry.http
        .put(`/v2/${name}/manifests/1`)
        .auth('anna', passwordOf('anna'))
        .type('application/vnd.oci.image.index.v1+json')
        .send('{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}')
        .expect(201)
    const refusal = async (name: string, ns: string) => {
      const response = await http.get(`/v2/${name}/manifests/1${ns}`).expect(401)
      const { message } = response.body.errors[0]
      return [message, response.headers['www-authenticate']].map(text => text.replaceAll(name, 'NAME'))
    }
    for (const ns of ['', '?ns=docker.io'])
      for (const path of ['team/', ''])
        assert.deepEqual(await refusal(`${path}gone`, ns), await refusal(`${path}here`, ns))
  })

  it('lets whoever may ask the other registry ask it', async () => {
    const asked = http.get('/v2/team/new/manifests/1').auth('ben', passwordOf('ben'))
    await asked.expect(404).expect(isError('MANIFEST_UNKNOWN'))
  })
})
