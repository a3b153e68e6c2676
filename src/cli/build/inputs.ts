import { statSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import { addAbortSignal, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { BuildOptions } from '../../builder/build-options.ts'
import type { DockerfileSource } from '../../builder/dockerfile/source.ts'
import { BuildError } from '../../builder/errors.ts'
import { isRemoteContext } from '../../builder/fetch/git-reference.ts'
import type { NamedContext } from '../../builder/plan/named-contexts.ts'
import type { FileTree } from '../../builder/tree/file-tree.ts'
import { resolvePath } from '../../builder/tree/resolve.ts'
import { pathBelowRoot } from '../../builder/tree/walk.ts'
import { byteStringOf } from '../../oci/byte-string.ts'
import { parseDigest } from '../../oci/digest.ts'
import { isErrno } from '../../oci/errors.ts'
import { type Limits, limitExceeded } from '../../oci/limits.ts'
import { formatReference, parseReference } from '../../oci/reference.ts'
import { CliError } from '../errors.ts'
import { unreadable } from '../system-error.ts'
import type { Terminal } from '../terminal.ts'

/** What is built from. Disposing gives back what the context holds. */
export interface BuildInput extends AsyncDisposable {
  readonly context: BuildOptions['context']
  readonly dockerfile: FoundDockerfile
}

export interface FoundDockerfile {
  readonly source: DockerfileSource
  /** Absent for one from standard input. */
  readonly path?: string
}

/** What `--file` says, or the Dockerfile itself where it has been got from elsewhere. */
export type NamedDockerfile = string | FoundDockerfile | undefined

/** A directory with its Dockerfile. @throws CliError `usage`; BuildError `dockerfile-missing` */
export async function findInput(
  context: string,
  dockerfile: NamedDockerfile,
  terminal: Terminal,
): Promise<BuildInput> {
  const directory = await findContext(context, terminal)
  return {
    context: directory,
    dockerfile: await findDockerfile(directory, dockerfile, terminal),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

/**
 * What comes on standard input: a tar, in which `--file` names the Dockerfile, or a Dockerfile without a context.
 * @throws CliError `usage`; BuildError `dockerfile-missing`, `context-invalid`
 */
export async function readStandardInput(
  dockerfile: NamedDockerfile,
  terminal: Terminal,
  temporaryDirectory: string,
  contentLimits: Limits,
): Promise<BuildInput> {
  if (dockerfile === '-')
    throw new CliError('usage', 'build: context and Dockerfile cannot both come from standard input')
  if (terminal.stdin.isTTY === true)
    throw new CliError('usage', 'build: there is no tar and no Dockerfile on standard input')
  const { signal } = terminal
  const { emptyContext, readArchiveContext, sniffContext } = await import(
    '../../builder/context/archive-context.ts'
  )
  const input = await sniffContext(addAbortSignal(signal, terminal.stdin))
  if (input.isArchive) {
    const tree = await readArchiveContext(input, { temporaryDirectory, signal, contentLimits })
    try {
      const found = await findInTree(tree, dockerfile, 'the tar on standard input', contentLimits)
      return { context: tree, dockerfile: found, [Symbol.asyncDispose]: () => tree[Symbol.asyncDispose]() }
    } catch (error) {
      await tree[Symbol.asyncDispose]()
      throw error
    }
  }
  if (dockerfile !== undefined)
    throw new CliError(
      'usage',
      'build: there are two Dockerfiles: standard input, which is no tar, and that of --file',
    )
  const tree = emptyContext(temporaryDirectory)
  return {
    context: tree,
    dockerfile: { source: { name: '-', text: await boundedText(input.whole, contentLimits) } },
    [Symbol.asyncDispose]: () => tree[Symbol.asyncDispose](),
  }
}

/** @throws BuildError `dockerfile-missing` */
export async function findInTree(
  tree: FileTree,
  named: NamedDockerfile,
  place: string,
  contentLimits: Limits,
): Promise<FoundDockerfile> {
  if (typeof named === 'object') return named
  const names = named === undefined ? ['Dockerfile', 'dockerfile'] : [pathBelowRoot(named)]
  for (const name of names) {
    const path = await resolvePath(tree, byteStringOf(name))
    if (path === undefined || (await tree.stat(path))?.type !== 'file') continue
    const content = await tree.open(path)
    const bytes = content instanceof Uint8Array ? Readable.from([content]) : content
    return { source: { name, text: await boundedText(bytes, contentLimits) } }
  }
  throw new BuildError(
    'dockerfile-missing',
    `Cannot read Dockerfile: there is no ${names.join(' or ')} in ${place}`,
    named === undefined ? { hint: 'name it with -f FILE' } : {},
  )
}

/** @throws OciError `limit-exceeded` for more than any Dockerfile has */
export async function boundedText(
  source: AsyncIterable<Uint8Array>,
  { dockerfileBytes }: Limits,
): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of source) {
    chunks.push(chunk)
    size += chunk.length
    if (size > dockerfileBytes)
      throw limitExceeded('dockerfileBytes', dockerfileBytes, 'Cannot read Dockerfile: it is too long')
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Whether a context is a URL or a Git repository; a directory of that name comes first. @throws BuildError for its query */
export function isElsewhere(named: string, { workingDirectory }: Terminal): boolean {
  if (!isRemoteContext(named)) return false
  return statSync(resolve(workingDirectory, named), { throwIfNoEntry: false })?.isDirectory() !== true
}

/** @throws CliError `usage` for what is not a directory */
export async function findContext(named: string, terminal: Terminal): Promise<string> {
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
  named: NamedDockerfile,
  terminal: Terminal,
): Promise<FoundDockerfile> {
  if (typeof named === 'object') return named
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

/** `NAME=DIR`, or an image or stage: see the help of build. @throws CliError `usage` */
export async function parseBuildContexts(
  given: readonly string[],
  terminal: Terminal,
): Promise<ReadonlyMap<string, NamedContext>> {
  const found = new Map<string, NamedContext>()
  for (const text of given) {
    const [, name, value] = /^([^=]+)=(.+)$/s.exec(text) ?? []
    if (name === undefined || value === undefined)
      throw new CliError('usage', `build: --build-context ${JSON.stringify(text)} is not NAME=CONTEXT`)
    found.set(name, await parseBuildContext(value, terminal))
  }
  return found
}

const CONTEXT_KINDS: Readonly<Record<string, string>> = {
  'docker-image://': 'the name of an image',
  'oci-layout://': 'a directory',
  'target:': 'the name of a stage',
}

async function parseBuildContext(value: string, terminal: Terminal): Promise<NamedContext> {
  const [, kind, rest = ''] = /^(docker-image:\/\/|oci-layout:\/\/|target:)(.*)$/s.exec(value) ?? []
  if (kind !== undefined && rest === '')
    throw new CliError('usage', `build: the build context ${kind} needs ${CONTEXT_KINDS[kind]} after it`)
  if (kind === 'target:') return { kind: 'stage', stage: rest }
  if (kind === 'docker-image://') return { kind: 'image', name: formatReference(parseReference(rest)) }
  if (kind === 'oci-layout://') {
    const [, path = rest, digest] = /^(.*)@(sha\d+:[^@/]*)$/s.exec(rest) ?? []
    if (digest !== undefined) {
      const directory = resolve(terminal.workingDirectory, path)
      return { kind: 'layout', directory, digest: parseDigest(digest) }
    }
    const [, folder = rest, tag] = /^(.*):([^:/]+)$/s.exec(rest) ?? []
    const directory = resolve(terminal.workingDirectory, folder)
    return { kind: 'layout', directory, ...(tag !== undefined && { tag }) }
  }
  if (isElsewhere(value, terminal)) return { kind: 'remote', location: value }
  return { kind: 'directory', directory: await findContext(value, terminal) }
}

/**
 * `NAME=value`, or `NAME` alone for the value that the environment has (none: left out). SOURCE_DATE_EPOCH of the
 * environment counts as given.
 */
export function parseBuildArgs(given: readonly string[], env: Terminal['env']): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const argument of given) {
    const equals = argument.indexOf('=')
    const name = equals < 0 ? argument : argument.slice(0, equals)
    if (name === '') throw new CliError('usage', `build: --build-arg ${JSON.stringify(argument)} has no name`)
    const value = equals < 0 ? env[name] : argument.slice(equals + 1)
    if (value !== undefined) found.set(name, value)
  }
  const epoch = env[EPOCH]
  if (!found.has(EPOCH) && epoch !== undefined && epoch !== '') found.set(EPOCH, epoch)
  return found
}

const EPOCH = 'SOURCE_DATE_EPOCH'

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

/** SOURCE_DATE_EPOCH, in seconds since 1970. @throws CliError `usage` */
export function readEpoch(buildArgs: ReadonlyMap<string, string>): number | undefined {
  const given = buildArgs.get(EPOCH)
  if (given === undefined || given === '') return undefined
  if (/^\d{1,12}$/.test(given)) return Number(given)
  throw new CliError(
    'usage',
    `build: SOURCE_DATE_EPOCH is ${JSON.stringify(given)}, want seconds since 1970`,
    {
      hint: 'of a commit: SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)',
    },
  )
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
