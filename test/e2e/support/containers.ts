import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Engine } from './engine.ts'

/** A container in the background. Disposing ends it, however it is. */
export interface Container extends AsyncDisposable {
  readonly name: string
  /** A command in it, which must succeed. */
  exec(command: readonly string[], input?: string): Promise<string>
  /** All that it has printed. */
  logs(): Promise<string>
  /** As `docker stop`: the image's signal, then its exit code. Fails when it does not end in time. */
  stop(graceSeconds: number): Promise<number>
  /** `starting`, `healthy`, `unhealthy` */
  health(): Promise<string>
}

/** Shares the network of this machine. */
export async function startContainer(
  engine: Engine,
  image: string,
  options: readonly string[] = [],
  args: readonly string[] = [],
): Promise<Container> {
  const started = await engine.docker(['run', '--detach', '--network=host', ...options, image, ...args])
  const name = started.trim()
  const inspect = async (format: string): Promise<string> =>
    (await engine.docker(['inspect', '--format', format, name])).trim()
  return {
    name,
    exec: (command, input) =>
      engine.docker(['exec', '--interactive', name, ...command], input === undefined ? {} : { input }),
    async logs() {
      const { stdout, stderr } = await engine.tryDocker(['logs', name])
      return stdout + stderr
    },
    async stop(graceSeconds) {
      await engine.docker(['stop', '--time', `${graceSeconds}`, name])
      const code = Number(await inspect('{{.State.ExitCode}}'))
      assert.notEqual(code, 137, 'it had to be killed')
      return code
    },
    health: () => inspect('{{.State.Health.Status}}'),
    async [Symbol.asyncDispose]() {
      await engine.tryDocker(['rm', '--force', '--volumes', name])
    },
  }
}

/** Asks again until there is an answer that is wanted; fails with the last one, or the last error. */
export async function eventually<T>(
  ask: () => Promise<T>,
  isWanted: (answer: T) => boolean = () => true,
  timeoutMs = 60_000,
): Promise<T> {
  let last: unknown = 'nothing was asked'
  for (const end = Date.now() + timeoutMs; Date.now() < end; await sleep(100)) {
    try {
      const answer = await ask()
      if (isWanted(answer)) return answer
      last = answer
    } catch (error) {
      last = error
    }
  }
  return assert.fail(
    `no wanted answer in ${timeoutMs / 1000} s: ${last instanceof Error ? last.stack : last}`,
  )
}

/** A port of the loopback interface that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  assert.ok(address !== null && typeof address === 'object')
  return address.port
}
