import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { digestOf } from '../../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../../src/oci/media-type.ts'
import { type Access, everyoneMay, type Grant } from '../../../../src/registry/access.ts'
import { openApiDocument } from '../../../../src/registry/api/openapi.ts'
import { apiRoutes } from '../../../../src/registry/api/routes.ts'
import { RegistryError } from '../../../../src/registry/errors.ts'
import { NO_RULES } from '../../../../src/store/rules.ts'
import { binary, manifestBytes, openRegistry, pushBlob, type TestRegistry } from '../client.ts'
import { openTestStore } from '../support.ts'

const DOCUMENT = openApiDocument('1.2.3')
const ajv = new Ajv2020({ strict: true, strictTypes: false, allErrors: true })
ajv.addFormat('date-time', /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/)
ajv.addKeyword('components')
ajv.addSchema({ $id: 'api', components: DOCUMENT.components })

const SCHEMA_OF: Readonly<Record<string, string>> = {
  repositories: 'RepositoryList',
  repository: 'RepositoryDetail',
  tags: 'TagList',
  manifest: 'ManifestDetail',
  store: 'Store',
}

/** What the caller may not see, of all names that begin so. */
const HIDDEN = 'secret'

async function openApi() {
  const quotas = [
    { prefix: 'team', limit: 1_000_000 },
    { prefix: 'secret', limit: 5_000_000 },
  ]
  const rules = { ...NO_RULES, quotas }
  const disk = await openTestStore(rules)
  after(() => disk.remove())
  const grant: Grant = { ...everyoneMay, may: (_action, name) => !name.startsWith(HIDDEN) }
  const access: Access = {
    identify: async () => grant,
    async authorize({ target }) {
      if ('name' in target && !grant.may('pull', target.name))
        throw new RegistryError('denied', 'Cannot pull: you may not')
      return grant
    },
  }
  const { inventory, metadata, content } = disk.store
  const deps = {
    inventory,
    metadata,
    content,
    rules,
    access,
    version: '1.2.3',
    disk: async () => ({ freeBytes: 1, totalBytes: 2 }),
  }
  return openRegistry({ disk, app: { extras: [apiRoutes(deps)] } })
}

/** Gets an answer, which must be as the document says. */
async function get({ http }: TestRegistry, path: string, status = 200) {
  const { body, headers } = await http.get(`/api/v1/${path}`).expect(status)
  assert.equal(headers['content-type'], 'application/json')
  const name = status === 200 ? SCHEMA_OF[path.split('?')[0] ?? ''] : 'Errors'
  const validate = ajv.getSchema(`api#/components/schemas/${name}`)
  assert.ok(validate, `no schema ${name}`)
  assert.ok(validate(body), JSON.stringify([validate.errors, body], null, 1))
  return body
}

async function pushReal(registry: TestRegistry, name: string, tag: string, layers: readonly string[]) {
  const config = JSON.stringify({
    os: 'linux',
    architecture: 'amd64',
    created: '2025-01-02T03:04:05Z',
    config: {
      Env: ['A=b'],
      Cmd: ['/bin/sh'],
      Labels: { 'org.opencontainers.image.title': 'T', own: 'x' },
      ExposedPorts: { '80/tcp': {} },
    },
    rootfs: { type: 'layers', diff_ids: layers.map(layer => digestOf(Buffer.from(layer))) },
    history: [
      { created_by: 'ENV A=b', empty_layer: true },
      ...layers.map(layer => ({ created_by: `RUN ${layer}` })),
    ],
  })
  const bytes = manifestBytes({
    config: {
      mediaType: MEDIA_TYPE.ociConfig,
      digest: await pushBlob(registry, name, config),
      size: config.length,
    },
    layers: await Promise.all(
      layers.map(async layer => ({
        mediaType: MEDIA_TYPE.ociLayerGzip,
        digest: await pushBlob(registry, name, layer),
        size: layer.length,
      })),
    ),
  })
  await registry.http
    .put(`/v2/${name}/manifests/${tag}`)
    .type(MEDIA_TYPE.ociManifest)
    .send(String(bytes))
    .expect(201)
  return {
    digest: digestOf(bytes),
    size: bytes.length,
    total: bytes.length + config.length + layers.join('').length,
  }
}

const registry = await openApi()

describe('the JSON API', () => {
  let image: Awaited<ReturnType<typeof pushReal>>
  before(async () => {
    image = await pushReal(registry, 'team/app', '1.0', ['shared', 'only here'])
    await pushReal(registry, 'team/tool', '2', ['shared', 'a larger layer of the tool'])
    await pushReal(registry, 'other', '3', ['shared'])
    await pushReal(registry, 'secret/plan', '1', ['hidden'])
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociIndex,
      manifests: [
        {
          mediaType: MEDIA_TYPE.ociManifest,
          digest: image.digest,
          size: image.size,
          platform: { os: 'linux', architecture: 'amd64' },
        },
      ],
      annotations: { 'org.opencontainers.image.version': '1.1' },
    })
    await registry.http.put('/v2/team/app/manifests/multi').type(MEDIA_TYPE.ociIndex).send(index).expect(201)
    await registry.http
      .put('/v2/team/app/manifests/sbom')
      .type(MEDIA_TYPE.ociManifest)
      .send(
        String(
          manifestBytes({
            artifactType: 'application/spdx+json',
            config: {
              mediaType: MEDIA_TYPE.ociEmpty,
              digest: await pushBlob(registry, 'team/app', '{}'),
              size: 2,
            },
            layers: [],
            subject: { mediaType: MEDIA_TYPE.ociManifest, digest: image.digest, size: image.size },
          }),
        ),
      )
      .expect(201)
  })

  it('describes itself', async () => {
    const { body } = await registry.http.get('/api/openapi.json').expect(200)
    const { headers, text } = await registry.http.head('/api/openapi.json').expect(200)
    assert.equal(Number(headers['content-length']), Buffer.byteLength(JSON.stringify(body)))
    assert.ok(!text)
    assert.deepEqual(body, JSON.parse(JSON.stringify(DOCUMENT)))
    assert.deepEqual(
      Object.keys(body.paths).map(path => path.replace('/api/v1/', '')),
      Object.keys(SCHEMA_OF),
    )
  })

  it('lists the repositories that one may pull, by name', async () => {
    const { repositories, next } = await get(registry, 'repositories')
    assert.deepEqual(
      repositories.map((one: { name: string }) => one.name),
      ['other', 'team/app', 'team/tool'],
    )
    assert.equal(repositories[1].tags, 3)
    assert.equal(next, null)
  })

  it('searches, sorts and pages, and a page leads to the next', async () => {
    const seen: string[] = []
    let path = 'repositories?sort=size&n=1&search=t'
    while (path !== '') {
      const { repositories, next } = await get(registry, path)
      seen.push(...repositories.map((one: { name: string }) => one.name))
      path = next === null ? '' : next.slice('/api/v1/'.length)
    }
    assert.deepEqual(seen, ['team/app', 'team/tool', 'other'])
    assert.deepEqual((await get(registry, 'repositories?search=tool')).repositories.length, 1)
    assert.deepEqual((await get(registry, 'repositories?search=plan')).repositories, [])
  })

  it('tells of a repository its true size and its quotas', async () => {
    const detail = await get(registry, 'repository?name=team/tool')
    const { quotas } = detail
    assert.equal(quotas.length, 1)
    assert.equal(quotas[0].prefix, 'team')
    const app = await get(registry, 'repository?name=team/app')
    assert.equal(quotas[0].used < detail.bytes + app.bytes, true)
  })

  it('lists tags, the newest first, with platforms, sizes and referrers', async () => {
    const { tags } = await get(registry, 'tags?repository=team/app')
    assert.deepEqual(tags.map((one: { tag: string }) => one.tag).toSorted(), ['1.0', 'multi', 'sbom'])
    const single = tags.find((one: { tag: string }) => one.tag === '1.0')
    assert.equal(single.bytes, image.total)
    assert.equal(single.referrers, 1)
    assert.equal(single.createdAt, '2025-01-02T03:04:05.000Z')
    assert.deepEqual(single.labels, { 'org.opencontainers.image.title': 'T' })
    const multi = tags.find((one: { tag: string }) => one.tag === 'multi')
    assert.deepEqual(multi.platforms, [{ platform: 'linux/amd64', digest: image.digest, bytes: image.total }])
    const byName = await get(registry, 'tags?repository=team/app&sort=name&n=2')
    assert.deepEqual(
      byName.tags.map((one: { tag: string }) => one.tag),
      ['1.0', 'multi'],
    )
    const rest = await get(registry, byName.next.slice('/api/v1/'.length))
    assert.deepEqual(
      rest.tags.map((one: { tag: string }) => one.tag),
      ['sbom'],
    )
  })

  it('shows an image with its config, history and layers', async () => {
    const { content, tags } = await get(registry, 'manifest?repository=team/app&reference=1.0')
    assert.deepEqual(tags, ['1.0'])
    assert.deepEqual(content.image.env, ['A=b'])
    assert.deepEqual(content.image.exposedPorts, ['80/tcp'])
    assert.equal(content.image.labels.own, 'x')
    assert.deepEqual(
      content.layers.map((layer: { createdBy: string; bytes: number; compression: string }) => [
        layer.createdBy,
        layer.bytes,
        layer.compression,
      ]),
      [
        ['RUN shared', 6, 'gzip'],
        ['RUN only here', 9, 'gzip'],
      ],
    )
  })

  it('shows an index and an artifact', async () => {
    const { content } = await get(registry, 'manifest?repository=team/app&reference=multi')
    assert.equal(content.kind, 'index')
    assert.equal(content.manifests[0].platform, 'linux/amd64')
    const sbom = await get(registry, 'manifest?repository=team/app&reference=sbom')
    assert.equal(sbom.artifactType, 'application/spdx+json')
    assert.equal(sbom.subject, image.digest)
    assert.equal(sbom.content.image, null)
  })

  it('tells what deleting a tag would free: nothing while something else holds the image', async () => {
    const freed = async (repository: string, reference: string) =>
      (await get(registry, `manifest?repository=${repository}&reference=${reference}`)).freedByDelete
    assert.equal(await freed('team/app', '1.0'), 0)
    assert.equal(await freed('team/app', image.digest), null)
    const multi = await get(registry, 'manifest?repository=team/app&reference=multi')
    assert.equal(multi.freedByDelete, multi.bytes - image.total)
    const tool = await get(registry, 'manifest?repository=team/tool&reference=2')
    assert.equal(tool.freedByDelete, tool.bytes - 'shared'.length)
    await registry.http
      .put('/v2/team/tool/manifests/again')
      .type(MEDIA_TYPE.ociManifest)
      .send(String(await bytesOf('team/tool', '2')))
      .expect(201)
    assert.equal(await freed('team/tool', '2'), 0)
  })

  async function bytesOf(name: string, tag: string): Promise<Buffer> {
    const { body } = await registry.http.get(`/v2/${name}/manifests/${tag}`).buffer(true).parse(binary)
    return body
  }

  it('tells of the store its size, and of quotas those that one may know of', async () => {
    const store = await get(registry, 'store')
    assert.deepEqual(
      store.quotas.map((one: { prefix: string }) => one.prefix),
      ['team'],
    )
    assert.equal(store.version, '1.2.3')
    assert.ok(store.bytes > image.total)
  })

  it('keeps what one may not pull from being seen in any way', async () => {
    for (const path of [
      'repository?name=secret/plan',
      'tags?repository=secret/plan',
      'manifest?repository=secret/plan&reference=1',
    ])
      await get(registry, path, 403)
  })

  const wrong: readonly (readonly [string, string, number])[] = [
    ['an unknown repository', 'repository?name=none', 404],
    ['tags of an unknown repository', 'tags?repository=none', 404],
    ['an unknown tag', 'manifest?repository=other&reference=none', 404],
    ['an unknown digest', `manifest?repository=other&reference=${digestOf(Buffer.from('x'))}`, 404],
    ['a bad name', 'repository?name=UPPER', 400],
    ['no name', 'repository', 400],
    ['no reference', 'manifest?repository=other', 400],
    ['a bad digest', 'manifest?repository=other&reference=sha256:x', 400],
    ['a bad count', 'repositories?n=0', 400],
    ['a bad order', 'repositories?sort=age', 400],
    ['a cursor of another order', 'repositories?sort=size&last=team', 400],
  ]
  for (const [name, path, status] of wrong) {
    it(`answers ${status} to ${name}`, async () => {
      await get(registry, path, status)
    })
  }

  it('has no way to write', async () => {
    await registry.http.delete('/api/v1/repository?name=other').expect(404)
  })
})
