import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { RepositoryName, Tag } from '../../../src/oci/reference.ts'
import { createRegistryApp } from '../../../src/registry/app.ts'
import { RegistryError } from '../../../src/registry/errors.ts'
import { createRepositoryStore } from '../../../src/registry/store-repositories.ts'
import { type DiskStore, openStore } from '../../../src/store/open.ts'
import { openRegistry, prepareImage, pushBlob, pushImage } from './client.ts'

const APP = 'app' as RepositoryName
const V1 = 'v1' as Tag

/** A registry that has answered often, and another connection to its store, as another process has one. */
describe('a registry whose store others write to', async () => {
  const registry = await openRegistry()
  const { http } = registry

  async function elsewhere<T>(act: (store: DiskStore) => T): Promise<T> {
    using store = await openStore({ root: registry.disk.store.root, now: Date.now })
    return act(store)
  }
  const asked = async (method: 'head' | 'get', path: string, status: number): Promise<unknown> => {
    for (let time = 0; time < 3; time++) await http[method](path).expect(status)
    return (await http[method](path)).headers['docker-content-digest']
  }

  it('tells by HEAD and GET that a tag has moved', async () => {
    const first = await pushImage(registry, 'app', 'v1', { annotations: { n: '1' } })
    const second = await pushImage(registry, 'app', 'v2', { annotations: { n: '2' } })
    for (const method of ['head', 'get'] as const) {
      assert.equal(await asked(method, '/v2/app/manifests/v1', 200), first.digest)
      await elsewhere(({ metadata }) => {
        const record = metadata.getManifest(APP, second.digest)
        if (record !== undefined) metadata.putManifest(APP, record, [V1])
      })
      assert.equal(
        (await http[method]('/v2/app/manifests/v1')).headers['docker-content-digest'],
        second.digest,
      )
      await elsewhere(({ metadata }) => {
        const record = metadata.getManifest(APP, first.digest)
        if (record !== undefined) metadata.putManifest(APP, record, [V1])
      })
    }
  })

  it('tells that a tag, a manifest, a blob are gone, and that they are there again', async () => {
    const image = await pushImage(registry, 'app', 'v1')
    const blob = await pushBlob(registry, 'app', 'alone')
    const paths = ['manifests/v1', `manifests/${image.digest}`, `blobs/${blob}`].map(
      path => `/v2/app/${path}`,
    )
    for (const path of paths) await asked('head', path, 200)
    await elsewhere(({ metadata }) => metadata.deleteTag(APP, V1))
    assert.deepEqual(
      await Promise.all(paths.map(async path => (await http.head(path)).status)),
      [404, 200, 200],
    )
    await elsewhere(({ metadata }) => {
      metadata.deleteManifest(APP, image.digest)
      metadata.unlinkBlob(APP, blob)
    })
    assert.deepEqual(
      await Promise.all(paths.map(async path => (await http.head(path)).status)),
      [404, 404, 404],
    )
    for (const path of paths) await asked('get', path, 404)
    await elsewhere(({ metadata }) => {
      metadata.putManifest(
        APP,
        { digest: image.digest, mediaType: 'application/x', size: image.bytes.length, references: [] },
        [V1],
      )
      metadata.linkBlob(APP, blob)
    })
    for (const path of paths) await http.head(path).expect(200)
  })

  it('believes nothing that was read in a transaction that did not end well', async () => {
    const { metadata, disk } = registry.disk.store
    await pushImage(registry, 'app', 'v1')
    assert.throws(() =>
      disk.database.write(() => {
        disk.database.run('DELETE FROM tags')
        assert.equal(metadata.findManifest(APP, { tag: V1 }), undefined)
        throw new Error('on second thoughts')
      }),
    )
    await http.head('/v2/app/manifests/v1').expect(200)
  })

  it('notes that something was used, however often the answer was given before', async () => {
    let now = Date.now()
    using store = await openStore({ root: registry.disk.store.root, now: () => now })
    const image = await prepareImage(registry, 'app')
    const touched = (table: 'blobs' | 'links'): number | undefined =>
      store.disk.database.one<{ at: number }>(
        `SELECT touched_at AS at FROM ${table} WHERE digest = ?`,
        image.layer,
      )?.at
    for (let minute = 0; minute < 12; minute++) {
      now += 60_000
      assert.ok(store.metadata.findLinkedBlob(APP, image.layer))
    }
    for (const table of ['blobs', 'links'] as const) assert.ok((touched(table) ?? 0) > now - 5 * 60_000)
  })

  it('asks for each client anew whether it may', async () => {
    let allowed = 'alice'
    const app = createRegistryApp({
      repositories: createRepositoryStore({ store: registry.disk.store }),
      access: {
        async authorize({ client }) {
          const name = client.headers.authorization ?? ''
          if (name !== allowed) throw new RegistryError('denied', 'No')
          return { principal: { kind: 'user', name }, may: () => true }
        },
        identify: async () => ({ principal: { kind: 'anonymous' }, may: () => false }),
      },
    })
    await pushImage(registry, 'app', 'v1')
    const status = async (authorization: string): Promise<number> =>
      (await app.inject({ method: 'GET', url: '/v2/app/manifests/v1', headers: { authorization } }))
        .statusCode
    assert.deepEqual([await status('alice'), await status('bob'), await status('alice')], [200, 403, 200])
    allowed = 'bob'
    assert.deepEqual([await status('alice'), await status('bob')], [403, 200])
    await app.close()
  })
})
