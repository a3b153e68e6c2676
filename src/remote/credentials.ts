/**
 * Credentials as `docker login` and `podman login` left them: in `config.json` or `auth.json` (`auths`), or in a credential helper, a program that
 * reads a server's name from standard input and answers with JSON (`credHelpers` by registry, `credsStore` for all).
 */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { isErrno } from '../oci/errors.ts'
import { isJsonObject, type JsonObject, parseJson } from '../oci/json.ts'
import { DOCKER_HUB } from '../oci/reference.ts'
import { displayForeign, RemoteError } from './errors.ts'

export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** Exchanged for tokens at the token endpoint. */
  | { readonly kind: 'identity-token'; readonly token: string }
  /** A bearer token as it is. */
  | { readonly kind: 'registry-token'; readonly token: string }

export interface Credentials {
  /** Undefined: anonymous. @param host as in image names: `docker.io`, `localhost:5000` */
  get(host: string, signal: AbortSignal): Promise<Credential | undefined>
}

export const anonymous: Credentials = { get: async () => undefined }

export interface DockerCredentialsOptions {
  /** Such as `~/.docker/config.json`: the first that knows a registry says how to log in there. */
  readonly files: readonly string[]
  /** The environment of helpers, which are looked up on its PATH; ours if absent. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly helperTimeoutMs?: number
}

/**
 * Reads the files anew for each registry, so that a `docker login` in between counts.
 * `get` throws RemoteError `credentials-invalid` for a file or helper that is broken; a helper that is not
 * installed or knows nothing of the registry means anonymous, as it does to Docker.
 */
export function dockerCredentials(options: DockerCredentialsOptions): Credentials {
  return {
    async get(host, signal) {
      for (const file of options.files) {
        const found = await credentialIn(file, host, options, signal)
        if (found !== undefined) return found
      }
      return undefined
    },
  }
}

async function credentialIn(
  file: string,
  host: string,
  options: DockerCredentialsOptions,
  signal: AbortSignal,
): Promise<Credential | undefined> {
  const config = await readConfig(file)
  if (config === undefined) return undefined
  const server = host === DOCKER_HUB ? DOCKER_HUB_SERVER : host
  const { credHelpers, credsStore } = config
  const helper = isJsonObject(credHelpers) ? (credHelpers[server] ?? credHelpers[host]) : undefined
  const program = helper ?? credsStore
  if (typeof program === 'string' && program !== '')
    return (await askHelper(program, server, options, signal)) ?? storedCredential(config, host, file)
  return storedCredential(config, host, file)
}

/** What `docker login` without a host writes. */
const DOCKER_HUB_SERVER = 'https://index.docker.io/v1/'
const DOCKER_HUB_HOSTS: ReadonlySet<string> = new Set([
  'index.docker.io',
  'docker.io',
  'registry-1.docker.io',
])

async function readConfig(file: string): Promise<JsonObject | undefined> {
  let bytes: Buffer
  try {
    bytes = await readFile(file)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw new RemoteError('credentials-invalid', `Cannot read ${file}: it is not a readable file`, {
      cause: error,
    })
  }
  const config = parseJson(bytes)
  if (isJsonObject(config)) return config
  throw new RemoteError('credentials-invalid', `Cannot read ${file}: it is not a JSON object`)
}

function storedCredential(config: JsonObject, host: string, file: string): Credential | undefined {
  if (!isJsonObject(config.auths)) return undefined
  const entries = Object.entries(config.auths)
  const entry = (entries.find(([key]) => key === host) ?? entries.find(([key]) => isKeyOf(key, host)))?.[1]
  if (!isJsonObject(entry)) return undefined
  const { auth, username, password, identitytoken, registrytoken } = entry
  if (typeof identitytoken === 'string' && identitytoken !== '')
    return { kind: 'identity-token', token: identitytoken }
  if (typeof registrytoken === 'string' && registrytoken !== '')
    return { kind: 'registry-token', token: registrytoken }
  if (typeof auth === 'string' && auth !== '') return decodeAuth(auth, host, file)
  if (typeof username === 'string' && typeof password === 'string' && username !== '')
    return { kind: 'password', username, password }
  return undefined
}

/** Keys are hosts, or URLs of older clients (`https://host/v1/`); Docker Hub's is its first API. */
function isKeyOf(key: string, host: string): boolean {
  const keyHost = key.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  return keyHost === host || (host === DOCKER_HUB && DOCKER_HUB_HOSTS.has(keyHost))
}

function decodeAuth(auth: string, host: string, file: string): Credential {
  const text = Buffer.from(auth, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon <= 0)
    throw new RemoteError(
      'credentials-invalid',
      `Cannot use ${file}: the auth of ${host} is not user:password`,
    )
  // Docker pads what it writes with NUL bytes.
  return {
    kind: 'password',
    username: text.slice(0, colon),
    password: text.slice(colon + 1).replace(/\0+$/, ''),
  }
}

const MAX_ANSWER_BYTES = 256 * 1024

async function askHelper(
  name: string,
  server: string,
  options: DockerCredentialsOptions,
  signal: AbortSignal,
): Promise<Credential | undefined> {
  const program = `docker-credential-${name}`
  if (!/^[A-Za-z0-9._-]+$/.test(name))
    throw new RemoteError(
      'credentials-invalid',
      `Cannot use credential helper ${JSON.stringify(name)}: it is not a program's name`,
    )
  const answer = await runHelper(program, server, options, signal)
  if (answer === undefined) return undefined
  if (answer.exitCode !== 0) {
    if (/credentials not found/i.test(answer.output)) return undefined
    throw new RemoteError(
      'credentials-invalid',
      `Cannot get credentials for ${server}: ${program} failed: ${displayForeign(answer.output)}`,
    )
  }
  const value = parseJson(Buffer.from(answer.output))
  if (!isJsonObject(value) || typeof value.Username !== 'string' || typeof value.Secret !== 'string')
    throw new RemoteError(
      'credentials-invalid',
      `Cannot get credentials for ${server}: the answer of ${program} is not credentials`,
    )
  const { Username: username, Secret: secret } = value
  if (username === '' && secret === '') return undefined
  return username === '<token>'
    ? { kind: 'identity-token', token: secret }
    : { kind: 'password', username, password: secret }
}

/** Undefined when the helper is not installed. */
async function runHelper(
  program: string,
  server: string,
  { env, helperTimeoutMs = 30_000 }: DockerCredentialsOptions,
  signal: AbortSignal,
): Promise<{ readonly exitCode: number | null; readonly output: string } | undefined> {
  signal.throwIfAborted()
  const timeout = AbortSignal.timeout(helperTimeoutMs)
  const child = spawn(program, ['get'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    killSignal: 'SIGKILL',
    signal: AbortSignal.any([signal, timeout]),
    ...(env !== undefined && { env }),
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    if (output.length < MAX_ANSWER_BYTES) output += text
    else child.stdout.destroy()
  })
  // A helper may end without reading its input.
  child.stdin.on('error', () => undefined).end(server)
  const { promise, resolve, reject } = Promise.withResolvers<number | null>()
  child.on('error', reject).on('close', resolve)
  try {
    return { exitCode: await promise, output }
  } catch (error) {
    signal.throwIfAborted()
    if (isErrno(error, 'ENOENT')) return undefined
    const problem = timeout.aborted
      ? `no answer within ${helperTimeoutMs / 1000} seconds`
      : 'it could not be run'
    throw new RemoteError(
      'credentials-invalid',
      `Cannot get credentials for ${server}: ${program}: ${problem}`,
      { cause: error },
    )
  } finally {
    // What the helper itself has started may hold on to the pipe.
    child.stdout.destroy()
    child.kill('SIGKILL')
  }
}
