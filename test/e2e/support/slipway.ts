import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { type Outcome, type RunOptions, run, succeed } from './process.ts'

export const PROGRAM = join(import.meta.dirname, '../../../bin/slipway')

export interface Slipway {
  /** The store's folder. */
  readonly root: string
  readonly env: Readonly<Record<string, string>>
  /** Runs a command that may fail. */
  try(args: readonly string[], options?: RunOptions): Promise<Outcome>
  /** Runs a command that must succeed; returns its standard output. */
  run(args: readonly string[], options?: RunOptions): Promise<string>
  /** Starts a command and leaves it running. */
  start(args: readonly string[]): ChildProcess
  /** Starts the registry on a free port of the loopback interface. */
  serve(): Promise<Served>
}

export interface Served extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string
  readonly process: ChildProcess
}

/**
 * Our program over a store of the test's own, with no configuration but the test's.
 * @param command how it is called: another program with its arguments may stand before it
 */
export function slipwayAt(
  root: string,
  env: Readonly<Record<string, string>> = {},
  command: readonly [string, ...string[]] = [PROGRAM],
): Slipway {
  const [program, ...before] = command
  const own = {
    SLIPWAY_ROOT: root,
    XDG_CONFIG_HOME: join(root, '..', 'no-config'),
    DOCKER_CONFIG: join(root, '..', 'no-docker-config'),
    ...env,
  }
  return {
    root,
    env: own,
    try: (args, options = {}) =>
      run(program, [...before, ...args], { ...options, env: { ...own, ...options.env } }),
    run: (args, options = {}) =>
      succeed(program, [...before, ...args], { ...options, env: { ...own, ...options.env } }),
    start: args =>
      spawn(program, [...before, ...args], {
        env: { ...process.env, ...own },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    serve: () => serve([...command, 'serve', '--listen', '127.0.0.1:0'], own),
  }
}

async function serve(
  [program, ...args]: readonly [string, ...string[]],
  env: Readonly<Record<string, string>>,
): Promise<Served> {
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  let printed = ''
  const host = await new Promise<string>((resolve, reject) => {
    const look = (chunk: Buffer): void => {
      printed += chunk.toString()
      const found = /127\.0\.0\.1:(\d+)/.exec(printed)
      if (found !== null && found[1] !== '0') resolve(found[0])
    }
    child.stdout.on('data', look)
    child.stderr.on('data', look)
    child.once('error', reject)
    child.once('close', code =>
      reject(new assert.AssertionError({ message: `serve ended with ${code}: ${printed}` })),
    )
  })
  return {
    host,
    process: child,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await ended
    },
  }
}
