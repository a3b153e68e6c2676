/** `[serve]` and `[serve.tls]` of the configuration file, with the flags and variables that stand above them. */
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import type { Arguments } from '../arguments.ts'
import type { OptionSpecs } from '../command.ts'
import { CliError } from '../errors.ts'
import type { Terminal } from '../terminal.ts'
import { parseDuration } from '../text/duration.ts'

/** As the file has it. */
export interface ServeConfig {
  readonly listen?: string
  readonly log?: string
  readonly drain?: string
  readonly 'trusted-proxies'?: readonly string[]
  readonly tls?: {
    readonly auto?: boolean
    readonly names?: readonly string[]
    readonly cert?: string
    readonly key?: string
  }
}

export const SERVE_SHAPE = {
  keys: {
    listen: 'string',
    log: 'string',
    drain: 'string',
    'trusted-proxies': 'strings',
    tls: { keys: { auto: 'boolean', names: 'strings', cert: 'string', key: 'string' } },
  },
} as const

export type TlsSettings =
  | { readonly kind: 'off' }
  /** @see names that clients use beside those that the machine knows of itself */
  | { readonly kind: 'auto'; readonly names: readonly string[] }
  | { readonly kind: 'files'; readonly certificatePath: string; readonly keyPath: string }

export interface ServeSettings {
  readonly tls: TlsSettings
  readonly log: LogForm
  /** How long transfers may go on after the signal to stop. */
  readonly drainMs: number
}

const LOG_FORMS = ['json', 'text', 'off'] as const
export type LogForm = (typeof LOG_FORMS)[number]

export const SERVE_OPTIONS: OptionSpecs = {
  listen: {
    value: 'HOST:PORT',
    help: 'Where to listen (default 127.0.0.1:5000; 0.0.0.0:5000 for the whole network)',
  },
  tls: {
    value: 'auto|off|CERT,KEY',
    help: 'HTTPS with an authority of our own, none (default), or with these PEM files',
  },
  log: { value: 'json|text|off', help: 'A line on stderr for each request (default text)' },
  drain: {
    value: 'TIME',
    help: 'How long transfers may go on after the signal to stop (default 10s); a second signal stops at once',
  },
}

const DEFAULT_DRAIN = '10s'

interface Sources {
  readonly args: Arguments
  readonly terminal: Terminal
  readonly config: ServeConfig
  /** Where relative paths of the configuration start. */
  readonly directory: string
}

/** @throws CliError `usage`, `config-invalid-file` */
export function serveSettings(sources: Sources): ServeSettings {
  const { args, terminal, config } = sources
  const pick = (name: 'log' | 'drain'): string | undefined =>
    args.value(name) ?? (terminal.env[`SLIPWAY_${name.toUpperCase()}`] || undefined) ?? config[name]
  const log = pick('log') ?? 'text'
  const form = LOG_FORMS.find(known => known === log)
  if (form === undefined) throw refuse(`--log is json, text or off, not ${JSON.stringify(log)}`)
  const drain = pick('drain') ?? DEFAULT_DRAIN
  const drainMs = parseDuration(drain)
  if (drainMs === undefined) throw refuse(`--drain is a time such as 30s or 5m, not ${JSON.stringify(drain)}`)
  return { tls: tlsSettings(sources), log: form, drainMs }
}

/** What is wrong in the file whatever stands above it. */
export function serveProblem({
  log,
  drain,
  tls = {},
}: ServeConfig): { readonly place: readonly string[]; readonly problem: string } | undefined {
  const at = (key: string, problem: string) => ({ place: ['serve', ...key.split('.')], problem })
  if (log !== undefined && !LOG_FORMS.some(known => known === log))
    return at('log', `is ${JSON.stringify(log)}, want json, text or off`)
  if (drain !== undefined && parseDuration(drain) === undefined)
    return at('drain', `is ${JSON.stringify(drain)}, want a time such as 30s or 5m`)
  const { auto, names = [], cert, key } = tls
  const badName = names.find(name => !isHost(name))
  if (badName !== undefined)
    return at('tls.names', `has ${JSON.stringify(badName)}, which is neither a host name nor an address`)
  if ((cert === undefined) !== (key === undefined) || (auto && cert !== undefined))
    return at('tls', 'has either auto = true, or both cert and key')
  return undefined
}

function tlsSettings({ args, terminal, config, directory }: Sources): TlsSettings {
  const { tls: table = {} } = config
  const names = table.names ?? []
  const word = args.value('tls') ?? (terminal.env.SLIPWAY_TLS || undefined)
  if (word === undefined) return tlsOfTable(table, names, directory)
  if (word === 'off') return { kind: 'off' }
  if (word === 'auto') return { kind: 'auto', names }
  const [cert = '', key = '', ...rest] = word.split(',')
  if (cert === '' || key === '' || rest.length > 0)
    throw refuse(`--tls is auto, off, or CERT,KEY, not ${JSON.stringify(word)}`)
  const { workingDirectory } = terminal
  return {
    kind: 'files',
    certificatePath: resolve(workingDirectory, cert),
    keyPath: resolve(workingDirectory, key),
  }
}

function tlsOfTable(
  { auto, cert, key }: NonNullable<ServeConfig['tls']>,
  names: readonly string[],
  directory: string,
): TlsSettings {
  if (cert !== undefined && key !== undefined)
    return { kind: 'files', certificatePath: resolve(directory, cert), keyPath: resolve(directory, key) }
  if (auto) return { kind: 'auto', names }
  if (names.length === 0) return { kind: 'off' }
  throw new CliError(
    'config-invalid-file',
    'Cannot serve: serve.tls.names are for auto = true, which is not there',
    {
      hint: 'add auto = true, or serve with --tls off',
    },
  )
}

/** A name goes into a certificate as it is. */
function isHost(name: string): boolean {
  return isIP(name) !== 0 || /^(\*\.)?[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/.test(name)
}

function refuse(problem: string): CliError {
  return new CliError('usage', `serve: ${problem}`, { hint: "see 'slipway serve --help'" })
}
