/**
 * Runs git over repositories that are not ours. It sees no configuration of this machine, asks nobody anything, runs no
 * hooks, and speaks only the protocols that a Dockerfile may name, be it for a repository or for its submodules.
 */
import { spawn } from 'node:child_process'
import { isErrno } from '../../oci/errors.ts'
import { displayForeign } from '../../remote/errors.ts'
import { BuildError } from '../errors.ts'

/** Variables of our own process. */
export type Environment = Readonly<Record<string, string | undefined>>

export interface GitRun {
  /** Working directory. */
  readonly directory: string
  readonly signal: AbortSignal
  /** `key=value`, with values that are no one's business: they do not show among the processes of the machine. */
  readonly configuration?: readonly (readonly [key: string, value: string])[]
  /** A file with the authorities of TLS that are believed, instead of git's own list. */
  readonly authorities?: string
  /** The agent for remotes of ssh. */
  readonly sshAgent?: string
  /** Where hosts of ssh that are not known yet are noted. */
  readonly knownHosts?: string
  /** Instead of those of the network. */
  readonly protocols?: 'file'
}

export interface Git {
  /**
   * Returns what it printed.
   * @throws GitError when it fails; BuildError `download-failed` when there is no git; the signal's reason
   */
  run(args: readonly string[], options: GitRun): Promise<string>
}

/** git failed: `said` is why, in its words. */
export class GitError extends Error {
  readonly said: string

  constructor(said: string) {
    super(said)
    this.name = 'GitError'
    this.said = said
  }
}

export function createGit(environment: Environment): Git {
  return {
    run(args, options) {
      options.signal.throwIfAborted()
      return runProgram(args, environmentOf(environment, options), options)
    },
  }
}

const MAX_OUTPUT = 16 * 1024 * 1024
const MAX_MESSAGES = 64 * 1024

function runProgram(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  { directory, signal }: GitRun,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', args, {
      cwd: directory,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      // With a group of its own it goes with all its helpers, and a terminal's Ctrl-C reaches us alone.
      detached: true,
    })
    const kill = () => killGroup(child.pid)
    signal.addEventListener('abort', kill)
    const output = collect(child.stdout, MAX_OUTPUT, kill)
    const messages = collect(child.stderr, MAX_MESSAGES, () => undefined)
    child.once('error', error => {
      signal.removeEventListener('abort', kill)
      reject(isErrno(error, 'ENOENT') ? missing() : error)
    })
    child.once('close', code => {
      signal.removeEventListener('abort', kill)
      if (signal.aborted) reject(signal.reason)
      else if (code === 0) resolve(output().toString())
      else reject(new GitError(wordsOf(messages().toString())))
    })
  })
}

function missing(): BuildError {
  return new BuildError('download-failed', 'Cannot read Git repositories: the program git is not installed', {
    hint: 'install it, for example: apt-get install git',
  })
}

/** @param tooMuch called when there is more than is kept */
function collect(source: NodeJS.ReadableStream, limit: number, tooMuch: () => void): () => Buffer {
  const chunks: Buffer[] = []
  let size = 0
  source.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size <= limit) chunks.push(chunk)
    else tooMuch()
  })
  return () => Buffer.concat(chunks)
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error
  }
}

/** What git says of a failure that tells nothing about it. */
const EMPTY_WORDS =
  /^(?:Could not read from remote repository|Please make sure you have the correct|and the repository exists|warning:|hint:|Cloning into)/i

/** Its first words that tell something: of a program that it has started, they come before its own. */
function wordsOf(text: string): string {
  const lines = text
    .split('\n')
    .map(line => displayForeign(line).replace(/^(?:fatal|error): /, ''))
    .filter(line => line !== '' && !EMPTY_WORDS.test(line))
  return lines.slice(0, 3).join('; ') || 'it does not say why'
}

const PASSED_ON = [
  'PATH',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'ALL_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'all_proxy',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
] as const

const CONFIGURATION: NonNullable<GitRun['configuration']> = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['credential.helper', ''],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['init.defaultBranch', 'master'],
  ['advice.detachedHead', 'false'],
  ['core.logAllRefUpdates', 'false'],
  ['fetch.recurseSubmodules', 'false'],
  ['safe.directory', '*'],
  // A server that has fallen silent ends the build with an error.
  ['http.lowSpeedLimit', '1'],
  ['http.lowSpeedTime', '60'],
]

function environmentOf(environment: Environment, options: GitRun): Readonly<Record<string, string>> {
  const env: Record<string, string> = {
    HOME: '/dev/null',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '',
    SSH_ASKPASS_REQUIRE: 'never',
    GIT_NO_REPLACE_OBJECTS: '1',
    // No sample hooks of this machine in what is kept of a repository.
    GIT_TEMPLATE_DIR: '',
    GIT_ALLOW_PROTOCOL: options.protocols ?? 'http:https:git:ssh',
    GIT_SSH_COMMAND: sshCommand(options.knownHosts, environment.HOME),
    GIT_SSH_VARIANT: 'ssh',
  }
  for (const name of PASSED_ON) {
    const value = environment[name]
    if (value !== undefined) env[name] = value
  }
  // libcurl, in fear of CGI, reads this one in lower case alone, and all else that we do reads both.
  if (env.http_proxy === undefined && env.HTTP_PROXY !== undefined) env.http_proxy = env.HTTP_PROXY
  if (options.authorities !== undefined) env.GIT_SSL_CAINFO = options.authorities
  if (options.sshAgent !== undefined) env.SSH_AUTH_SOCK = options.sshAgent
  const configuration = [...CONFIGURATION, ...(options.configuration ?? [])]
  env.GIT_CONFIG_COUNT = String(configuration.length)
  for (const [index, [key, value]] of configuration.entries()) {
    env[`GIT_CONFIG_KEY_${index}`] = key
    env[`GIT_CONFIG_VALUE_${index}`] = value
  }
  return env
}

/**
 * Only keys of the agent; a host whose key is not the known one is refused, and one that nobody knows is taken as it is,
 * for this build.
 */
function sshCommand(knownHosts: string | undefined, home: string | undefined): string {
  // ssh asks the system for the home of the user, who is root in a user namespace.
  const own = home ? `"${home}/.ssh/known_hosts"` : '~/.ssh/known_hosts'
  const options = {
    BatchMode: 'yes',
    IdentityFile: 'none',
    ConnectTimeout: '30',
    ServerAliveInterval: '15',
    StrictHostKeyChecking: 'accept-new',
    UserKnownHostsFile: knownHosts === undefined ? '/dev/null' : quoted(`"${knownHosts}" ${own}`),
  }
  return `ssh -F /dev/null ${Object.entries(options)
    .map(([name, value]) => `-o ${name}=${value}`)
    .join(' ')}`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
