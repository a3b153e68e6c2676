import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createSocket, type Socket as DatagramSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { isErrno } from '../../src/oci/errors.ts'
import { eventually } from './support/containers.ts'
import { findProgram, type Outcome, run } from './support/process.ts'
import { PROGRAM } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const HELPERS = ['slirp4netns', 'pasta'] as const
type Helper = (typeof HELPERS)[number]

describe('network of RUN', {
  skip: cannotRun({ root: true, programs: ['runc', 'unshare', ...HELPERS] }),
}, () => {
  let world: World
  let everywhere: Server
  let loopback: Server
  let count = 0

  before(async () => {
    world = await createWorld({ base: true })
    everywhere = await listen('0.0.0.0')
    loopback = await listen('127.0.0.1')
  })
  after(async () => {
    everywhere?.close()
    loopback?.close()
    await world?.[Symbol.asyncDispose]()
  })

  /** With the helpers that are not named hidden, and what else is mounted over the machine's own. */
  async function tryBuild(
    commands: readonly string[],
    options: readonly string[],
    { helpers = HELPERS, mounts = [] }: { helpers?: readonly Helper[]; mounts?: readonly string[] } = {},
  ): Promise<Outcome> {
    const Dockerfile = `FROM base:1\n${commands.map(command => `RUN ${command}\n`).join('')}`
    const context = await world.folder(`context-${++count}`, { Dockerfile })
    const hidden = HELPERS.filter(name => !helpers.includes(name)).map(
      name => `mount --bind /dev/null "$(readlink -f ${findProgram(name)})"`,
    )
    const script = [...hidden, ...mounts, 'exec "$@"'].join(' && ')
    const build = [PROGRAM, 'build', '--progress=plain', '--no-cache', ...options, context]
    return run('unshare', ['--mount', 'sh', '-c', script, 'sh', ...build], { env: world.slipway.env })
  }

  async function build(...args: Parameters<typeof tryBuild>): Promise<string> {
    const { code, stderr } = await tryBuild(...args)
    assert.equal(code, 0, stderr)
    return stderr
  }

  /** Builds with one step, and returns when that runs the command. */
  async function startStep(command: string) {
    const Dockerfile = `FROM base:1\nRUN echo read""y; ${command}\n`
    const context = await world.folder(`context-${++count}`, { Dockerfile })
    const child = world.slipway.start(['build', '--progress=plain', '--no-cache', context])
    let printed = ''
    child.stderr?.on('data', chunk => {
      printed += String(chunk)
    })
    while (!/ ready$/m.test(printed)) {
      assert.equal(child.exitCode, null, printed)
      await Promise.race([once(child, 'exit'), child.stderr && once(child.stderr, 'data')])
    }
    return { child, printed: () => printed }
  }

  for (const helper of HELPERS)
    it(`with ${helper} reaches what the machine serves to others, and nothing of its loopback interface`, async () => {
      const fetch = (address: string, server: Server) =>
        `timeout 2 wget -q -O - http://${address}:${portOf(server)}/ 2>&1 || echo failed`
      const printed = await build(
        [
          `echo "host: $(${fetch('machine', everywhere)})"`,
          `for a in 127.0.0.1 10.0.2.2 machine; do echo "$a: $(${fetch('$a', loopback)})"; done`,
          'grep -c . /proc/net/unix | sed "s/^/sockets: /"',
        ],
        ['--add-host=machine:host-gateway'],
        { helpers: [helper] },
      )
      if (hasNetwork()) assert.match(printed, /host: served to 0\.0\.0\.0$/m)
      assert.doesNotMatch(printed, /served to 127/)
      for (const address of ['127.0.0.1', '10.0.2.2', 'machine'])
        assert.match(printed, new RegExp(` ${address}: (.*\\n)?.*failed$`, 'm'))
      // Abstract sockets are of the network too: the line is the heading.
      assert.match(printed, /sockets: 1$/m)
      assert.deepEqual(helpersOf(world), [])
    })

  for (const helper of HELPERS)
    it(`with ${helper} finds names where only the machine reaches the resolver`, async () => {
      await using resolver = await startResolver()
      const { scratch } = world
      await world.folder('.', { 'resolv.conf': `nameserver ${resolver.address}\n` })
      const printed = await build(['nslookup -type=a name.example | grep 192.0.2.77'], [], {
        helpers: [helper],
        mounts: [`mount --bind ${scratch}/resolv.conf "$(readlink -f /etc/resolv.conf)"`],
      })
      assert.match(printed, /192\.0\.2\.77/)
    })

  it('is that of the machine where no helper is installed, which is said once', async () => {
    const printed = await build(['true', `wget -q -O - http://127.0.0.1:${portOf(loopback)}/`], [], {
      helpers: [],
    })
    assert.match(printed, /served to 127\.0\.0\.1/)
    assert.deepEqual(
      printed.match(/network: that of this machine, as neither .* is installed \(apt-get install/g)?.length,
      1,
    )
  })

  it('is none where a helper does not work: the step does not start', async () => {
    const { code, stderr } = await tryBuild(['echo star""ted'], [], {
      helpers: ['pasta'],
      mounts: [`mount --bind /bin/false "$(readlink -f ${findProgram('pasta')})"`],
    })
    assert.equal(code, 1, stderr)
    assert.match(stderr, /error: Cannot connect network of step: pasta: it ended at once\n/)
    assert.match(stderr, /--network=host gives the step/)
    assert.doesNotMatch(stderr, /^#\d+ [\d.]+ started/m)
  })

  it('does not keep a build that is interrupted waiting for a helper that hangs', {
    timeout: 18_000,
  }, async () => {
    const Dockerfile = 'FROM base:1\nRUN true\n'
    const context = await world.folder(`context-${++count}`, { Dockerfile })
    const programs = join(world.scratch, 'programs')
    mkdirSync(programs)
    const script = `#!/bin/sh\necho $$ >> ${programs}/began\nexec sleep 1000\n`
    for (const helper of HELPERS) writeFileSync(join(programs, helper), script, { mode: 0o755 })
    const child = spawn(PROGRAM, ['build', '--progress=plain', '--no-cache', context], {
      env: { ...process.env, ...world.slipway.env, PATH: `${programs}:${process.env.PATH}` },
      stdio: 'ignore',
    })
    const ended = once(child, 'exit')
    await eventually(
      async () => existsSync(join(programs, 'began')),
      began => began,
    )
    child.kill('SIGINT')
    // Its patience with the helper is longer than this test is allowed to last.
    await ended
    assert.deepEqual(readFileSync(join(programs, 'began'), 'utf8').trim().split('\n').filter(isAlive), [])
  })

  it('is only loopback, and up, where none is asked for; of the flag or of the configuration', async () => {
    const command = 'ip -o link | grep -c .; ip -o link | grep "lo: <.*UP"'
    assert.match(await build([command], ['--network=none']), / 1\n.* lo: <LOOPBACK,UP/)
    await world.folder('.', { 'slipway.toml': '[build]\nnetwork = "none"\n' })
    const config = `--config=${join(world.scratch, 'slipway.toml')}`
    const list = 'echo "net: $(echo $(ls /sys/class/net))"'
    assert.match(await build([list], [config]), / net: lo$/m)
    const own = readdirSync('/sys/class/net').toSorted().join(' ')
    assert.match(await build([list], [config, '--network=host']), new RegExp(` net: ${own}$`, 'm'))
  })

  it('asks for names as it is told', async () => {
    const printed = await build(
      ['cat /etc/resolv.conf'],
      ['--dns=192.0.2.1', '--dns-search=a.example', '--dns-option=ndots:2'],
    )
    assert.match(printed, /nameserver 192\.0\.2\.1\n.* search a\.example\n.* options ndots:2\n/)
  })

  it('tells when its helper ends before the step', async () => {
    const { child, printed } = await startStep('while [ $(wc -l </proc/net/dev) -gt 3 ]; do sleep 0.1; done')
    const closed = once(child, 'close')
    for (const id of helpersOf(world)) process.kill(id, 'SIGKILL')
    await closed
    assert.match(printed(), /network: (slirp4netns|pasta) ended \(SIGKILL\) while the step ran/)
  })

  it('ends its helper when the build is killed', async () => {
    const { child } = await startStep('sleep 1000')
    const started = helpersOf(world)
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    assert.notDeepEqual(started, [])
    for (let tries = 0; helpersOf(world).length > 0 && tries < 200; tries++) await delay(50)
    assert.deepEqual(helpersOf(world), [])
    // The next build takes down what is left of the step.
    const next = await world.folder(`context-${++count}`, { Dockerfile: 'FROM base:1\nRUN true\n' })
    await world.slipway.run(['build', '--no-cache', next])
  })
})

function isAlive(pid: string): boolean {
  return existsSync(`/proc/${pid}`)
}

function portOf(server: Server): number {
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

async function listen(address: string): Promise<Server> {
  const server = createServer((_request, response) => void response.end(`served to ${address}\n`))
  server.listen(0, address)
  await once(server, 'listening')
  return server
}

interface Resolver extends AsyncDisposable {
  readonly address: string
}

/** Knows `name.example` alone, on an address of the loopback interface that nobody else has. */
async function startResolver(): Promise<Resolver> {
  const socket: DatagramSocket = createSocket('udp4')
  const address = `127.${process.pid % 250}.${(process.pid >> 8) % 250}.53`
  socket.on('message', (query, from) => {
    const answer = Buffer.concat([query.subarray(0, 12), questionOf(query), ANSWER])
    answer.writeUInt16BE(0x8180, 2)
    for (const [offset, number] of [1, 1, 0, 0].entries()) answer.writeUInt16BE(number, 4 + 2 * offset)
    socket.send(answer, from.port, from.address)
  })
  socket.bind(53, address)
  await once(socket, 'listening')
  return {
    address,
    async [Symbol.asyncDispose]() {
      await new Promise<void>(resolve => socket.close(() => resolve()))
    },
  }
}

/** The name of the question, class IN, type A, for a minute: 192.0.2.77 */
const ANSWER = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 77])

function questionOf(query: Buffer): Buffer {
  const end = query.indexOf(0, 12) + 5
  return query.subarray(12, end)
}

function hasNetwork(): boolean {
  return readFileSync('/proc/net/route', 'latin1').trim().split('\n').length > 1
}

/** Process ids of the helpers that work for steps of the world's store, which is among their arguments. */
function helpersOf({ scratch }: World): readonly number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(name => {
      const line = readProc(name, 'cmdline').replaceAll('\0', ' ')
      return line.includes(scratch) && /(slirp4netns|pasta) /.test(line) && !line.includes(' build ')
    })
    .map(Number)
}

/** Empty for a process that has ended. */
function readProc(name: string, file: string): string {
  try {
    return readFileSync(`/proc/${name}/${file}`, 'latin1')
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return ''
    throw error
  }
}
