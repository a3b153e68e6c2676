import { isAbsolute } from 'node:path'
import { Readable } from 'node:stream'
import type { BuildOptions } from '../../builder/build-options.ts'
import { parseGoBoolean } from '../../builder/dockerfile/go-boolean.ts'
import { BuildError } from '../../builder/errors.ts'
import { displayContext } from '../../builder/fetch/git-reference.ts'
import type { Sources } from '../../builder/fetch/sources.ts'
import { withProgress } from '../../builder/solve/progress.ts'
import type { Limits } from '../../oci/limits.ts'
import type { ProgressRenderer } from '../progress/renderer.ts'
import type { Terminal } from '../terminal.ts'
import {
  type BuildInput,
  boundedText,
  type FoundDockerfile,
  findDockerfile,
  findInput,
  findInTree,
  isElsewhere,
  type NamedDockerfile,
  readStandardInput,
} from './inputs.ts'

export interface RemoteInputDeps {
  readonly sources: Pick<Sources, 'git' | 'downloads'>
  readonly temporaryDirectory: string
  readonly contentLimits: Limits
  readonly terminal: Terminal
  readonly progress: ProgressRenderer
}

type Flags = Pick<BuildOptions, 'buildArgs'>

/** Whether it takes a session to read context and Dockerfile. */
export function isInputElsewhere(
  context: string,
  dockerfile: string | undefined,
  terminal: Terminal,
): boolean {
  return context === '-' || isElsewhere(context, terminal) || isUrl(dockerfile)
}

/**
 * Context and Dockerfile, wherever they are.
 * @param named by `--file`: a URL, `-`, or a path
 * @throws BuildError `dockerfile-missing`, `context-invalid`; CliError `usage`; what fetching throws
 */
export async function readInput(
  context: string,
  named: string | undefined,
  flags: Flags,
  deps: RemoteInputDeps,
): Promise<BuildInput> {
  const { terminal, temporaryDirectory, contentLimits } = deps
  const dockerfile = isUrl(named) ? await downloadDockerfile(named, deps) : named
  if (context === '-') return readStandardInput(dockerfile, terminal, temporaryDirectory, contentLimits)
  if (!isElsewhere(context, terminal)) return findInput(context, dockerfile, terminal)
  return readRemoteInput(context, dockerfile, flags, deps)
}

function isUrl(named: string | undefined): named is string {
  return named !== undefined && /^https?:\/\//i.test(named)
}

async function downloadDockerfile(location: string, deps: RemoteInputDeps): Promise<FoundDockerfile> {
  const { sources, terminal, contentLimits } = deps
  const url = URL.parse(location)
  if (url === null)
    throw new BuildError(
      'dockerfile-missing',
      `Cannot read Dockerfile: ${JSON.stringify(displayContext(location))} is not a URL`,
    )
  return withLoading(location, deps, async () => {
    const download = await sources.downloads.get(url, 'sha256', terminal.signal)
    const content = await download.open()
    const text = await boundedText(
      content instanceof Uint8Array ? Readable.from([content]) : content,
      contentLimits,
    )
    return { source: { name: displayContext(location), text } }
  })
}

/**
 * A context that is elsewhere, with its Dockerfile: a relative path is one in it.
 * @throws BuildError `dockerfile-missing`, `context-invalid`, and what fetching throws
 */
async function readRemoteInput(
  location: string,
  dockerfile: NamedDockerfile,
  { buildArgs }: Flags,
  deps: RemoteInputDeps,
): Promise<BuildInput> {
  const { openRemoteContext } = await import('../../builder/fetch/remote-context.ts')
  const { sources, temporaryDirectory, terminal, contentLimits } = deps
  const { signal } = terminal
  const keepGitDir = parseGoBoolean(buildArgs.get('BUILDKIT_CONTEXT_KEEP_GIT_DIR') ?? '') === true
  const context = await withLoading(location, deps, () =>
    openRemoteContext(location, { sources, temporaryDirectory, signal, keepGitDir, contentLimits }),
  )
  const find = async (): Promise<FoundDockerfile> => {
    const isLocal = typeof dockerfile === 'string' && (dockerfile === '-' || isAbsolute(dockerfile))
    if (isLocal) return findDockerfile('', dockerfile, terminal)
    return findInTree(context.tree, context.file ?? dockerfile, displayContext(location), contentLimits)
  }
  try {
    return {
      context: context.tree,
      dockerfile: await find(),
      [Symbol.asyncDispose]: () => context[Symbol.asyncDispose](),
    }
  } catch (error) {
    await context[Symbol.asyncDispose]()
    throw error
  }
}

function withLoading<T>(
  location: string,
  { terminal, progress }: RemoteInputDeps,
  task: () => Promise<T>,
): Promise<T> {
  const { signal, monotonicMs: monotonicNow } = terminal
  const title = `[internal] load ${displayContext(location)}`
  return withProgress(title, { progress: progress.sink, monotonicNow, signal }, task).catch(
    (error: unknown) => {
      progress.finish()
      throw error
    },
  )
}
