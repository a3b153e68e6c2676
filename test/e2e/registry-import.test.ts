/** The data of another registry, as Debian's docker-registry leaves it, and OCI layouts with several images. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { digestOf } from '../../src/oci/digest.ts'
import { findProgram, succeed } from './support/process.ts'
import { slipwayAt } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const programs = ['docker-registry', 'skopeo']

interface Peer extends AsyncDisposable {
  readonly host: string
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

/** Debian's registry over a data directory. */
async function startPeer(world: World, data: string): Promise<Peer> {
  const host = `127.0.0.1:${await freePort()}`
  const config = join(world.scratch, 'peer.yml')
  await writeFile(
    config,
    `version: 0.1\nlog: { level: error }\nstorage:\n  filesystem: { rootdirectory: ${data} }\n  delete: { enabled: true }\nhttp: { addr: "${host}" }\n`,
  )
  const child: ChildProcess = spawn(findProgram('docker-registry') ?? '', ['serve', config], {
    stdio: 'ignore',
  })
  const ended = once(child, 'exit')
  for (let tries = 0; ; tries++) {
    try {
      await fetch(`http://${host}/v2/`)
      break
    } catch (error) {
      if (tries === 100 || child.exitCode !== null) throw error
      await sleep(100)
    }
  }
  return {
    host,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

async function digestAt(host: string, name: string, reference: string): Promise<string | undefined> {
  const accept = [
    'application/vnd.oci.image.manifest.v1+json',
    'application/vnd.oci.image.index.v1+json',
    'application/vnd.docker.distribution.manifest.v2+json',
    'application/vnd.docker.distribution.manifest.list.v2+json',
  ].join(', ')
  const answer = await fetch(`http://${host}/v2/${name}/manifests/${reference}`, { headers: { accept } })
  return answer.ok ? digestOf(Buffer.from(await answer.arrayBuffer())) : undefined
}

/** Sends a blob in one request, as the specification has it since 1.0. */
async function pushBlob(host: string, name: string, bytes: string): Promise<void> {
  const begun = await fetch(`http://${host}/v2/${name}/blobs/uploads/`, { method: 'POST' })
  const url = new URL(begun.headers.get('location') ?? '', `http://${host}`)
  url.searchParams.set('digest', digestOf(bytes))
  const headers = { 'content-type': 'application/octet-stream' }
  assert.equal((await fetch(url, { method: 'PUT', body: bytes, headers })).status, 201)
}

async function pushManifest(host: string, name: string, reference: string, manifest: object): Promise<void> {
  const body = JSON.stringify(manifest)
  const headers = { 'content-type': (manifest as { mediaType: string }).mediaType }
  const answer = await fetch(`http://${host}/v2/${name}/manifests/${reference}`, {
    method: 'PUT',
    body,
    headers,
  })
  assert.equal(answer.status, 201, await answer.text())
}

describe('the data of another registry', { skip: cannotRun({ root: true, programs }) }, () => {
  let world: World
  before(async () => {
    world = await createWorld({ base: true })
  })
  after(() => world?.[Symbol.asyncDispose]())

  it('comes over with repositories, tags, indexes and referrers; damage is named and left out', async () => {
    const data = join(world.scratch, 'peer')
    const config = '{}'
    const layer = 'layer of an artifact'
    const describeText = (text: string, mediaType: string) => ({
      mediaType,
      digest: digestOf(text),
      size: text.length,
    })
    const tags: Record<string, string | undefined> = {}
    let lostLayer = ''
    {
      await using peer = await startPeer(world, data)
      for (const name of ['app:1', 'app:2', 'team/tools/app:latest', 'doomed:1']) {
        const context = await world.folder(name.replaceAll(/[/:]/g, '-'), {
          Dockerfile: 'FROM base:1\nCOPY file /file\n',
          file: name,
        })
        await world.slipway.run(['build', '-t', name, context])
        await world.slipway.run(['copy', `store:${name}`, `docker://${peer.host}/${name}`])
      }
      const subject = describeText('', 'application/vnd.oci.image.manifest.v1+json')
      const image = await fetch(`http://${peer.host}/v2/app/manifests/1`, {
        headers: { accept: subject.mediaType },
      })
      const bytes = await image.text()
      const imageDescriptor = describeText(bytes, subject.mediaType)
      await pushManifest(peer.host, 'app', 'index', {
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.index.v1+json',
        manifests: [{ ...imageDescriptor, platform: { os: 'linux', architecture: 'amd64' } }],
      })
      for (const text of [config, layer]) await pushBlob(peer.host, 'app', text)
      const signature = {
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        artifactType: 'application/vnd.example.signature',
        config: describeText(config, 'application/vnd.oci.empty.v1+json'),
        layers: [describeText(layer, 'text/plain')],
        subject: imageDescriptor,
      }
      await pushManifest(peer.host, 'app', digestOf(JSON.stringify(signature)), signature)
      for (const [name, tag] of [
        ['app', '1'],
        ['app', '2'],
        ['app', 'index'],
        ['team/tools/app', 'latest'],
      ] as const)
        tags[`${name}:${tag}`] = await digestAt(peer.host, name, tag)
      const doomed = await fetch(`http://${peer.host}/v2/doomed/manifests/1`, {
        headers: { accept: subject.mediaType },
      })
      lostLayer = JSON.parse(await doomed.text()).layers.at(-1).digest
    }
    const hex = lostLayer.slice('sha256:'.length)
    const blob = join(data, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data')
    await writeFile(blob, 'other bytes')

    const fresh = slipwayAt(join(world.scratch, 'imported'))
    const { code, stdout, stderr } = await fresh.try(['load', '-i', data])
    assert.equal(code, 0, stderr)
    assert.match(stdout, /^loaded app: 4 manifests, tags 1 2 index$/m)
    assert.match(stdout, /^loaded team\/tools\/app: 1 manifests, tags latest$/m)
    assert.match(stdout, /blobs: \d+ linked, 0 copied; 2 entries left out/)
    assert.match(stderr, new RegExp(`left out doomed@sha256:.*want ${lostLayer}`))
    assert.match(stderr, /left out doomed:1: its manifest .* is not there, or not whole/)
    await rm(data, { recursive: true })
    await fresh.run(['verify'])

    await using served = await fresh.serve()
    for (const [name, digest] of Object.entries(tags)) {
      assert.ok(digest, name)
      const [repository = '', tag = ''] = name.split(':')
      assert.equal(await digestAt(served.host, repository, tag), digest, name)
    }
    assert.equal(await digestAt(served.host, 'doomed', '1'), undefined)
    const referrers = await fetch(`http://${served.host}/v2/app/referrers/${tags['app:1']}`)
    const listed = (await referrers.json()) as { manifests: { artifactType: string }[] }
    assert.deepEqual(
      listed.manifests.map(({ artifactType }) => artifactType),
      ['application/vnd.example.signature'],
    )
    const copied = join(world.scratch, 'copied')
    await succeed('skopeo', [
      'copy',
      '--src-tls-verify=false',
      `docker://${served.host}/app:2`,
      `dir:${copied}`,
    ])
    assert.ok((await stat(join(copied, 'manifest.json'))).isFile())
  })

  it('comes as an OCI layout of several images, too', async () => {
    const layout = join(world.scratch, 'layout')
    for (const name of ['one', 'two']) {
      await world.slipway.run(['tag', 'base:1', `${name}:1`])
      await world.slipway.run(['copy', `store:${name}:1`, `oci:${layout}:registry.example/${name}:1`])
    }
    assert.ok((await readdir(layout)).includes('oci-layout'))
    const fresh = slipwayAt(join(world.scratch, 'from-layout'))
    const stdout = await fresh.run(['load', '-i', layout])
    for (const name of ['one', 'two']) assert.match(stdout, new RegExp(`loaded registry.example/${name}:1`))
  })
})
