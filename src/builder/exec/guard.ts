import { spawn } from 'node:child_process'
import { BARE_ENVIRONMENT } from '../../linux/bare-environment.ts'

/**
 * Ends a container when we are killed, until it is disposed. In a user namespace nobody who comes after us could: what
 * the runtime knows of the container lies on a mount that only our namespace has, and its processes belong to ids that
 * only our namespace has. A shell beside us waits for the end of a pipe, which comes with our end however we end.
 * @param pid of the runtime that runs the container
 * @param remove program and arguments that end the container with all its processes
 */
export function guardContainer(pid: number, remove: readonly string[]): Disposable {
  const script = 'read -r pid; read -r _ && exit 0; kill -9 "$pid"; exec "$@"'
  const shell = spawn('/bin/sh', ['-c', script, 'sh', ...remove], {
    env: BARE_ENVIRONMENT,
    stdio: ['pipe', 'ignore', 'ignore'],
    // A signal for all that runs in our terminal is not for it.
    detached: true,
  })
  // Somebody killed it before us: nothing to tell it then.
  shell.stdin.on('error', () => undefined)
  shell.stdin.write(`${pid}\n`)
  shell.unref()
  return { [Symbol.dispose]: () => void shell.stdin.end('\n') }
}
