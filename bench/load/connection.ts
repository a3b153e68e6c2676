import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/**
 * HTTP/1.1 over one socket, one request at a time, that reads every body into the same buffer and forgets it: the client
 * shall take as little of the processor as it can, since the server shares it.
 */
export interface Connection {
  /**
   * @param head request line and headers with the empty line after them
   * @param body as many bytes as the head tells
   */
  ask(head: string, body?: Iterable<Uint8Array>): Promise<Answer>
  close(): void
}

export interface Answer {
  readonly status: number
  /** As received, with the status line. */
  readonly head: string
  readonly bodyBytes: number
}

const BUFFER_BYTES = 512 * 1024
const END_OF_HEAD = Buffer.from('\r\n\r\n')

/** @param host `127.0.0.1:PORT` */
export async function openConnection(host: string): Promise<Connection> {
  const [address = '', port] = host.split(':')
  let waiting: ((answer: Answer) => void) | undefined
  let fail: ((error: Error) => void) | undefined
  let isHead = false
  let partial = Buffer.alloc(0)
  let head: { readonly status: number; readonly text: string; readonly length: number } | undefined
  let left = 0

  const finish = (): void => {
    if (head === undefined || left > 0) return
    const answer = { status: head.status, head: head.text, bodyBytes: head.length }
    head = undefined
    const resolve = waiting
    waiting = undefined
    resolve?.(answer)
  }
  const receive = (length: number, buffer: Uint8Array): boolean => {
    let chunk = Buffer.from(buffer.buffer, buffer.byteOffset, length)
    if (head === undefined) {
      const pending = partial.length === 0 ? chunk : Buffer.concat([partial, chunk])
      const end = pending.indexOf(END_OF_HEAD)
      if (end === -1) {
        partial = Buffer.from(pending)
        return true
      }
      partial = Buffer.alloc(0)
      const text = pending.toString('latin1', 0, end)
      chunk = pending.subarray(end + END_OF_HEAD.length)
      const status = Number(text.slice(9, 12))
      // An answer on the way to the real one.
      if (status === 100) return chunk.length === 0 ? true : receive(chunk.length, chunk)
      const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1]
      if (length === undefined && /\r\ntransfer-encoding:/i.test(text))
        fail?.(new Error(`An answer in chunks is not understood: ${text}`))
      head = { status, text, length: isHead ? 0 : Number(length ?? 0) }
      left = head.length
    }
    left -= chunk.length
    finish()
    return true
  }

  const socket: Socket = connect({
    host: address,
    port: Number(port),
    noDelay: true,
    onread: { buffer: Buffer.allocUnsafe(BUFFER_BYTES), callback: receive },
  })
  const ended = new Promise<never>((_, reject) => {
    fail = reject
    socket.once('error', reject)
    socket.once('close', () => reject(new Error(`The server at ${host} closed the connection`)))
  })
  ended.catch(() => undefined) // told to whoever asks next
  await Promise.race([once(socket, 'connect'), ended])
  return {
    async ask(text, body) {
      isHead = text.startsWith('HEAD ')
      const answered = new Promise<Answer>(resolve => {
        waiting = resolve
      })
      socket.write(text, 'latin1')
      for (const chunk of body ?? []) {
        // A server that refuses answers before the end.
        if (waiting === undefined) break
        if (!socket.write(chunk)) await Promise.race([once(socket, 'drain'), ended])
      }
      return Promise.race([answered, ended])
    },
    close: () => socket.destroy(),
  }
}
