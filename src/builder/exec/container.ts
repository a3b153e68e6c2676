import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { BARE_ENVIRONMENT } from '../../linux/bare-environment.ts'
import { isJsonObject, parseJson } from '../../oci/json.ts'
import { BuildError } from '../errors.ts'
import { readIfThere } from '../snapshot/read-if-there.ts'
import { deleteContainer } from '../snapshot/stale-state.ts'
import type { ExecContext } from './executor.ts'
import { guardContainer } from './guard.ts'
import { limitHint } from './limits.ts'

export interface Container {
  /** Absolute path of the OCI runtime. */
  readonly runtime: string
  /** The container's own, named as the container; holds, in `private`, the runtime's bundle, state and log. */
  readonly directory: string
  readonly id: string
  readonly spec: object
  /** Our own terminal becomes that of its process; `spec` says so too. */
  readonly isInteractive?: boolean
  /** It ends when we are killed; otherwise the next one who cleans up ends it. */
  readonly endsWithUs?: boolean
}

/**
 * Runs a container to its end. Its standard input is empty, unless it is interactive. In whatever way this returns, no process of it is left.
 * @returns the exit code of its process (128 and the signal's number when a signal ended it)
 * @throws BuildError `run-failed` when the runtime could not start the process; the signal's reason when aborted
 */
export async function runContainer(container: Container, context: ExecContext): Promise<number> {
  const { runtime, directory, id, spec, isInteractive = false, endsWithUs = false } = container
  const bundle = `${directory}/private`
  const log = `${bundle}/log`
  mkdirSync(bundle, { recursive: true, mode: 0o700 })
  writeFileSync(`${bundle}/config.json`, JSON.stringify(spec))
  // From here on whoever cleans up knows that there may be a container.
  writeFileSync(`${directory}/runtime`, runtime)
  context.signal.throwIfAborted()
  const child = spawn(
    runtime,
    ['--root', `${bundle}/state`, '--log', log, '--log-format', 'json', 'run', '--bundle', bundle, id],
    isInteractive
      ? // What the runtime has to say is in its log.
        { env: BARE_ENVIRONMENT, stdio: ['inherit', 'inherit', 'ignore'] }
      : // In a session of its own, so that a terminal's Ctrl-C reaches us alone.
        { env: BARE_ENVIRONMENT, stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  )
  using _guard =
    endsWithUs && child.pid !== undefined
      ? guardContainer(child.pid, [runtime, '--root', `${bundle}/state`, 'delete', '--force', id])
      : undefined
  for (const stream of ['stdout', 'stderr'] as const)
    forward(child[stream], chunk => context.output(stream, chunk), context.signal)
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('exit', resolve)
    child.once('error', cause => reject(cannotStart(cause.message, cause)))
  })
  const closed = new Promise<void>(resolve => child.once('close', () => resolve()))
  const kill = () => {
    child.kill('SIGKILL')
    child.stdout?.resume()
    child.stderr?.resume()
  }
  context.signal.addEventListener('abort', kill)
  try {
    const exitCode = await exited
    // Only now: a runtime that still lives could start more. What is left also holds the output pipes open.
    if (exitCode === null) await deleteContainer(directory)
    await closed
    context.signal.throwIfAborted()
    if (exitCode === 0) return 0
    const problem = readRuntimeError(log)
    if (exitCode !== null && problem === undefined) return exitCode
    throw cannotStart(problem ?? 'the runtime was killed')
  } finally {
    context.signal.removeEventListener('abort', kill)
  }
}

/** Reads no faster than the chunks are taken; once aborted, nobody waits any more. */
export function forward(
  source: Readable | null,
  take: (chunk: Uint8Array) => void | Promise<void>,
  signal: AbortSignal,
): void {
  source?.on('data', async (chunk: Uint8Array) => {
    const taken = take(chunk)
    if (taken === undefined || signal.aborted) return
    source.pause()
    await taken
    source.resume()
  })
}

function cannotStart(problem: string, cause?: unknown): BuildError {
  return new BuildError('run-failed', `Cannot start container: ${problem}`, { cause, ...limitHint(problem) })
}

/** The last error that the runtime logged, in its own words. */
function readRuntimeError(log: string): string | undefined {
  const lines = (readIfThere(log) ?? '').split('\n').filter(line => line !== '')
  for (const line of lines.reverse()) {
    const message = errorMessage(line)
    if (message !== undefined) return message
  }
  return undefined
}

function errorMessage(line: string): string | undefined {
  const entry = parseJson(Buffer.from(line))
  return isJsonObject(entry) && entry.level === 'error' && typeof entry.msg === 'string'
    ? entry.msg
    : undefined
}
