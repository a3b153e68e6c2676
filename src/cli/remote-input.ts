import type { BuildOptions } from '../builder/build.ts'
import { displayContext } from '../builder/fetch/git-reference.ts'
import type { Sources } from '../builder/fetch/sources.ts'
import { withProgress } from '../builder/solve/progress.ts'
import { type BuildInput, type FoundDockerfile, findDockerfile, findInTree } from './build-inputs.ts'
import type { ProgressRenderer } from './progress/renderer.ts'
import type { Terminal } from './terminal.ts'

export interface RemoteInputDeps {
  readonly sources: Sources
  readonly temporaryDirectory: string
  readonly terminal: Terminal
  readonly progress: ProgressRenderer
}

/**
 * A context that is elsewhere, with its Dockerfile: `--file` is a path in it, or `-`.
 * @throws BuildError `dockerfile-missing`, `context-invalid`, and what fetching throws
 */
export async function readRemoteInput(
  location: string,
  dockerfile: string | undefined,
  { buildArgs }: Pick<BuildOptions, 'buildArgs'>,
  { sources, temporaryDirectory, terminal, progress }: RemoteInputDeps,
): Promise<BuildInput> {
  const { openRemoteContext } = await import('../builder/fetch/remote-context.ts')
  const { signal, monotonicMs: monotonicNow } = terminal
  const keepGitDir = /^(?:1|t|true)$/i.test(buildArgs.get('BUILDKIT_CONTEXT_KEEP_GIT_DIR') ?? '')
  const title = `[internal] load ${displayContext(location)}`
  const context = await withProgress(title, { progress: progress.sink, monotonicNow, signal }, () =>
    openRemoteContext(location, { sources, temporaryDirectory, signal, keepGitDir }),
  ).catch((error: unknown) => {
    progress.finish()
    throw error
  })
  const find = async (): Promise<FoundDockerfile> => {
    if (dockerfile === '-') return findDockerfile('', '-', terminal)
    return findInTree(context.tree, context.file ?? dockerfile, displayContext(location))
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
