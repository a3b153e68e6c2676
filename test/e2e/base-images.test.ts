/** Where FROM finds an image: own ones first, then registries through their mirrors; and with whose credentials. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Served, slipwayAt } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

describe('base images', { skip: cannotRun({ root: true, programs: ['runc'] }) }, () => {
  let world: World
  let mirror: Served
  before(async () => {
    world = await createWorld({ base: true })
    await world.slipway.run(['tag', 'base:1', 'library/mirrored:1'])
    mirror = await world.slipway.serve()
  })
  after(async () => {
    await mirror?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  const configured = async (name: string, toml: string): Promise<ReturnType<typeof slipwayAt>> => {
    const file = join(world.scratch, `${name}.toml`)
    writeFileSync(file, toml)
    return slipwayAt(join(world.scratch, name), { SLIPWAY_CONFIG: file })
  }

  it("a name without a host is Docker Hub's, asked for at its mirror, and kept under its full name", async () => {
    const slipway = await configured('hub', `[registry."docker.io"]\nmirrors = ["${mirror.host}"]\n`)
    const context = await world.folder('hub-context', { Dockerfile: 'FROM mirrored:1\nRUN true\n' })
    await slipway.run(['build', '--network=host', '-t', 'app', context])
    assert.match(await slipway.run(['images']), /^docker\.io\/library\/mirrored +1 /m)
    await slipway.run(['pull', 'mirrored:1'])
  })

  it("an image of our own comes before Docker Hub's of the same name", async () => {
    const slipway = await configured('own', '[registry."docker.io"]\nmirrors = ["127.0.0.1:1"]\n')
    await slipway.run([
      'import',
      join(world.scratch, 'base.tar'),
      'mirrored:1',
      '--change',
      'LABEL whose=ours',
    ])
    const context = await world.folder('own-context', { Dockerfile: 'FROM mirrored:1\nLABEL built=yes\n' })
    await slipway.run(['build', '-t', 'app', context])
    const [image] = JSON.parse(await slipway.run(['inspect', 'app']))
    assert.deepEqual(image.Config.Labels, { whose: 'ours', built: 'yes' })
  })

  it('a build that is cached asks no registry, unless told to with --pull', async () => {
    const slipway = await configured('pull', `[registry."docker.io"]\nmirrors = ["${mirror.host}"]\n`)
    const context = await world.folder('pull-context', { Dockerfile: 'FROM mirrored:1\nRUN true\n' })
    await slipway.run(['build', '--network=host', '-t', 'app', context])
    const offline = join(world.scratch, 'offline.toml')
    writeFileSync(offline, '[registry."docker.io"]\nmirrors = ["127.0.0.1:1"]\n')
    await slipway.run(['build', '--config', offline, '--network=host', '-t', 'app', context])
    assert.equal((await slipway.try(['build', '--config', offline, '--pull', '-t', 'app', context])).code, 1)
    await slipway.run(['build', '--pull', '--network=host', '-t', 'app', context])
  })

  it("sends Docker's credentials to the registry they are for, and says when they are wanted", async () => {
    const seen: (string | undefined)[] = []
    const locked = createServer((request, response) => {
      seen.push(request.headers.authorization)
      response.writeHead(401, { 'www-authenticate': 'Basic realm="locked"' }).end()
    })
    await new Promise<void>(resolve => locked.listen(0, '127.0.0.1', resolve))
    try {
      const host = `127.0.0.1:${(locked.address() as AddressInfo).port}`
      const folder = join(world.scratch, 'docker-config')
      await mkdir(folder)
      writeFileSync(
        join(folder, 'config.json'),
        JSON.stringify({ auths: { [host]: { auth: Buffer.from('user:secret').toString('base64') } } }),
      )
      const slipway = slipwayAt(join(world.scratch, 'locked'), { DOCKER_CONFIG: folder })
      const outcome = await slipway.try(['pull', `${host}/app:1`])
      assert.equal(outcome.code, 1)
      assert.ok(outcome.stderr.includes(host), outcome.stderr)
      assert.ok(
        !outcome.stderr.includes('secret') &&
          !outcome.stderr.includes(Buffer.from('user:secret').toString('base64')),
      )
      assert.ok(seen.includes(`Basic ${Buffer.from('user:secret').toString('base64')}`))
    } finally {
      locked.close()
    }
  })
})
