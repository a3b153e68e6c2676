/**
 * Configuration: flags, then `SLIPWAY_*` variables, then the file.
 *
 * ```toml
 * root = "/var/lib/slipway"
 *
 * [serve]
 * listen = "0.0.0.0:5000"
 *
 * [build]
 * runtime = "runc"
 *
 * [registry."docker.io"]          # the keys are BuildKit's
 * mirrors = ["127.0.0.1:5998"]
 *
 * [registry."127.0.0.1:5998"]
 * http = true
 * ```
 */
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { suggest } from '../builder/dockerfile/suggest.ts'
import { isErrno } from '../oci/errors.ts'
import type { RegistryConfig } from '../remote/registry-config.ts'
import type { Arguments } from './arguments.ts'
import { CliError } from './errors.ts'
import type { Terminal } from './terminal.ts'

export interface Settings {
  /** Absolute path of the store. */
  readonly root: string
  /** `HOST:PORT` of `serve`. */
  readonly listen: string
  /** The OCI runtime to use, where one is named. */
  readonly runtime?: string
  readonly registries: RegistryConfig
  /** Docker's own folder, with credentials in `config.json`. */
  readonly dockerConfigDirectory: string
}

/** @throws CliError `config-missing` or `config-invalid-file`, naming the file, the line and the nearest known key */
export async function loadSettings(args: Arguments, terminal: Terminal): Promise<Settings> {
  const { env, homeDirectory } = terminal
  const file = await loadFile(args.value('config') ?? nonEmpty(env.SLIPWAY_CONFIG), terminal)
  const runtime = nonEmpty(env.SLIPWAY_RUNTIME) ?? file.build?.runtime
  return {
    root: resolve(
      terminal.workingDirectory,
      args.value('root') ?? nonEmpty(env.SLIPWAY_ROOT) ?? file.root ?? defaultRoot(terminal),
    ),
    listen: nonEmpty(env.SLIPWAY_LISTEN) ?? file.serve?.listen ?? '127.0.0.1:5000',
    ...(runtime !== undefined && { runtime }),
    registries: file.registry ?? {},
    dockerConfigDirectory: nonEmpty(env.DOCKER_CONFIG) ?? join(homeDirectory, '.docker'),
  }
}

interface ConfigFile {
  readonly root?: string
  readonly serve?: { readonly listen?: string }
  readonly build?: { readonly runtime?: string }
  readonly registry?: RegistryConfig
}

/** What a key holds: a scalar, a list, a table with known keys, or a table with any keys. */
type Shape =
  | 'string'
  | 'boolean'
  | 'strings'
  | { readonly keys: Readonly<Record<string, Shape>> }
  | { readonly each: Shape }

const SHAPE: Shape = {
  keys: {
    root: 'string',
    serve: { keys: { listen: 'string' } },
    build: { keys: { runtime: 'string' } },
    registry: { each: { keys: { mirrors: 'strings', http: 'boolean', insecure: 'boolean' } } },
  },
}

async function loadFile(named: string | undefined, terminal: Terminal): Promise<ConfigFile> {
  for (const path of named === undefined
    ? defaultFiles(terminal)
    : [resolve(terminal.workingDirectory, named)]) {
    try {
      return await parseConfig(await readFile(path, 'utf8'), path)
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error
      if (named !== undefined)
        throw new CliError('config-missing', `Cannot read configuration: there is no file ${path}`, {
          cause: error,
        })
    }
  }
  return {}
}

/** @throws CliError `config-invalid-file` */
export async function parseConfig(text: string, path: string): Promise<ConfigFile> {
  const { parse } = (await import('@ltd/j-toml')).default
  let table: object
  try {
    table = parse(text, 1.0, '\n', Number.MAX_SAFE_INTEGER)
  } catch (error) {
    // The parser throws SyntaxError, TypeError, RangeError and plain errors; all of them mean the text is not TOML.
    throw new CliError(
      'config-invalid-file',
      `Cannot read configuration ${path}: ${error instanceof Error ? error.message : error}`,
      { cause: error },
    )
  }
  checkShape(table, SHAPE, [], text, path)
  return table as ConfigFile
}

function checkShape(
  value: unknown,
  shape: Shape,
  place: readonly string[],
  text: string,
  path: string,
): void {
  if (typeof shape === 'string') {
    const fits =
      shape === 'strings'
        ? Array.isArray(value) && value.every(item => typeof item === 'string')
        : typeof value === shape
    if (!fits)
      throw invalid(place, text, path, `must be ${shape === 'strings' ? 'a list of strings' : `a ${shape}`}`)
    return
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(place, text, path, 'must be a table')
  for (const [key, item] of Object.entries(value)) {
    const inner = [...place, key]
    if ('each' in shape) {
      checkShape(item, shape.each, inner, text, path)
      continue
    }
    const known = Object.hasOwn(shape.keys, key) ? shape.keys[key] : undefined
    if (known === undefined) {
      const nearest = suggest(key, Object.keys(shape.keys)) ?? Object.keys(shape.keys).join(', ')
      throw invalid(inner, text, path, `is not a known key; the nearest is ${nearest}`)
    }
    checkShape(item, known, inner, text, path)
  }
}

function invalid(place: readonly string[], text: string, path: string, problem: string): CliError {
  const line = lineOf(place, text)
  return new CliError(
    'config-invalid-file',
    `Cannot read configuration ${path}${line === undefined ? '' : `:${line}`}: ${place.join('.')} ${problem}`,
  )
}

/** The line of a key, from 1: below its table's header, or the header itself; undefined when it is written another way. */
function lineOf(place: readonly string[], text: string): number | undefined {
  const key = place.at(-1) ?? ''
  let table: readonly string[] = []
  for (const [index, line] of text.split('\n').entries()) {
    const header = /^\s*\[+\s*([^\]]+?)\s*\]+/.exec(line)?.[1]
    if (header !== undefined) {
      table = keyParts(header)
      if (startsWith(table, place)) return index + 1
      continue
    }
    const written = /^\s*((?:"[^"]*"|'[^']*'|[^"'=\s])+)\s*=/.exec(line)?.[1]
    if (written === undefined) continue
    const whole = [...table, ...keyParts(written)]
    if (
      startsWith(whole, place) ||
      (whole.length < place.length && startsWith(place, whole) && line.includes(key))
    )
      return index + 1
  }
  return undefined
}

function keyParts(text: string): string[] {
  return Array.from(
    text.matchAll(/"([^"]*)"|'([^']*)'|([^.\s"']+)/g),
    match => match[1] ?? match[2] ?? match[3] ?? '',
  )
}

function startsWith(whole: readonly string[], start: readonly string[]): boolean {
  return start.every((part, index) => whole[index] === part)
}

function defaultFiles({ env, homeDirectory }: Terminal): readonly string[] {
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
