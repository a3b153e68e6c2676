/** Real clients against `slipway serve`, and `slipway` against what they pushed. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Engine, startEngine } from './support/engine.ts'
import { readImage } from './support/image-contents.ts'
import { buildahIn, podmanIn } from './support/peers.ts'
import { succeed } from './support/process.ts'
import { type Served, slipwayAt } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const programs = ['dockerd', 'docker', 'podman', 'skopeo', 'buildah', 'umoci', 'runc', 'getfattr']

describe('real clients', { skip: cannotRun({ root: true, programs }) }, () => {
  let world: World
  let engine: Engine
  let served: Served
  const podman = (args: readonly string[]): Promise<string> => podmanIn(world.scratch)(args)
  const buildah = (args: readonly string[]): Promise<string> => buildahIn(world.scratch)(args)

  before(async () => {
    world = await createWorld({ base: true })
    const context = await world.folder('app', {
      Dockerfile:
        'FROM base:1\nRUN echo from a step > /made\nCOPY greeting /\nENTRYPOINT ["/bin/cat", "/made", "/greeting"]\n',
      greeting: 'from the context\n',
    })
    await world.slipway.run(['build', '--network=host', '-t', 'team/app:1.0', context])
    served = await world.slipway.serve()
    engine = await startEngine()
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
    await served?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  it('docker gives directories that a step only passes through the modes that they have', async () => {
    const context = await world.folder('passed', {
      Dockerfile:
        'FROM base:1\nRUN mkdir -m 711 /own && touch /own/a /own/b\nRUN chmod 600 /own/a\nCOPY f /tmp/\nCOPY f /root/\n',
      f: '',
    })
    await world.slipway.run(['build', '--network=host', '-t', 'passed', context])
    await engine.docker(['pull', '--quiet', `${served.host}/passed`])
    const stat = ['stat', '-c', '%n %a', '/own', '/root', '/tmp']
    const modes = await engine.docker(['run', '--rm', '--network=host', `${served.host}/passed`, ...stat])
    assert.equal(modes.trim(), '/own 711\n/root 700\n/tmp 1777')
  })

  it('docker pulls and runs an image that we built', async () => {
    await engine.docker(['pull', `${served.host}/team/app:1.0`])
    const printed = await engine.docker(['run', '--rm', '--network=host', `${served.host}/team/app:1.0`])
    assert.equal(printed, 'from a step\nfrom the context\n')
  })

  it('docker pushes to us, and another slipway pulls it from us, equal to the byte of its files', async () => {
    const context = await world.folder('pushed', {
      Dockerfile: `FROM ${served.host}/team/app:1.0\nRUN echo by docker > /docker\n`,
    })
    await engine.build(['-t', `${served.host}/from/docker:2`, context])
    await engine.docker(['push', `${served.host}/from/docker:2`])

    const other = slipwayAt(join(world.scratch, 'other-store'))
    await other.run(['pull', `${served.host}/from/docker:2`])
    await using otherServed = await other.serve()
    const theirs = await readImage(`docker://${served.host}/from/docker:2`, join(world.scratch, 'theirs'))
    await other.run(['tag', `${served.host}/from/docker:2`, 'pulled:2'])
    const ours = await readImage(`docker://${otherServed.host}/pulled:2`, join(world.scratch, 'ours'))
    assert.equal(theirs.tree.get('docker')?.startsWith('file 644 0:0'), true)
    assert.deepEqual(ours, theirs)
  })

  it('we build FROM an image that docker pushed', async () => {
    await engine.docker(['pull', `${served.host}/team/app:1.0`])
    await engine.docker(['tag', `${served.host}/team/app:1.0`, `${served.host}/again:1`])
    await engine.docker(['push', `${served.host}/again:1`])
    const context = await world.folder('on-docker', {
      Dockerfile: 'FROM again:1\nRUN cat /made /greeting > /both\n',
    })
    await world.slipway.run(['build', '--network=host', '-t', 'on-docker', context])
    const image = await readImage(`docker://${served.host}/on-docker`, join(world.scratch, 'on-docker-image'))
    assert.ok(image.tree.has('both'))
  })

  it('skopeo inspects and copies all of an image to us and back', async () => {
    const insecure = ['--insecure-policy']
    const inspected = JSON.parse(
      await succeed('skopeo', [
        ...insecure,
        'inspect',
        '--tls-verify=false',
        `docker://${served.host}/team/app:1.0`,
      ]),
    )
    assert.deepEqual(inspected.RepoTags, ['1.0'])
    const layout = join(world.scratch, 'skopeo-layout')
    await succeed('skopeo', [
      ...insecure,
      'copy',
      '--all',
      '--src-tls-verify=false',
      `docker://${served.host}/team/app:1.0`,
      `oci:${layout}:x`,
    ])
    await succeed('skopeo', [
      ...insecure,
      'copy',
      '--all',
      '--dest-tls-verify=false',
      `oci:${layout}:x`,
      `docker://${served.host}/by/skopeo:3`,
    ])
    const copied = JSON.parse(
      await succeed('skopeo', [
        ...insecure,
        'inspect',
        '--tls-verify=false',
        `docker://${served.host}/by/skopeo:3`,
      ]),
    )
    assert.equal(copied.Digest, inspected.Digest)
    await succeed('skopeo', [
      ...insecure,
      'delete',
      '--tls-verify=false',
      `docker://${served.host}/by/skopeo:3`,
    ])
  })

  it('podman pulls, runs and pushes', async () => {
    await podman(['pull', '--tls-verify=false', `${served.host}/team/app:1.0`])
    const printed = await podman([
      'run',
      '--rm',
      '--network=host',
      '--ulimit=nofile=1024:1024',
      '--ulimit=nproc=1024:1024',
      `${served.host}/team/app:1.0`,
    ])
    assert.equal(printed, 'from a step\nfrom the context\n')
    await podman(['push', '--tls-verify=false', `${served.host}/team/app:1.0`, `${served.host}/by/podman:1`])
    const image = await readImage(`docker://${served.host}/by/podman:1`, join(world.scratch, 'by-podman'))
    assert.ok(image.tree.has('greeting'))
  })

  it('buildah builds FROM one of ours and pushes it to us', async () => {
    const context = await world.folder('buildah-context', {
      Dockerfile: `FROM ${served.host}/team/app:1.0\nRUN echo by buildah > /buildah\n`,
    })
    const name = `${served.host}/by/buildah:1`
    await buildah([
      'bud',
      '--runtime',
      'runc',
      '--isolation',
      'chroot',
      '--tls-verify=false',
      '-t',
      name,
      context,
    ])
    await buildah(['push', '--tls-verify=false', name])
    const image = await readImage(`docker://${served.host}/by/buildah:1`, join(world.scratch, 'by-buildah'))
    assert.ok(image.tree.has('buildah'))
  })

  it('slipway pushes to a registry that is not ours to know: another slipway, by name', async () => {
    const other = slipwayAt(join(world.scratch, 'target-store'))
    await using target = await other.serve()
    await world.slipway.run(['tag', 'team/app:1.0', `${target.host}/pushed/app:1.0`])
    await world.slipway.run(['push', `${target.host}/pushed/app:1.0`])
    const images = JSON.parse(await other.run(['images', '--format', 'json']))
    assert.deepEqual(
      images.map((row: { repository: string; tag: string }) => `${row.repository}:${row.tag}`),
      ['pushed/app:1.0'],
    )
  })
})
