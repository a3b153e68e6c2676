/** The agents of `--ssh`: one that runs already, or one of the build's own that holds keys from files. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { isErrno } from '../../oci/errors.ts'
import { displayForeign } from '../../remote/errors.ts'
import { BuildError } from '../errors.ts'
import type { Environment } from './git-program.ts'
import { type RelayOptions, serveAgent } from './ssh-relay.ts'

/** Where `--ssh` says that an agent or its keys are. */
export type SshSource =
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'keys'; readonly paths: readonly string[] }

/** Agents that they started end when they are disposed, or soon after the process does. */
export interface SshAgents extends AsyncDisposable {
  /** The agent's socket; undefined for an id that nobody gave. @throws BuildError `source-missing` */
  socket(id: string): Promise<string | undefined>
  /** A socket for a step, over which keys can be used and nothing else; the same. */
  serve(id: string, owner: Omit<RelayOptions, 'agent' | 'path'>): Promise<ServedAgent | undefined>
}

export interface ServedAgent extends AsyncDisposable {
  readonly path: string
}

export interface SshAgentsDeps {
  readonly sources: ReadonlyMap<string, SshSource>
  readonly environment: Environment
  /** With a short name: sockets have no long ones. */
  readonly socketDirectory: string
}

export function createSshAgents({ sources, environment, socketDirectory }: SshAgentsDeps): SshAgents {
  const held = new AsyncDisposableStack()
  const started = new Map<string, Promise<string>>()
  let directory: Promise<string> | undefined
  let count = 0

  async function newSocket(): Promise<string> {
    directory ??= mkdtemp(`${socketDirectory}/slipway-ssh-`).then(made => {
      held.defer(() => rm(made, { recursive: true, force: true }))
      return made
    })
    return `${await directory}/${count++}`
  }

  async function start(id: string, paths: readonly string[]): Promise<string> {
    const path = await newSocket()
    held.use(await startAgent(path, environment))
    for (const key of paths) await addKey(id, key, path, environment)
    return path
  }

  async function socket(id: string): Promise<string | undefined> {
    const source = sources.get(id)
    if (source?.kind !== 'keys') return source?.path
    const agent = started.get(id) ?? start(id, source.paths)
    started.set(id, agent)
    return agent
  }

  return {
    socket,
    async serve(id, owner) {
      const agent = await socket(id)
      if (agent === undefined) return undefined
      const path = await newSocket()
      const server = await serveAgent({ ...owner, agent, path })
      return { path, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
    },
    async [Symbol.asyncDispose]() {
      await Promise.allSettled(started.values())
      await held.disposeAsync()
    },
  }
}

/** The agent ends with the program that it runs, which ends with its standard input: with us, however we end. */
async function startAgent(path: string, { PATH }: Environment): Promise<AsyncDisposable> {
  const child = spawn('ssh-agent', ['-a', path, 'sh', '-c', 'echo "$SSH_AGENT_PID"; exec cat'], {
    env: { ...(PATH !== undefined && { PATH }) },
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
  })
  child.stdin.on('error', () => undefined)
  const ended = exitCode(child, 'ssh-agent')
  ended.catch(() => undefined)
  const first = await Promise.race([once(child.stdout, 'data'), ended])
  const pid = Array.isArray(first) ? Number.parseInt(String(first[0]), 10) : Number.NaN
  if (!(pid > 1)) throw new BuildError('source-missing', 'Cannot start ssh-agent: it ended at once')
  return {
    async [Symbol.asyncDispose]() {
      try {
        process.kill(pid)
      } catch (error) {
        if (!isErrno(error, 'ESRCH')) throw error
      }
      child.stdin.end()
      child.stdout.resume()
      await ended
    },
  }
}

const MAX_KEY_BYTES = 128 * 1024

async function addKey(id: string, file: string, agent: string, { PATH }: Environment): Promise<void> {
  const key = await readKey(id, file)
  const child = spawn('ssh-add', ['-q', '-'], {
    env: {
      ...(PATH !== undefined && { PATH }),
      SSH_AUTH_SOCK: agent,
      SSH_ASKPASS_REQUIRE: 'never',
      LC_ALL: 'C',
    },
    stdio: ['pipe', 'ignore', 'pipe'],
    // Without a terminal to ask for a passphrase.
    detached: true,
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(0, 1000)
  })
  child.stdin.on('error', () => undefined)
  child.stdin.end(key)
  if ((await exitCode(child, 'ssh-add')) === 0) return
  const problem = /passphrase/i.test(said)
    ? 'it has a passphrase'
    : displayForeign(said) || 'it is no private key'
  throw unusable(id, file, problem, 'a key with a passphrase has to be in an agent: --ssh default')
}

async function readKey(id: string, file: string): Promise<Buffer> {
  try {
    await using opened = await open(file)
    const { size } = await opened.stat()
    if (size > MAX_KEY_BYTES) throw unusable(id, file, 'it is too large for a private key')
    return await opened.readFile()
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR')) throw error
    throw unusable(id, file, 'it is missing or cannot be read')
  }
}

function exitCode(child: ChildProcess, program: string): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('close', resolve)
    child.once('error', error =>
      reject(
        isErrno(error, 'ENOENT')
          ? new BuildError(
              'source-missing',
              `Cannot use keys from files: the program ${program} is not installed`,
              { hint: 'install it, for example: apt-get install openssh-client' },
            )
          : error,
      ),
    )
  })
}

function unusable(id: string, file: string, problem: string, hint?: string): BuildError {
  return new BuildError(
    'source-missing',
    `Cannot use key ${JSON.stringify(file)} for ssh ${JSON.stringify(id)}: ${problem}`,
    hint === undefined ? {} : { hint },
  )
}
