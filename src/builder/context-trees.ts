/** The trees of `--build-context`: directories, and what is elsewhere. */
import type { Limits } from '../oci/limits.ts'
import { createBuildContext } from './build-context.ts'
import { openRemoteContext, type RemoteContext } from './fetch/remote-context.ts'
import type { Sources } from './fetch/sources.ts'
import type { CopyOrigin } from './ops/copy-spec.ts'
import type { NamedContext } from './plan/named-contexts.ts'
import type { FileTree } from './tree/file-tree.ts'

type ContextOrigin = Extract<CopyOrigin, { kind: 'context' }>

export interface ContextTrees extends AsyncDisposable {
  /** By the name of the context. Nothing of it is read before the first question. */
  readonly origins: ReadonlyMap<string, ContextOrigin>
  /** Keeps what has been learnt of files for the next build. */
  save(): Promise<void>
}

export interface ContextTreesDeps {
  readonly sources: Sources
  /** Shows the files of a context as the build wants them. */
  modes(tree: ContextOrigin['tree']): ContextOrigin['tree']
  readonly digestDirectory: string
  readonly temporaryDirectory: string
  readonly now: () => number
  readonly signal: AbortSignal
  readonly contentLimits?: Partial<Limits>
}

export function openContextTrees(
  contexts: ReadonlyMap<string, NamedContext>,
  deps: ContextTreesDeps,
): ContextTrees {
  const held = new AsyncDisposableStack()
  const saves: (() => Promise<void>)[] = []
  const origins = new Map<string, ContextOrigin>()
  for (const [name, context] of contexts) {
    if (context.kind === 'directory') {
      const { tree, save } = createBuildContext({ ...deps, directory: context.directory })
      saves.push(save)
      origins.set(name, { kind: 'context', tree: deps.modes(tree) })
    } else if (context.kind === 'remote') {
      const open = async () => held.use(await openRemoteContext(context.location, deps))
      origins.set(name, { kind: 'context', tree: deps.modes(lazyTree(open)) })
    }
  }
  return {
    origins,
    save: async () => void (await Promise.all(saves.map(save => save()))),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

function lazyTree(open: () => Promise<RemoteContext>): FileTree {
  let opened: Promise<RemoteContext> | undefined
  const tree = async (): Promise<FileTree> => {
    opened ??= open()
    return (await opened).tree
  }
  return {
    stat: async path => (await tree()).stat(path),
    list: async path => (await tree()).list(path),
    digest: async path => (await tree()).digest(path),
    prepare: async (paths, signal) => (await tree()).prepare(paths, signal),
    open: async path => (await tree()).open(path),
  }
}
