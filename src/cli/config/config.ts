/**
 * Configuration: flags, then `SLIPWAY_*` variables, then the file.
 *
 * ```toml
 * root = "/var/lib/slipway"       # a relative path starts at this file's folder
 *
 * [serve]
 * listen = "0.0.0.0:5000"
 *
 * [build]
 * runtime = "runc"
 * network = "host"
 *
 * [registry."docker.io"]          # the keys are BuildKit's
 * mirrors = ["127.0.0.1:5998"]
 *
 * [registry."127.0.0.1:5998"]
 * http = true
 * ```
 */
import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { NetworkMode } from '../../builder/exec/executor.ts'
import { isErrno } from '../../oci/errors.ts'
import type { RegistryConfig } from '../../remote/registry-config.ts'
import type { Arguments } from '../arguments.ts'
import { CliError } from '../errors.ts'
import { asIsolation, ISOLATION_CHOICE, type Isolation, parseIsolation } from '../isolation.ts'
import { unreadable } from '../system-error.ts'
import type { Terminal } from '../terminal.ts'
import {
  ACCESS_SHAPE,
  type AccessConfig,
  type AccessSettings,
  accessProblem,
  accessSettings,
} from './access.ts'
import { GC_SHAPE, type GcConfig, gcSettings } from './gc.ts'
import { type LimitSettings, limitSettings } from './limits.ts'
import {
  POLICY_SHAPE,
  type PolicyConfig,
  type PolicySettings,
  policySettings,
  type RefuseKey,
} from './policy.ts'
import { PROXY_SHAPE, type ProxySettings, type ProxyTable, readProxyTable } from './proxy.ts'
import { SERVE_SHAPE, type ServeConfig, serveProblem } from './serve.ts'
import { checkShape, invalidKey, type Shape } from './shape.ts'
import { WEBHOOK_SHAPE, type WebhookConfig, webhookSettings } from './webhook.ts'

export interface Settings extends AccessSettings, LimitSettings {
  /** Retention, immutable tags, quotas. */
  readonly policy: PolicySettings
  /** Absolute path of the store. */
  readonly root: string
  /** `HOST:PORT` of `serve`. */
  readonly listen: string
  /** The rest of `[serve]`, as the file has it. */
  readonly serve: ServeConfig
  /** `[gc]`, as the file has it. */
  readonly gc: GcConfig
  /** As the file has them. */
  readonly webhooks: readonly WebhookConfig[]
  /** Of the configuration file: where its relative paths start. */
  readonly configDirectory: string
  /** The OCI runtime to use, where one is named. */
  readonly runtime?: string
  /** Of RUN, where one is named. */
  readonly network?: NetworkMode
  readonly isolation: Isolation
  readonly registries: RegistryConfig
  /** Which registries `serve` pulls through from; without it, none. */
  readonly proxy?: ProxySettings
  /** Docker's own folder, with credentials in `config.json`. */
  readonly dockerConfigDirectory: string
}

/** @throws CliError `config-unreadable` or `config-invalid-file`, naming the file, the line and the nearest known key */
export async function loadSettings(args: Arguments, terminal: Terminal): Promise<Settings> {
  const { env, homeDirectory } = terminal
  const file = await loadFile(args.value('config') ?? nonEmpty(env.SLIPWAY_CONFIG), terminal)
  const runtime = args.value('runtime') ?? nonEmpty(env.SLIPWAY_RUNTIME) ?? file.build?.runtime
  const network = networkOf(args.value('network') ?? nonEmpty(env.SLIPWAY_NETWORK) ?? file.build?.network)
  const root = resolve(
    terminal.workingDirectory,
    args.value('root') ?? nonEmpty(env.SLIPWAY_ROOT) ?? file.root ?? defaultRoot(terminal),
  )
  return {
    root,
    ...accessSettings(file, root),
    ...limitSettings(file.limits ?? {}, place => new Error(place.join('.'))),
    listen: args.value('listen') ?? nonEmpty(env.SLIPWAY_LISTEN) ?? file.serve?.listen ?? '127.0.0.1:5000',
    serve: file.serve ?? {},
    gc: file.gc ?? {},
    webhooks: file.webhook ?? [],
    configDirectory: file.directory ?? terminal.workingDirectory,
    ...(runtime !== undefined && { runtime }),
    ...(network !== undefined && { network }),
    isolation: readIsolation(args, env, file),
    registries: file.registry ?? {},
    policy: file.policy ?? policySettings({}, place => new Error(place.join('.'))),
    ...(file.proxy !== undefined && { proxy: file.proxy }),
    dockerConfigDirectory: nonEmpty(env.DOCKER_CONFIG) ?? join(homeDirectory, '.docker'),
  }
}

/**
 * What the file alone says of isolation; `oci` also of a file that is refused when all of it is needed.
 * @param named by a flag
 */
export async function configuredIsolation(named: string | undefined, place: ConfigPlace): Promise<Isolation> {
  try {
    const { build } = await loadFile(named ?? nonEmpty(place.env.SLIPWAY_CONFIG), place)
    return asIsolation(build?.isolation ?? 'oci') ?? 'oci'
  } catch (error) {
    if (error instanceof CliError) return 'oci'
    throw error
  }
}

/** Where files of configuration are looked for. */
type ConfigPlace = Pick<Terminal, 'env' | 'homeDirectory' | 'workingDirectory'>

const NETWORKS: readonly NetworkMode[] = ['default', 'host', 'none']

function networkOf(given: string | undefined): NetworkMode | undefined {
  const known = NETWORKS.find(mode => mode === given)
  if (known !== undefined || given === undefined) return known
  throw new CliError(
    'config-invalid-file',
    `Cannot read configuration: build.network or SLIPWAY_NETWORK is ${NETWORKS.join(', ')}, not ${JSON.stringify(given)}`,
  )
}

function readIsolation(args: Arguments, env: Terminal['env'], file: ConfigFile): Isolation {
  const flag = args.value('isolation')
  if (flag !== undefined) return parseIsolation(flag, '--isolation')
  const variable = nonEmpty(env.SLIPWAY_ISOLATION)
  if (variable !== undefined) return parseIsolation(variable, 'SLIPWAY_ISOLATION')
  return asIsolation(file.build?.isolation ?? 'oci') ?? 'oci'
}

interface ConfigFile extends AccessConfig {
  readonly policy?: PolicySettings
  readonly root?: string
  readonly serve?: ServeConfig
  readonly gc?: GcConfig
  readonly webhook?: readonly WebhookConfig[]
  readonly build?: { readonly runtime?: string; readonly network?: string; readonly isolation?: string }
  readonly registry?: RegistryConfig
  readonly proxy?: ProxySettings
}

const SHAPE: Shape = {
  keys: {
    root: 'string',
    serve: SERVE_SHAPE,
    gc: GC_SHAPE,
    webhook: WEBHOOK_SHAPE,
    ...ACCESS_SHAPE,
    build: { keys: { runtime: 'string', network: 'string', isolation: 'string' } },
    ...POLICY_SHAPE,
    registry: { each: { keys: { mirrors: 'strings', http: 'boolean', insecure: 'boolean' } } },
    proxy: PROXY_SHAPE,
  },
}

async function loadFile(
  named: string | undefined,
  terminal: ConfigPlace,
): Promise<ConfigFile & { readonly directory?: string }> {
  const paths = named === undefined ? defaultFiles(terminal) : [resolve(terminal.workingDirectory, named)]
  for (const path of paths) {
    const text = await readConfig(path, named !== undefined)
    if (text === undefined) continue
    const file = await parseConfig(text, path)
    return withPathsFrom(dirname(path), file)
  }
  return {}
}

/** Relative paths start at the file's folder. */
function withPathsFrom(directory: string, file: ConfigFile): ConfigFile & { readonly directory: string } {
  return {
    ...file,
    directory,
    ...(file.root !== undefined && { root: resolve(directory, file.root) }),
    ...(file.access?.users !== undefined && {
      access: { ...file.access, users: resolve(directory, file.access.users) },
    }),
  }
}

/** Undefined for a file that is not there and need not be. */
async function readConfig(path: string, isNamed: boolean): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (!isNamed && isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    const problem = unreadable(error, path)
    if (!(problem instanceof CliError)) throw problem
    throw new CliError('config-unreadable', problem.message, { cause: error })
  }
}

/** @throws CliError `config-invalid-file` */
export async function parseConfig(text: string, path: string): Promise<ConfigFile> {
  const { parse } = (await import('@ltd/j-toml')).default
  let table: object
  try {
    table = parse(text, 1.0, '\n', Number.MAX_SAFE_INTEGER)
  } catch (error) {
    // The parser throws SyntaxError, TypeError, RangeError and plain errors; all of them mean the text is not TOML.
    const message = error instanceof Error ? error.message : String(error)
    throw new CliError('config-invalid-file', `Cannot read configuration ${path}${describeSyntax(message)}`, {
      cause: error,
    })
  }
  checkShape(table, SHAPE, [], text, path)
  const refuse: RefuseKey = (place, problem, nth) => invalidKey(place, text, path, problem, nth)
  const { proxy, ...rest } = table as Omit<ConfigFile, 'proxy'> & { readonly proxy?: ProxyTable }
  const file: ConfigFile = {
    ...rest,
    policy: policySettings(table as PolicyConfig, refuse),
    ...(proxy !== undefined && { proxy: readProxyTable(proxy, path, refuse, rest.registry) }),
  }
  const found = accessProblem(file) ?? serveProblem(file.serve ?? {})
  if (found !== undefined) throw refuse(found.place, found.problem)
  const isolation = file.build?.isolation
  if (isolation !== undefined && asIsolation(isolation) === undefined)
    throw refuse(['build', 'isolation'], `must be ${ISOLATION_CHOICE}`)
  gcSettings(file.gc ?? {}, refuse)
  limitSettings(file.limits ?? {}, refuse)
  webhookSettings(file.webhook ?? [], refuse)
  return file
}

/** The parser says `Invalid ..., which is found at line 3: root = what`; we name the place first. */
function describeSyntax(message: string): string {
  const found = /^(.*?),?(?: which is found)? at line (\d+)(: .*)?$/s.exec(message)
  if (found === null) return `: ${message}`
  const [, problem = '', line, text = ''] = found
  return `:${line}: ${problem.replace('euqal', 'equals')}${text}`
}

function defaultFiles({ env, homeDirectory }: ConfigPlace): readonly string[] {
  const own = nonEmpty(env.XDG_CONFIG_HOME) ?? join(homeDirectory, '.config')
  return [join(own, 'slipway', 'slipway.toml'), '/etc/slipway/slipway.toml']
}

function defaultRoot({ env, homeDirectory, userID }: Terminal): string {
  if (userID === 0 && nonEmpty(env.XDG_DATA_HOME) === undefined) return '/var/lib/slipway'
  return join(nonEmpty(env.XDG_DATA_HOME) ?? join(homeDirectory, '.local', 'share'), 'slipway')
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}
