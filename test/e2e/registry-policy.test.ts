/** Real clients against retention, immutable tags, quotas and the JSON API of `slipway serve`. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Engine, startEngine } from './support/engine.ts'
import { run, succeed } from './support/process.ts'
import { type Served, type Slipway, slipwayAt } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const programs = ['dockerd', 'docker', 'skopeo', 'runc']

const CONFIG = `
[[immutable]]
repositories = "team/**"
tags = ["v*"]

[[quota]]
prefix = "small"
size = "300k"

[[retention]]
repositories = "team/**"
keep = { newest = 1, tags = ["v*"] }
`

describe('policy of the registry', { skip: cannotRun({ root: true, programs }) }, () => {
  let world: World
  let engine: Engine
  let slipway: Slipway
  let served: Served

  before(async () => {
    world = await createWorld({ base: true })
    const config = join(world.scratch, 'slipway.toml')
    await writeFile(config, CONFIG)
    slipway = slipwayAt(world.slipway.root, { SLIPWAY_CONFIG: config })
    served = await slipway.serve()
    engine = await startEngine()
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
    await served?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  async function api(path: string) {
    const response = await fetch(`http://${served.host}/api/v1/${path}`)
    assert.equal(response.status, 200, await response.clone().text())
    return response.json()
  }

  /** An image of the engine's whose one layer does not compress. */
  async function makeImage(name: string, bytes: number): Promise<string> {
    const context = await world.folder(`context-${name.replaceAll(/[/:.]/g, '-')}`, {
      Dockerfile: 'FROM scratch\nCOPY data /\nLABEL org.opencontainers.image.title=T\n',
      data: randomBytes(bytes / 2).toString('latin1'),
    })
    await engine.build(['-t', `${served.host}/${name}`, context])
    return `${served.host}/${name}`
  }

  it('docker is told why an immutable tag does not move', async () => {
    await engine.docker(['push', await makeImage('team/app:v1', 1000)])
    await engine.docker(['push', `${served.host}/team/app:v1`])
    await makeImage('team/app:v1', 2000)
    await assert.rejects(engine.docker(['push', `${served.host}/team/app:v1`]), /immutable/)
  })

  it('skopeo is, too, for a push and for a delete', async () => {
    const policy = ['--insecure-policy']
    const from = ['--src-tls-verify=false', `docker://${served.host}/base:1`]
    const to = `docker://${served.host}/team/app:v1`
    const copied = await run('skopeo', [...policy, 'copy', '--dest-tls-verify=false', ...from, to])
    assert.notEqual(copied.code, 0)
    assert.match(copied.stderr, /denied|immutable/i)
    const deleted = await run('skopeo', [...policy, 'delete', '--tls-verify=false', to])
    assert.notEqual(deleted.code, 0)
  })

  it('builds, tags and archives of our own keep to it', async () => {
    const context = await world.folder('own', { Dockerfile: 'FROM base:1\nLABEL a=b\n' })
    const refused = /Cannot move tag team\/app:v1: it is immutable/
    for (const args of [
      ['build', '-t', 'team/app:v1', context],
      ['tag', 'base:1', 'team/app:v1'],
    ]) {
      const { code, stderr } = await slipway.try(args)
      assert.equal(code, 1, args[0])
      assert.match(stderr, refused)
    }
    const archive = join(world.scratch, 'archive.tar')
    const other = slipwayAt(join(world.scratch, 'other-store'))
    await other.run([
      'build',
      '-t',
      'team/app:v1',
      await world.folder('empty', { Dockerfile: 'FROM scratch\nLABEL x=y\n' }),
    ])
    await other.run(['save', '-o', archive, 'team/app:v1'])
    const loaded = await slipway.try(['load', '-i', archive])
    assert.equal(loaded.code, 1)
    assert.match(loaded.stderr, refused)
    const removed = await slipway.try(['rmi', 'team/app:v1'])
    assert.match(removed.stderr, /Cannot delete tag team\/app:v1: it is immutable/)
  })

  it('docker is told how much a quota lacks', async () => {
    await engine.docker(['push', await makeImage('small/fits:1', 300_000)])
    const large = await makeImage('small/large:1', 300_000)
    await assert.rejects(engine.docker(['push', large]), /quota of small is 307200 bytes/)
    const { quotas } = (await api('repository?name=small/fits')) as { quotas: { used: number }[] }
    assert.ok((quotas[0]?.used ?? 0) > 100_000 && (quotas[0]?.used ?? 0) <= 307_200)
  })

  it('the API shows what docker pushed', async () => {
    const name = await makeImage('shown/app:1', 50_000)
    await engine.docker(['push', name])
    const { repositories } = (await api('repositories?sort=pushed&n=1')) as {
      repositories: { name: string; bytes: number }[]
    }
    assert.equal(repositories[0]?.name, 'shown/app')
    const { tags } = (await api('tags?repository=shown/app')) as {
      tags: { platforms: { platform: string; bytes: number }[]; labels: Record<string, string> }[]
    }
    assert.match(tags[0]?.platforms[0]?.platform ?? '', /^linux\//)
    assert.equal(tags[0]?.labels['org.opencontainers.image.title'], 'T')
    const manifest = (await api('manifest?repository=shown/app&reference=1')) as {
      bytes: number
      freedByDelete: number
      content: { image: { labels: Record<string, string> } }
    }
    assert.equal(manifest.freedByDelete, manifest.bytes)
    assert.equal(manifest.bytes, repositories[0]?.bytes)
  })

  it('retention shows what it would do, and does that', async () => {
    for (const tag of ['a', 'b'])
      await succeed('skopeo', [
        '--insecure-policy',
        'copy',
        '--src-tls-verify=false',
        '--dest-tls-verify=false',
        `docker://${served.host}/${tag === 'a' ? 'shown/app:1' : 'base:1'}`,
        `docker://${served.host}/team/app:${tag}`,
      ])
    const preview = await slipway.run(['retain', '--dry-run'])
    assert.match(preview, /^keep {4}team\/app:v1 {2}immutable$/m)
    assert.match(preview, /^keep {4}team\/app:b {2}among the newest$/m)
    assert.match(preview, /^remove {2}team\/app:a$/m)
    assert.match(preview, /would remove 1 tag and 0 manifests without a tag, of 1 repository;/)
    await slipway.run(['retain'])
    const { tags } = (await api('tags?repository=team/app&sort=name')) as { tags: { tag: string }[] }
    assert.deepEqual(
      tags.map(({ tag }) => tag),
      ['b', 'v1'],
    )
  })
})
