/**
 * Holds a container before its process starts, until its network namespace is connected. The runtime makes the
 * namespace, so that it belongs to the user namespace of the container; its hook tells us the container's process and
 * waits for our answer:
 *
 * ```
 * private/request   the hook writes the state of the container (runtime-spec `runtime.md#state`)
 *        /answer    we write a line
 * ```
 *
 * Both are named pipes that we hold open, so that neither side waits for the other to open one.
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { AT_FDCWD, type Linux, S_IFIFO } from '../../linux/linux.ts'

export interface NetworkGate extends Disposable {
  /** For the runtime's configuration (runtime-spec `config.md#posix-platform-hooks`). */
  readonly hooks: object
  /** The first process of the container, which waits; never settles for a container that does not come so far. */
  readonly waiting: Promise<number>
  /** Lets it start, or not. */
  answer(mayStart: boolean): void
}

const SCRIPT = 'cat >"$1" && read -r answer <"$2" && test "$answer" = start'
/** Who waits for us longer waits for a dead process. */
const HOOK_SECONDS = 60
const MAX_STATE_BYTES = 1024 * 1024

export function openNetworkGate(linux: Linux, directory: string): NetworkGate {
  const [request, answer] = [`${directory}/request`, `${directory}/answer`]
  const requestPipe = makePipe(linux, request)
  const answerPipe = makePipe(linux, answer)
  const socket = new Socket({ fd: requestPipe, readable: true, writable: false })
  return {
    hooks: {
      createRuntime: [
        {
          path: '/bin/sh',
          args: ['sh', '-c', SCRIPT, 'network-gate', request, answer],
          env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
          timeout: HOOK_SECONDS,
        },
      ],
    },
    waiting: new Promise((resolve, reject) => {
      let state = ''
      socket.on('data', (chunk: Buffer) => {
        state += chunk.toString('latin1')
        const pid = readPid(state)
        if (pid !== undefined) resolve(pid)
        else if (state.length > MAX_STATE_BYTES)
          reject(new Error('Cannot read state of container: it is too long'))
      })
      socket.on('error', reject)
    }),
    answer: mayStart => void writeSync(answerPipe, mayStart ? 'start\n' : 'stop\n'),
    [Symbol.dispose]() {
      socket.destroy()
      closeSync(answerPipe)
    },
  }
}

/** Undefined for a state that is not all there. */
function readPid(state: string): number | undefined {
  const pid = /"pid"\s*:\s*(\d+)\s*[,}]/.exec(state)?.[1]
  return pid === undefined ? undefined : Number(pid)
}

/** Open for both, without waiting: closed by its owner. */
export function makePipe(linux: Linux, path: string): number {
  linux.mknodat(AT_FDCWD, path, S_IFIFO | 0o600, 0, 0)
  return openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
}
