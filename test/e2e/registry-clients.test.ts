/** What the other tests of clients do not do: containerd, synchronized repositories, artifacts and their referrers. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Containerd, startContainerd } from './support/containerd.ts'
import { readImage } from './support/image-contents.ts'
import { succeed } from './support/process.ts'
import { type Asked, MANIFEST, sha256, targetOf } from './support/registry-probes.ts'
import type { Served } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const programs = ['containerd', 'ctr', 'skopeo', 'umoci']

describe('more clients of the registry', { skip: cannotRun({ root: true, programs }) }, () => {
  let world: World
  let served: Served
  let containerd: Containerd
  let short: string
  const skopeo = (...args: string[]): Promise<string> => succeed('skopeo', ['--insecure-policy', ...args])
  const ask = (path: string, asked?: Asked) => targetOf(served.host, 'app').ask(path, asked)

  before(async () => {
    world = await createWorld({ base: true })
    const context = await world.folder('app', {
      Dockerfile: 'FROM base:1\nCOPY greeting /\n',
      greeting: 'hi\n',
    })
    for (const platform of ['linux/amd64', 'linux/arm64'])
      await world.slipway.run(['build', '--platform', platform, '-t', `team/${platform.slice(6)}`, context])
    served = await world.slipway.serve()
    short = await mkdtemp(join(tmpdir(), 'ctrd-'))
    containerd = await startContainerd(short)
  })
  after(async () => {
    await containerd?.[Symbol.asyncDispose]()
    await served?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
    if (short !== undefined) await rm(short, { recursive: true, force: true })
  })

  it('containerd pulls from us, and pushes to us what it pulled', async () => {
    const from = `${served.host}/team/amd64:latest`
    const to = `${served.host}/by/containerd:1`
    await containerd.ctr(['images', 'pull', '--plain-http', '--snapshotter', 'native', from])
    await containerd.ctr(['images', 'tag', from, to])
    await containerd.ctr(['images', 'push', '--plain-http', to])
    const digests = await Promise.all(
      [from, to].map(name =>
        skopeo('inspect', '--tls-verify=false', '--format', '{{.Digest}}', `docker://${name}`),
      ),
    )
    assert.equal(digests[0], digests[1])
    assert.match(await containerd.ctr(['images', 'check']), /by\/containerd:1 .*complete/)
  })

  it('containerd fetches from us by digest, and finds what it has', async () => {
    const manifest = await ask('/v2/team/amd64/manifests/latest')
    const byDigest = `${served.host}/team/amd64@${manifest.headers['docker-content-digest']}`
    await containerd.ctr(['content', 'fetch', '--plain-http', byDigest])
    await containerd.ctr(['content', 'fetch', '--plain-http', byDigest])
  })

  it('skopeo synchronizes a repository into a folder and back under another name', async () => {
    const folder = join(world.scratch, 'synchronized')
    await skopeo(
      'sync',
      '--src-tls-verify=false',
      '--src',
      'docker',
      '--dest',
      'dir',
      `${served.host}/team/amd64`,
      folder,
    )
    assert.deepEqual(await readdir(folder), ['amd64:latest'])
    await skopeo(
      'sync',
      '--dest-tls-verify=false',
      '--src',
      'dir',
      '--dest',
      'docker',
      folder,
      `${served.host}/copy`,
    )
    const listed = await skopeo('list-tags', '--tls-verify=false', `docker://${served.host}/copy/amd64`)
    assert.deepEqual(JSON.parse(listed).Tags, ['latest'])
    const original = await readImage(`docker://${served.host}/team/amd64`, join(world.scratch, 'original'))
    const copied = await readImage(`docker://${served.host}/copy/amd64`, join(world.scratch, 'copied'))
    assert.deepEqual(copied, original)
  })

  it('umoci changes an image of ours, and we serve what it made', async () => {
    const layout = join(world.scratch, 'umoci-layout')
    await skopeo('copy', '--src-tls-verify=false', `docker://${served.host}/team/amd64`, `oci:${layout}:in`)
    await succeed('umoci', [
      'config',
      '--image',
      `${layout}:in`,
      '--tag',
      'out',
      '--config.label',
      'by=umoci',
    ])
    await skopeo('copy', '--dest-tls-verify=false', `oci:${layout}:out`, `docker://${served.host}/by/umoci:1`)
    const inspected = await skopeo('inspect', '--tls-verify=false', `docker://${served.host}/by/umoci:1`)
    assert.equal(JSON.parse(inspected).Labels.by, 'umoci')
  })

  it('a signature pushed by plain requests is among the referrers of its image, and copied with it', async () => {
    const subject = (await ask('/v2/team/amd64/manifests/latest')).headers['docker-content-digest'] ?? ''
    for (const text of ['{}', 'a signature']) {
      const { status } = await ask(`/v2/team/amd64/blobs/uploads/?digest=${sha256(text)}`, {
        method: 'POST',
        body: text,
      })
      assert.equal(status, 201)
    }
    const artifact = JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      artifactType: 'application/vnd.example.signature',
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: sha256('{}'), size: 2 },
      layers: [{ mediaType: 'text/plain', digest: sha256('a signature'), size: 11 }],
      subject: { mediaType: MANIFEST, digest: subject, size: 1 },
      annotations: { 'org.example.by': 'a test' },
    })
    const put = await ask(`/v2/team/amd64/manifests/${sha256(artifact)}`, {
      method: 'PUT',
      headers: { 'Content-Type': MANIFEST },
      body: artifact,
    })
    assert.equal(put.headers['oci-subject'], subject)
    const { manifests } = JSON.parse((await ask(`/v2/team/amd64/referrers/${subject}`)).body)
    assert.deepEqual(
      manifests.map((item: { artifactType: string; digest: string }) => [item.artifactType, item.digest]),
      [['application/vnd.example.signature', sha256(artifact)]],
    )
    const copy = join(world.scratch, 'signature')
    const source = `docker://${served.host}/team/amd64@${sha256(artifact)}`
    await skopeo('copy', '--src-tls-verify=false', source, `dir:${copy}`)
    assert.equal(await readFile(join(copy, 'manifest.json'), 'utf8'), artifact)
  })
})
