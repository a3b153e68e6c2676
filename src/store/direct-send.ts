/**
 * Bodies that the kernel moves from a file to a connection, past Node.js, which has no such call. A connection of
 * Node's does not block, and what tells when there is room again is Node's own: so each stretch of a body begins with
 * a small piece that is written in the ordinary way. Once that is with the kernel, nothing of ours waits before it, and
 * there is room; then the kernel is given as much as it takes. Idle connections, and those that break, are Node's to
 * notice as before.
 *
 * Only on the thread of the connection, and with the descriptor asked for each time: a number that was closed is soon
 * another connection's.
 */
import type { ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import { isErrno } from '../oci/errors.ts'
import { createSendTurns } from './send-turns.ts'

/** What the kernel can do. Calls return at once, and throw errors with the errno's name as their code. */
export interface FileSender {
  /**
   * Sends bytes of a file to a connection that does not block: how many it took, 0 at the end of the file; undefined while
   * it takes none. Waits for a disk.
   */
  sendfile(socket: number, file: number, position: number, count: number): number | undefined
  /** False when whoever reads the byte would have to wait for a disk. */
  isCached(file: number, position: number): boolean
}

/** What is to be sent of a file. */
export interface FilePart {
  /** False when the file is closed. */
  isOpen(): boolean
  readonly file: number
  position(): number
  left(): number
  /** That so many bytes have left. */
  sent(count: number): void
  /** That the rest cannot be sent. */
  failed(error: Error): void
}

export interface DirectSends {
  /** True for connections that the kernel can send files to. */
  isPossible(response: ServerResponse): boolean
  /** False when whoever reads the byte would have to wait for a disk. */
  isCached(file: number, position: number): boolean
  /**
   * Sends while the connection takes bytes, and calls back to be given the next piece in the ordinary way: when it takes no
   * more, when bytes have to come from a disk, at the end of the file, and after a stretch. Never when the file is closed
   * or the client gone.
   */
  send(response: ServerResponse, part: FilePart, then: () => void): void
}

/** What others may have to wait for: a tenth of a millisecond or two. */
const TURN_BYTES = 512 * 1024

/** Of one stretch. A connection on which Node sees nothing move for long counts as idle. */
const STRETCH_BYTES = 16 * 1024 * 1024

const GONE = ['EPIPE', 'ECONNRESET', 'ETIMEDOUT', 'ENOTCONN']
/** File systems that cannot do it, and disks that fail, of which a read tells. */
const OF_THE_FILE = ['EINVAL', 'ENOSYS', 'EIO']

export function createDirectSends(sender: FileSender): DirectSends {
  const turns = createSendTurns()
  /** How many bytes left; fewer than wanted when the ordinary way has to go on. */
  const sendSome = (response: ServerResponse, part: FilePart, want: number): number => {
    const socket = descriptorOf(response)
    const position = part.position()
    try {
      if (socket === undefined || want === 0 || !sender.isCached(part.file, position + want - 1)) return 0
      return sender.sendfile(socket, part.file, position, want) ?? 0
    } catch (error) {
      if (isErrno(error, ...GONE)) response.destroy()
      else if (!isErrno(error, ...OF_THE_FILE))
        part.failed(error instanceof Error ? error : new Error(String(error)))
      return 0
    }
  }

  return {
    isCached: (file, position) => sender.isCached(file, position),
    isPossible: response => descriptorOf(response) !== undefined,
    send(response, part, then) {
      let stretch = STRETCH_BYTES
      const turn = (): void => {
        if (!part.isOpen() || response.destroyed) return
        const want = Math.min(TURN_BYTES, part.left(), stretch)
        const got = sendSome(response, part, want)
        part.sent(got)
        stretch -= got
        if (got === TURN_BYTES) turns.take(turn)
        else if (part.isOpen() && !response.destroyed) then()
      }
      turns.take(turn)
    },
  }
}

/** Of the response's connection, where it is plain TCP and has nothing of Node's still to send. */
function descriptorOf(response: ServerResponse): number | undefined {
  const { socket } = response
  if (socket === null || socket.destroyed || socket instanceof TLSSocket) return undefined
  if (response.writableLength > 0 || socket.writableLength > 0) return undefined
  const handle: unknown = Reflect.get(socket, '_handle')
  if (typeof handle !== 'object' || handle === null || !('fd' in handle)) return undefined
  return typeof handle.fd === 'number' && handle.fd >= 0 ? handle.fd : undefined
}
