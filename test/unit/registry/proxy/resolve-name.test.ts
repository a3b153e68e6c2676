import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createNameResolver } from '../../../../src/registry/proxy/resolve-name.ts'
import { isOfSameSite } from '../../../../src/registry/proxy/same-site.ts'
import { parseTarget } from '../../../../src/registry/route.ts'
import { isError, pushBlob, pushImage } from '../client.ts'
import { openProxy, openUpstream } from './support.ts'

describe('the name that a request means', () => {
  const digest = `sha256:${'a'.repeat(64)}`
  const own = new Set(['team/app', 'mine', 'library/mine', 'docker.io/kept/here'])
  const resolver = (defaultHost?: string, isProxy = true) =>
    createNameResolver({
      isProxy,
      repositories: { listTags: async name => (own.has(name) ? [] : undefined) },
      ...(defaultHost !== undefined && { defaultHost }),
    })
  const rows: readonly (readonly [request: string, want: string, defaultHost?: string])[] = [
    ['GET /v2/team/app/manifests/1', 'team/app'],
    ['GET /v2/library/debian/manifests/12', 'library/debian'],
    ['GET /v2/library/debian/manifests/12?ns=docker.io', 'docker.io/library/debian'],
    ['GET /v2/debian/manifests/12?ns=docker.io', 'docker.io/library/debian'],
    ['GET /v2/a/b/blobs/DIGEST?ns=Quay.IO', 'quay.io/a/b'],
    ['HEAD /v2/a/b/blobs/DIGEST?ns=localhost:5000', 'localhost:5000/a/b'],
    ['GET /v2/team/app/manifests/1?ns=docker.io', 'docker.io/team/app'],
    ['POST /v2/team/app/blobs/uploads/?ns=docker.io', 'docker.io/team/app'],
    ['POST /v2/a/b/blobs/uploads/?ns=docker.io', 'docker.io/a/b'],
    ['GET /v2/a/b/tags/list?ns=', 'a/b'],
    ['GET /v2/docker.io/debian/tags/list', 'docker.io/library/debian'],
    ['GET /v2/library/debian/manifests/12', 'docker.io/library/debian', 'docker.io'],
    ['HEAD /v2/grafana/loki/manifests/3', 'docker.io/grafana/loki', 'docker.io'],
    ['GET /v2/grafana/loki/blobs/DIGEST', 'docker.io/grafana/loki', 'docker.io'],
    ['GET /v2/grafana/loki/referrers/DIGEST', 'docker.io/grafana/loki', 'docker.io'],
    ['GET /v2/team/app/manifests/1', 'team/app', 'docker.io'],
    ['GET /v2/library/mine/manifests/1', 'library/mine', 'docker.io'],
    ['GET /v2/library/mine/manifests/1?ns=docker.io', 'library/mine', 'docker.io'],
    ['GET /v2/library/mine/manifests/1?ns=quay.io', 'quay.io/library/mine', 'docker.io'],
    ['GET /v2/library/mine/manifests/1?ns=docker.io', 'docker.io/library/mine', 'quay.io'],
    ['GET /v2/debian/manifests/12', 'debian', 'docker.io'],
    ['GET /v2/mine/manifests/12', 'mine', 'docker.io'],
    ['GET /v2/mine/manifests/12?ns=docker.io', 'docker.io/library/mine', 'docker.io'],
    ['GET /v2/pause/manifests/3', 'registry.k8s.io/pause', 'registry.k8s.io'],
    ['GET /v2/ghcr.io/a/b/manifests/1', 'ghcr.io/a/b', 'docker.io'],
    ['HEAD /v2/new/app/blobs/DIGEST', 'new/app', 'docker.io'],
    ['POST /v2/new/app/blobs/uploads/', 'new/app', 'docker.io'],
    ['PUT /v2/new/app/manifests/1', 'new/app', 'docker.io'],
    ['DELETE /v2/new/app/manifests/1', 'new/app', 'docker.io'],
  ]
  for (const [request, want, defaultHost] of rows)
    it(`of ${request} is ${want}${defaultHost === undefined ? '' : `, with the default ${defaultHost}`}`, async () => {
      const [method = '', url = ''] = request.replace('DIGEST', digest).split(' ')
      const [path = '', query = ''] = url.split('?')
      const { target } = await resolver(defaultHost).resolve(
        parseTarget(path),
        method,
        new URLSearchParams(query),
      )
      assert.ok('name' in target)
      assert.equal(target.name, want)
    })

  it('heeds a namespace without a proxy only for what is here of it', async () => {
    const query = new URLSearchParams({ ns: 'docker.io' })
    const nameOf = async (path: string) => {
      const { target, namespace } = await resolver(undefined, false).resolve(parseTarget(path), 'GET', query)
      return 'name' in target ? [target.name, namespace] : []
    }
    assert.deepEqual(await nameOf('/v2/library/pushed/manifests/1'), ['library/pushed', undefined])
    assert.deepEqual(await nameOf('/v2/kept/here/manifests/1'), ['docker.io/kept/here', 'docker.io'])
  })

  for (const ns of ['a/b', 'docker.io/library', '..', 'http://docker.io', 'hub'])
    it(`cannot be told for the namespace ${ns}`, async () => {
      const query = new URLSearchParams({ ns })
      await assert.rejects(resolver().resolve(parseTarget('/v2/a/b/tags/list'), 'GET', query), {
        code: 'name-invalid',
      })
    })
})

describe('the forms of a mirror', async () => {
  it('?ns= is answered with OCI-Namespace, and served from what is stored under the full name', async () => {
    const upstream = await openUpstream()
    const image = await pushImage(upstream, 'library/debian', '12')
    const { http } = await openProxy(upstream)
    await http
      .get('/v2/library/debian/manifests/12?ns=docker.io')
      .expect(200)
      .expect('OCI-Namespace', 'docker.io')
      .expect('Docker-Content-Digest', image.digest)
    await http.get(`/v2/library/debian/blobs/${image.layer}?ns=docker.io`).expect(200)
    await http.get('/v2/library/debian/manifests/12').expect(404)
    await http.get('/v2/a/b/manifests/1?ns=a b').expect(400).expect(isError('NAME_INVALID'))
  })

  it("Docker's registry-mirrors: the default's images under their short names, ours before them", async () => {
    const upstream = await openUpstream()
    const theirs = await pushImage(upstream, 'library/debian', '12')
    await pushImage(upstream, 'library/mine', '12')
    const proxy = await openProxy(upstream, { defaultHost: 'docker.io' })
    const { http } = proxy
    const short = '/v2/library/debian'
    await http.get(`${short}/manifests/12`).expect(200).expect('Docker-Content-Digest', theirs.digest)
    await http.get(`${short}/blobs/${theirs.layer}`).expect(200)
    const ours = await pushImage(proxy, 'library/mine', '12', { annotations: { is: 'ours' } })
    await http.get('/v2/library/mine/manifests/12').expect(200).expect('Docker-Content-Digest', ours.digest)
    await http.get('/v2/library/mine/manifests/13').expect(404)
  })

  it('a push to a new name of ours never takes a blob of the default for one that is there', async () => {
    const upstream = await openUpstream()
    const theirs = await pushImage(upstream, 'team/app', '1')
    const proxy = await openProxy(upstream, { defaultHost: 'docker.io' })
    await proxy.http.get('/v2/team/app/manifests/1').expect(200)
    await proxy.http.head(`/v2/team/app/blobs/${theirs.layer}`).expect(404)
    await pushBlob(proxy, 'team/app', 'first of ours')
    await proxy.http.get('/v2/team/app/manifests/1').expect(404)
  })
})

describe('isOfSameSite()', () => {
  const rows = [
    ['registry-1.docker.io', 'auth.docker.io', true],
    ['ghcr.io', 'ghcr.io', true],
    ['quay.io', 'cdn.quay.io', true],
    ['registry.gitlab.com', 'gitlab.com', true],
    ['ghcr.io', 'evil.io', false],
    ['registry-1.docker.io', 'evil.io', false],
    ['registry-1.docker.io', 'docker.io.evil.com', false],
    ['registry-1.docker.io', 'evildocker.io', false],
    ['10.1.2.3', '10.1.2.4', false],
    ['10.1.2.3', '10.1.2.3', true],
    ['[::1]', '[::2]', false],
    ['localhost', 'other', false],
  ] as const
  for (const [host, other, want] of rows)
    it(`says that ${other} ${want ? 'belongs' : 'does not belong'} to ${host}`, () => {
      assert.equal(isOfSameSite(host, other), want)
    })
})
