import { readFile, stat } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import { addAbortSignal } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { DockerfileSource } from '../builder/dockerfile/source.ts'
import { BuildError } from '../builder/errors.ts'
import { isErrno } from '../oci/errors.ts'
import { CliError } from './errors.ts'
import { unreadable } from './system-error.ts'
import type { Terminal } from './terminal.ts'

export interface FoundDockerfile {
  readonly source: DockerfileSource
  /** Absent for one from standard input. */
  readonly path?: string
}

/** @throws CliError `usage` for what is not a directory */
export async function findContext(named: string, terminal: Terminal): Promise<string> {
  if (named === '-' || /^(https?|git|ssh):\/\/|^git@|^github\.com\//.test(named)) {
    throw new CliError(
      'usage',
      `build: the context ${JSON.stringify(named)} is not supported yet: give a directory`,
    )
  }
  const directory = resolve(terminal.workingDirectory, named)
  const stats = await absentIsUndefined(directory, stat(directory))
  if (stats === undefined)
    throw new CliError('usage', `build: the context ${JSON.stringify(named)} does not exist`)
  if (stats.isDirectory()) return directory
  const hint = basename(directory).toLowerCase().includes('dockerfile')
    ? `slipway build -f ${named} .`
    : 'the context is a directory; -f names the Dockerfile'
  throw new CliError('usage', `build: the context ${JSON.stringify(named)} is a file`, { hint })
}

/**
 * @param named by `--file`: a path from the working directory, or `-`; without it `Dockerfile` or `dockerfile` in the context
 * @throws BuildError `dockerfile-missing`
 */
export async function findDockerfile(
  context: string,
  named: string | undefined,
  terminal: Terminal,
): Promise<FoundDockerfile> {
  if (named === '-') {
    const stdin = addAbortSignal(terminal.signal, terminal.stdin)
    return { source: { name: '-', text: await text(stdin) } }
  }
  const paths =
    named === undefined
      ? [join(context, 'Dockerfile'), join(context, 'dockerfile')]
      : [resolve(terminal.workingDirectory, named)]
  for (const path of paths) {
    const content = await absentIsUndefined(path, readFile(path, 'utf8'))
    if (content !== undefined) return { source: { name: displayPath(path, terminal), text: content }, path }
  }
  const hint = named === undefined ? 'name it with -f FILE' : undefined
  throw new BuildError(
    'dockerfile-missing',
    `Cannot read Dockerfile: there is no ${paths.map(path => displayPath(path, terminal)).join(' or ')}`,
    hint === undefined ? {} : { hint },
  )
}

/** `NAME=value`, or `NAME` alone for the value that the environment has (none: left out). */
export function parseBuildArgs(given: readonly string[], env: Terminal['env']): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const argument of given) {
    const equals = argument.indexOf('=')
    const name = equals < 0 ? argument : argument.slice(0, equals)
    if (name === '') throw new CliError('usage', `build: --build-arg ${JSON.stringify(argument)} has no name`)
    const value = equals < 0 ? env[name] : argument.slice(equals + 1)
    if (value !== undefined) found.set(name, value)
  }
  return found
}

/** `name=value`; a name alone has the empty value, as for Docker. */
export function parseLabels(given: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    given.map(label => {
      const equals = label.indexOf('=')
      if (label === '' || equals === 0)
        throw new CliError('usage', `build: --label ${JSON.stringify(label)} has no name`)
      return equals < 0 ? [label, ''] : [label.slice(0, equals), label.slice(equals + 1)]
    }),
  )
}

/** Seconds since the epoch. @throws CliError `usage` */
export function parseEpoch(given: string | undefined): number | undefined {
  if (given === undefined || given === '') return undefined
  if (/^\d{1,12}$/.test(given)) return Number(given)
  throw new CliError('usage', `build: SOURCE_DATE_EPOCH is ${JSON.stringify(given)}, want seconds since 1970`)
}

function displayPath(path: string, terminal: Terminal): string {
  const shown = relative(terminal.workingDirectory, path)
  return shown.startsWith('../../..') ? path : shown
}

async function absentIsUndefined<T>(path: string, promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw unreadable(error, path)
  }
}
