import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type AccessRequest, everyoneMay } from '../../../src/registry/access.ts'
import { RegistryError } from '../../../src/registry/errors.ts'
import { isError, openRegistry, pushBlob } from './client.ts'

describe('access', () => {
  it('is asked about every request, with what it is about', async () => {
    const asked: AccessRequest[] = []
    const { http } = await openRegistry({
      app: {
        access: {
          async authorize(request) {
            asked.push(request)
            return everyoneMay
          },
          identify: async () => everyoneMay,
        },
      },
    })
    await http.get('/v2/').expect(200)
    await http.delete('/v2/team/app/manifests/1.0?x=y').set('Authorization', 'Basic abc').expect(404)
    const [ping, last] = asked
    assert.equal(ping?.target.kind, 'ping')
    assert.equal(last?.method, 'DELETE')
    assert.deepEqual(last?.target, { kind: 'manifest', name: 'team/app', reference: { tag: '1.0' } })
    assert.equal(last?.query.get('x'), 'y')
    assert.equal(last?.client.headers.authorization, 'Basic abc')
    assert.match(last?.client.address ?? '', /127\.0\.0\.1$/)
    assert.equal(last?.client.isEncrypted, false)
  })

  it('refuses with the headers of its error', async () => {
    const refuse = async () => {
      throw new RegistryError('unauthorized', 'Cannot use this registry: log in', {
        headers: { 'WWW-Authenticate': 'Basic realm="x"' },
      })
    }
    const { http } = await openRegistry({ app: { access: { authorize: refuse, identify: refuse } } })
    await http
      .get('/v2/')
      .expect(401)
      .expect('WWW-Authenticate', 'Basic realm="x"')
      .expect(isError('UNAUTHORIZED'))
  })

  it('end-11: begins an upload instead of a mount from where the client may not pull, as if nothing were there', async () => {
    const mayPull = new Set(['open', 'target', 'secret'])
    const registry = await openRegistry({
      app: {
        access: {
          authorize: async () => ({ ...everyoneMay, may: (_action, name) => mayPull.has(name) }),
          identify: async () => everyoneMay,
        },
      },
    })
    const digest = await pushBlob(registry, 'secret', 'hidden')
    mayPull.delete('secret')
    await registry.http.post(`/v2/target/blobs/uploads/?mount=${digest}&from=secret`).expect(202)
    await registry.http.get(`/v2/target/blobs/${digest}`).expect(404)
    mayPull.add('secret')
    await registry.http.post(`/v2/target/blobs/uploads/?mount=${digest}&from=secret`).expect(201)
  })

  it('leaves room for routes beside the API', async () => {
    const { http } = await openRegistry({
      app: { extras: [app => app.get('/hello', async () => 'here')] },
    })
    await http.get('/hello').expect(200, 'here')
  })
})
