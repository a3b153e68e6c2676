/**
 * An ssh agent for a step: what the step may ask is which keys there are, and for signatures. It can neither take keys
 * from the agent nor lock it.
 *
 * Messages (draft-ietf-sshm-ssh-agent) are a length of four bytes and as many bytes more, the first of which tells what
 * they are. An agent answers each, in order.
 */
import { once } from 'node:events'
import { chmod, chown } from 'node:fs/promises'
import { createConnection, createServer, type Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'

const REQUEST_IDENTITIES = 11
const SIGN_REQUEST = 13
const ALLOWED: ReadonlySet<number | undefined> = new Set([REQUEST_IDENTITIES, SIGN_REQUEST])
const FAILURE = Buffer.from([0, 0, 0, 1, 5])
const MAX_MESSAGE = 256 * 1024
/** Of a step at one time: each takes two of the files that we may open. */
const MAX_CONNECTIONS = 64

export interface RelayOptions {
  /** Of the agent. */
  readonly agent: string
  /** Where the step finds it; not there yet. */
  readonly path: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

/** Until it is disposed. */
export async function serveAgent({ agent, path, mode, uid, gid }: RelayOptions): Promise<AsyncDisposable> {
  const open = new Set<Socket>()
  const server = createServer(client => {
    const upstream = createConnection(agent)
    for (const socket of [client, upstream]) {
      open.add(socket)
      socket.once('close', () => open.delete(socket))
      // Whoever waits for it learns of it too.
      socket.on('error', () => undefined)
    }
    void relay(client, upstream).finally(() => {
      client.destroy()
      upstream.destroy()
    })
  })
  server.maxConnections = MAX_CONNECTIONS
  server.listen(path)
  await once(server, 'listening')
  await chown(path, uid, gid)
  await chmod(path, mode)
  return {
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}

async function relay(client: Socket, agent: Socket): Promise<void> {
  try {
    // Who does not read the answers is asked for nothing more.
    await pipeline(client, requests => answers(requests, agent), client)
  } catch (error) {
    // Either side may be gone at any time: the step sees a closed connection.
    if (!(error instanceof Error && 'code' in error)) throw error
  }
}

async function* answers(requests: AsyncIterable<Buffer>, agent: Socket): AsyncGenerator<Buffer> {
  const replies = messages(agent)
  for await (const request of messages(requests)) {
    if (!ALLOWED.has(request[4])) {
      yield FAILURE
      continue
    }
    agent.write(request)
    const reply = await replies.next()
    if (reply.done === true) return
    yield reply.value
  }
}

/** Ends where a message is longer than any that an agent takes. */
async function* messages(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  let held = Buffer.alloc(0)
  for await (const chunk of source) {
    held = Buffer.concat([held, chunk])
    while (held.length >= 4) {
      const length = held.readUInt32BE()
      if (length === 0 || length > MAX_MESSAGE) return
      if (held.length < 4 + length) break
      yield held.subarray(0, 4 + length)
      held = held.subarray(4 + length)
    }
  }
}
