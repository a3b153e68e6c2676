/** Mistakes and misfortunes: one clear error, its place, its exit code, and the store as it was. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Outcome, succeed } from './support/process.ts'
import { slipwayAt } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

describe('bad input', { skip: cannotRun({ root: true, programs: ['runc'] }) }, () => {
  let world: World
  const buildOf = async (
    name: string,
    files: Record<string, string>,
    ...options: string[]
  ): Promise<Outcome> => {
    const context = await world.folder(name, files)
    return world.slipway.try(['build', '--network=host', '-t', `bad/${name}`, ...options, context])
  }

  before(async () => {
    world = await createWorld({ base: true })
  })
  after(() => world?.[Symbol.asyncDispose]())

  /** The error says this, ends with this code, shows no stack trace, and leaves no image behind. */
  const assertRefused = async (
    outcome: Outcome,
    code: number,
    ...says: (string | RegExp)[]
  ): Promise<void> => {
    assert.equal(outcome.code, code, outcome.stderr)
    for (const text of says) {
      if (typeof text === 'string')
        assert.ok(outcome.stderr.includes(text), `${outcome.stderr}\nlacks: ${text}`)
      else assert.match(outcome.stderr, text)
    }
    assert.doesNotMatch(outcome.stderr, /^\s+at .*(node:|\.ts:)/m)
    assert.equal(outcome.stderr.match(/^error: /gm)?.length, 1, outcome.stderr)
    const names = JSON.parse(await world.slipway.run(['images', '--format', 'json']))
    assert.deepEqual(
      names.map((row: { repository: string }) => row.repository),
      ['base'],
    )
  }

  it('a typo in an instruction', async () => {
    const outcome = await buildOf('typo', { Dockerfile: 'FROM base:1\n\nRUNN true\nCMD x\n' })
    await assertRefused(outcome, 2, 'Dockerfile:3', '> 3 | RUNN true', /did you mean RUN\b/i)
  })

  it('an empty Dockerfile, and none', async () => {
    await assertRefused(await buildOf('empty', { Dockerfile: '# nothing\n' }), 2, 'no instructions')
    await assertRefused(await buildOf('none', { other: '' }), 2, 'Dockerfile', '-f')
  })

  it('a missing COPY source', async () => {
    const outcome = await buildOf('missing', { Dockerfile: 'FROM base:1\nCOPY nothere.txt /\n' })
    await assertRefused(outcome, 1, 'Dockerfile:2', '> 2 | COPY nothere.txt /', 'nothere.txt')
  })

  it('a failing RUN', async () => {
    const outcome = await buildOf('failing', {
      Dockerfile: 'FROM base:1\nRUN echo the last words >&2; exit 42\n',
    })
    await assertRefused(outcome, 1, 'Dockerfile:2', '> 2 | RUN', 'the last words', '42')
  })

  it('a program that is not in the image', async () => {
    const outcome = await buildOf('noprogram', { Dockerfile: 'FROM base:1\nRUN ["/no/such/program"]\n' })
    await assertRefused(outcome, 1, 'Dockerfile:2', '/no/such/program')
  })

  it('an unknown user', async () => {
    const outcome = await buildOf('nouser', { Dockerfile: 'FROM base:1\nUSER stranger\nRUN true\n' })
    await assertRefused(outcome, 1, 'Dockerfile:3', 'stranger')
  })

  it('a target that is nearly there', async () => {
    const outcome = await buildOf('target', { Dockerfile: 'FROM base:1 AS builder\n' }, '--target', 'bulider')
    await assertRefused(outcome, 2, 'bulider', 'builder')
  })

  it('an unreachable registry', async () => {
    const outcome = await buildOf('unreachable', { Dockerfile: 'FROM 127.0.0.1:1/app:1\n' })
    await assertRefused(outcome, 1, 'Dockerfile:1', '127.0.0.1:1')
  })

  it('an image that the registry does not have', async () => {
    const empty = slipwayAt(join(world.scratch, 'empty-store'))
    await using served = await empty.serve()
    const outcome = await buildOf('unknown', { Dockerfile: `FROM ${served.host}/nothing:1\n` })
    await assertRefused(outcome, 1, 'Dockerfile:1', `${served.host}/nothing:1`)
  })

  it('a registry that sends other bytes than it promised', async () => {
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: {
        mediaType: 'application/vnd.oci.image.config.v1+json',
        digest: `sha256:${'a'.repeat(64)}`,
        size: 2,
      },
      layers: [],
    })
    const liar = createServer((request, response) => {
      const type = request.url?.includes('/manifests/')
        ? 'application/vnd.oci.image.manifest.v1+json'
        : 'application/octet-stream'
      response.setHeader('content-type', type).end(request.url?.includes('/manifests/') ? manifest : '{}')
    })
    await new Promise<void>(resolve => liar.listen(0, '127.0.0.1', resolve))
    try {
      const host = `127.0.0.1:${(liar.address() as AddressInfo).port}`
      const outcome = await buildOf('liar', { Dockerfile: `FROM ${host}/app:1\n` })
      await assertRefused(outcome, 1, 'Dockerfile:1', 'sha256:aaaa')
    } finally {
      liar.close()
    }
  })

  it('an invalid name', async () => {
    const context = await world.folder('name', { Dockerfile: 'FROM base:1\n' })
    await assertRefused(await world.slipway.try(['build', '-t', 'Not/A Name', context]), 2, 'Not/A Name')
    await assertRefused(await world.slipway.try(['build', '-t', 'App', context]), 2, 'lower case')
  })

  it('commands and options that do not exist', async () => {
    await assertRefused(await world.slipway.try(['biuld']), 2, 'did you mean build')
    await assertRefused(await world.slipway.try(['build', '--no-cach', '.']), 2, '--no-cache')
    await assertRefused(await world.slipway.try(['build']), 2, 'PATH')
    await assertRefused(await world.slipway.try(['rmi', 'nothing:1']), 1, 'nothing:1')
  })

  it('a configuration with an unknown key', async () => {
    const file = join(world.scratch, 'slipway.toml')
    writeFileSync(file, 'root = "/tmp/x"\n\n[serve]\nlisen = "127.0.0.1:1"\n')
    await assertRefused(await world.slipway.try(['images', '--config', file]), 2, `${file}:4`, 'listen')
  })

  it('a port in use', async () => {
    await using served = await world.slipway.serve()
    await assertRefused(
      await world.slipway.try(['serve', '--listen', served.host]),
      1,
      served.host,
      'uses that port',
    )
  })

  it('a store that another program owns', async () => {
    const folder = await world.folder('not-a-store', { 'precious.txt': 'mine\n' })
    const outcome = await world.slipway.try(['images', '--root', folder])
    await assertRefused(outcome, 1, folder)
    assert.deepEqual(readdirSync(folder), ['precious.txt'])
  })

  it('a corrupt blob in the store is named, not served as if it were whole, and a build over it fails clearly', async () => {
    const broken = await createWorld({ base: true })
    try {
      const context = await broken.folder('context', { Dockerfile: 'FROM base:1\nRUN true\n' })
      const [image] = JSON.parse(await broken.slipway.run(['inspect', 'base:1']))
      const digest: string = image.Layers[0].digest
      const blob = join(broken.slipway.root, 'blobs/sha256', digest.slice(7, 9), digest.slice(7))
      const size = statSync(blob).size
      chmodSync(blob, 0o644)
      writeFileSync(blob, Buffer.alloc(size, 'x'))
      const outcome = await broken.slipway.try(['build', '--network=host', '-t', 'x', context])
      assert.equal(outcome.code, 1, outcome.stderr)
      assert.match(outcome.stderr, new RegExp(digest))
      assert.doesNotMatch(outcome.stderr, /^\s+at /m)
    } finally {
      await broken[Symbol.asyncDispose]()
    }
  })

  it('a full disk: the build says so, and what was there stays whole', async () => {
    const mountPoint = join(world.scratch, 'small')
    mkdirSync(mountPoint)
    await succeed('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', mountPoint])
    try {
      const small = slipwayAt(join(mountPoint, 'store'))
      await small.run(['import', join(world.scratch, 'base.tar'), 'base:1'])
      const context = await world.folder('full', {
        Dockerfile: 'FROM base:1\nRUN head -c 100000000 /dev/urandom > /big\n',
      })
      const outcome = await small.try(['build', '--network=host', '-t', 'big', context])
      assert.equal(outcome.code, 1, outcome.stderr)
      assert.match(outcome.stderr, /no space left|disk is full/i)
      assert.doesNotMatch(outcome.stderr, /^\s+at /m)
      const good = await world.folder('fits', { Dockerfile: 'FROM base:1\nRUN echo fits > /small\n' })
      await small.run(['build', '--network=host', '-t', 'fits', good])
      assert.match(await small.run(['images']), /^fits +latest/m)
    } finally {
      await succeed('umount', [mountPoint])
    }
  })
})
