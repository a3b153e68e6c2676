import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError } from '../../../../src/builder/errors.ts'
import { createSshAgents, type SshSource } from '../../../../src/builder/fetch/ssh-agents.ts'

const hasOpenssh = ['/usr/bin/ssh-agent', '/usr/bin/ssh-add', '/usr/bin/ssh-keygen'].every(existsSync)
const OWNER = { mode: 0o640, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }

describe('createSshAgents()', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'slipway-ssh-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const open = (sources: Readonly<Record<string, SshSource>>, environment = process.env) =>
    createSshAgents({
      sources: new Map(Object.entries(sources)),
      environment,
      socketDirectory: mkdtempSync(join(folder, 's')),
    })
  const fails = (task: Promise<unknown>, message: RegExp) =>
    assert.rejects(
      task,
      (error: unknown) =>
        error instanceof BuildError && error.code === 'source-missing' && message.test(error.message),
    )

  /** An agent that answers with what it was asked, after a byte of its own. */
  async function echoAgent(path: string): Promise<Server> {
    const server = createServer(socket => {
      socket.on('data', (data: Buffer) => {
        const reply = Buffer.concat([Buffer.alloc(4), Buffer.from([99]), data.subarray(5)])
        reply.writeUInt32BE(reply.length - 4)
        socket.write(reply)
      })
      socket.on('error', () => undefined)
    })
    server.listen(path)
    await once(server, 'listening')
    return server
  }

  async function connect(
    path: string,
  ): Promise<{ socket: Socket; ask(bytes: Uint8Array): Promise<number[]> }> {
    const socket = createConnection(path)
    await once(socket, 'connect')
    return {
      socket,
      async ask(bytes) {
        socket.write(bytes)
        const [reply] = await once(socket, 'data')
        return [...reply]
      },
    }
  }

  it('knows no agent that nobody gave', async () => {
    await using agents = open({})
    assert.equal(await agents.socket('default'), undefined)
    assert.equal(await agents.serve('default', OWNER), undefined)
  })

  it('lets a step use keys, and neither take, add nor lock them', async () => {
    const path = join(folder, 'agent')
    const agent = await echoAgent(path)
    await using agents = open({ a: { kind: 'socket', path } })
    const served = await agents.serve('a', OWNER)
    assert.ok(served)
    assert.equal(statSync(served.path).mode & 0o7777, 0o640)
    const { socket, ask } = await connect(served.path)
    assert.deepEqual(await ask(Buffer.from([0, 0, 0, 1, 11])), [0, 0, 0, 1, 99])
    assert.deepEqual(await ask(Buffer.from([0, 0, 0, 3, 13, 7, 8])), [0, 0, 0, 3, 99, 7, 8])
    for (const type of [1, 9, 17, 18, 19, 20, 22, 23, 25, 26, 27, 255])
      assert.deepEqual(await ask(Buffer.from([0, 0, 0, 2, type, 0])), [0, 0, 0, 1, 5], `message ${type}`)
    const closed = once(socket, 'close')
    socket.write(Buffer.from([255, 255, 255, 255, 11]))
    await closed
    await served[Symbol.asyncDispose]()
    assert.equal(existsSync(served.path), false)
    agent.close()
  })

  it('takes no more from a step that reads no answers, and no more connections than a step needs', async () => {
    const path = join(folder, 'patient')
    const agent = await echoAgent(path)
    await using agents = open({ a: { kind: 'socket', path } })
    const served = await agents.serve('a', OWNER)
    assert.ok(served)
    const { socket } = await connect(served.path)
    socket.pause()
    const megabyte = Buffer.alloc(1_000_000, Buffer.from([0, 0, 0, 1, 17]))
    let taken = 0
    for (; taken < 50; taken++) {
      const isTaken = await Promise.race([
        new Promise<true>(resolve => socket.write(megabyte, () => resolve(true))),
        delay(300, false),
      ])
      if (!isTaken) break
    }
    assert.ok(taken < 20, `${taken} megabytes of requests wait for nobody`)
    const others = await Promise.all(Array.from({ length: 80 }, () => connect(served.path)))
    const closed = others.map(({ socket }) => once(socket, 'close'))
    await Promise.all(closed.slice(70))
    for (const each of [socket, ...others.map(other => other.socket)]) each.destroy()
    await served[Symbol.asyncDispose]()
    agent.close()
  })

  it('closes the connection where the agent has gone, and goes on', async () => {
    await using agents = open({ a: { kind: 'socket', path: join(folder, 'gone') } })
    const served = await agents.serve('a', OWNER)
    assert.ok(served)
    for (const _ of [1, 2]) {
      const { socket } = await connect(served.path)
      socket.on('error', () => undefined)
      socket.write(Buffer.from([0, 0, 0, 1, 11]))
      await once(socket, 'close')
    }
    await served[Symbol.asyncDispose]()
  })

  it('says that ssh-agent is not installed', async () => {
    await using agents = open({ a: { kind: 'keys', paths: ['key'] } }, { PATH: '/nonexistent' })
    await fails(agents.socket('a'), /ssh-agent is not installed/)
  })

  describe('with keys from files', { skip: hasOpenssh ? false : 'not installed: openssh-client' }, () => {
    const makeKey = (name: string, passphrase = ''): string => {
      const path = join(folder, name)
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', passphrase, '-C', name, '-f', path])
      return path
    }

    it('starts one agent with all of them, which ends with the build and leaves nothing', async () => {
      const paths = [makeKey('first'), makeKey('second')]
      chmodSync(paths[0] ?? '', 0o644)
      const socketDirectory = mkdtempSync(join(folder, 's'))
      let path: string | undefined
      {
        const sources = new Map([['default', { kind: 'keys', paths } as const]])
        await using agents = createSshAgents({ sources, environment: process.env, socketDirectory })
        const [one, two] = await Promise.all([agents.socket('default'), agents.socket('default')])
        assert.equal(one, two)
        path = one
        const served = await agents.serve('default', OWNER)
        assert.ok(served)
        const listed = await list(served.path)
        assert.match(listed, /first[\s\S]*second/)
        await served[Symbol.asyncDispose]()
      }
      assert.ok(path)
      assert.deepEqual(readdirSync(socketDirectory), [])
    })

    it('refuses keys with a passphrase, and what is no key', async () => {
      writeFileSync(join(folder, 'text'), 'no key')
      for (const [path, problem] of [
        [makeKey('locked', 'secret'), /passphrase/],
        [join(folder, 'text'), /Cannot use key .*text" for ssh "a"/],
        [join(folder, 'none'), /missing or cannot be read/],
        [folder, /missing or cannot be read/],
      ] as const) {
        await using agents = open({ a: { kind: 'keys', paths: [path] } })
        await fails(agents.socket('a'), problem)
      }
    })
  })
})

/** Without waiting for it: the agent's relay is in this process. */
async function list(agent: string): Promise<string> {
  const { spawn } = await import('node:child_process')
  const child = spawn('ssh-add', ['-l'], { env: { PATH: process.env.PATH, SSH_AUTH_SOCK: agent } })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  await once(child, 'close')
  return text
}
