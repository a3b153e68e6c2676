/** `kill -9` at the worst moments: the next command works, and nothing that was whole is lost. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { readImage } from './support/image-contents.ts'
import { succeed } from './support/process.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const programs = ['runc', 'skopeo', 'umoci', 'getfattr']

describe('kill -9', { skip: cannotRun({ root: true, programs }) }, () => {
  let world: World
  before(async () => {
    world = await createWorld({ base: true })
    const context = await world.folder('whole', { Dockerfile: 'FROM base:1\nRUN echo whole > /whole\n' })
    await world.slipway.run(['build', '--network=host', '-t', 'whole', context])
  })
  after(() => world?.[Symbol.asyncDispose]())

  /** The images that were whole before are whole now, read by other tools. */
  const assertWhole = async (): Promise<void> => {
    await using served = await world.slipway.serve()
    const image = await readImage(`docker://${served.host}/whole`, join(world.scratch, 'read'))
    assert.ok(image.tree.has('whole'))
  }

  it('in the middle of a RUN: the container dies with the build, and the same build then succeeds', async () => {
    const mark = `sleeper-${randomBytes(4).toString('hex')}`
    const context = await world.folder('slow', {
      Dockerfile: `FROM base:1\nRUN echo started ${mark}; [ -e /skip ] || sleep 3 # ${mark}\n`,
    })
    const child = world.slipway.start(['build', '--network=host', '--progress=plain', '-t', 'slow', context])
    await waitForOutput(child, new RegExp(`started ${mark}$`, 'm'))
    await kill(child)
    await world.slipway.run(['images'])
    await world.slipway.run(['build', '--network=host', '-t', 'slow', context])
    await assertWhole()
    assert.equal(mountsBelow(world.slipway.root), 0)
  })

  it('at any moment of a build with commits', async () => {
    const lines = Array.from({ length: 6 }, (_, step) => `RUN head -c 3000000 /dev/urandom > /file${step}`)
    const context = await world.folder('commits', { Dockerfile: `FROM base:1\n${lines.join('\n')}\n` })
    for (const delayMs of [150, 300, 450, 600, 750, 900]) {
      const child = world.slipway.start(['build', '--network=host', '--no-cache', '-t', 'commits', context])
      await Promise.race([sleep(delayMs), new Promise(resolve => child.once('close', resolve))])
      await kill(child)
      await world.slipway.run(['gc', '--dry-run'])
    }
    await world.slipway.run(['build', '--network=host', '-t', 'commits', context])
    await using served = await world.slipway.serve()
    const image = await readImage(`docker://${served.host}/commits`, join(world.scratch, 'commits-read'))
    assert.equal([...image.tree.keys()].filter(path => path.startsWith('file')).length, 6)
    assert.equal(mountsBelow(world.slipway.root), 0)
  })

  it('of the registry in the middle of an upload: nothing partial is visible, and the upload can be sent again', async () => {
    const blob = randomBytes(8_000_000)
    const served = await world.slipway.serve()
    const start = await fetch(`http://${served.host}/v2/uploads/test/blobs/uploads/`, { method: 'POST' })
    const location = new URL(start.headers.get('location') ?? '', `http://${served.host}`)
    await new Promise<void>(resolve => {
      const upload = request(location, { method: 'PATCH', headers: { 'content-length': blob.length } })
      upload.on('error', () => resolve())
      upload.write(
        blob.subarray(0, 4_000_000),
        () => void sleep(50).then(() => served.process.kill('SIGKILL')),
      )
    })

    await using again = await world.slipway.serve()
    const catalog = (await (await fetch(`http://${again.host}/v2/_catalog`)).json()) as {
      repositories: string[]
    }
    assert.ok(!catalog.repositories.includes('uploads/test'))
    await succeed('skopeo', [
      '--insecure-policy',
      'copy',
      '--dest-tls-verify=false',
      `docker://${again.host}/whole`,
      `docker://${again.host}/uploads/test:1`,
      '--src-tls-verify=false',
    ])
    await assertWhole()
  })
})

describe('a signal', { skip: cannotRun({ root: true, programs }) }, () => {
  const rows = [
    ['SIGINT', 600, 130, 'Ctrl-C stops the container and cleans up, with exit code 130'],
    ['SIGTERM', 601, 143, 'SIGTERM stops the container and cleans up, with exit code 143'],
    ['SIGHUP', 602, 129, 'a closed terminal stops the container and cleans up, with exit code 129'],
  ] as const
  for (const [signal, seconds, exitCode, title] of rows) {
    it(title, async () => {
      await using world = await createWorld({ base: true })
      const step = `RUN echo started; sleep ${seconds}`
      const context = await world.folder('slow', { Dockerfile: `FROM base:1\n${step}\n` })
      const child = world.slipway.start([
        'build',
        '--network=host',
        '--progress=plain',
        '-t',
        'slow',
        context,
      ])
      await waitForOutput(child, /started$/m)
      const ended = new Promise<number | null>(resolve => child.once('close', resolve))
      child.kill(signal)
      assert.equal(await ended, exitCode)
      assert.equal(mountsBelow(world.slipway.root), 0)
      const sleepers = spawn('pgrep', ['-f', `^sleep ${seconds}$`], { stdio: 'ignore' })
      assert.equal(await new Promise(resolve => sleepers.once('close', resolve)), 1)
    })
  }
})

async function waitForOutput(child: ChildProcess, pattern: RegExp): Promise<void> {
  let printed = ''
  await new Promise<void>((resolve, reject) => {
    const look = (chunk: Buffer): void => {
      printed += chunk.toString()
      // The step's own line shows the command too: only a line of its output counts.
      if (printed.split('\n').some(line => /^#\d+ \d/.test(line) && pattern.test(line))) resolve()
    }
    child.stdout?.on('data', look)
    child.stderr?.on('data', look)
    child.once('close', code =>
      reject(new assert.AssertionError({ message: `ended with ${code}: ${printed}` })),
    )
  })
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = new Promise(resolve => child.once('close', resolve))
  child.kill('SIGKILL')
  await ended
}

function mountsBelow(folder: string): number {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter(line => line.includes(` ${folder}/`)).length
}
