import { join } from 'node:path'
import { type BuildContext, createBuildContext } from './build-context.ts'
import type { BuildDeps, BuildOptions } from './build-options.ts'
import type { ImportedMounts } from './cache/imported-mounts.ts'
import { withNormalModes } from './context/normal-modes.ts'
import { openContextTrees } from './context-trees.ts'
import { commonCompression } from './export/output.ts'
import type { ImageLayers } from './images/image-layers.ts'
import type { BuildLogs } from './logs/build-logs.ts'
import { createOpFactory } from './ops/create-op.ts'
import { createUnpack } from './ops/unpack-layers.ts'
import type { CreateOp } from './plan/op-definition.ts'
import { readSecret } from './secrets.ts'
import type { Result } from './solve/vertex.ts'
import type { FileTree } from './tree/file-tree.ts'
import type { OpenTree } from './tree/image-tree.ts'

/** Disposed when nothing of the build is executed any more. */
export interface BuildOps extends AsyncDisposable {
  readonly createOp: CreateOp
  /** Keeps what has been learnt of the contexts' files for the next build. */
  save(): Promise<void>
}

export interface BuildOpsDeps extends BuildDeps {
  readonly layers: ImageLayers
  readonly importedMounts: Pick<ImportedMounts, 'contentOf'>
  readonly temporaryDirectory: string
  openTree(result: Result, signal: AbortSignal): Promise<OpenTree>
  readonly logs: Pick<BuildLogs, 'open'>
}

/** What the steps of a build work with. No file of a context is read, and no container made, before a step needs one. */
export function openBuildOps(options: BuildOptions, deps: BuildOpsDeps): BuildOps {
  const { store, sources, layers, temporaryDirectory, openTree, contentLimits = {} } = deps
  const digestDirectory = join(store.root, 'context-digests')
  const modes = options.normalizeModes === true ? withNormalModes : asTheyAre
  const context = openContext(options, digestDirectory, deps)
  const named = openContextTrees(options.namedContexts, {
    ...deps,
    modes,
    digestDirectory,
    temporaryDirectory,
  })
  return {
    createOp: createOpFactory({
      layers: store.layers,
      compression: commonCompression(options.outputs),
      temporaryDirectory,
      archiveLimits: contentLimits,
      downloads: sources.downloads,
      git: sources.git,
      ssh: sources.ssh,
      context: { kind: 'context', tree: modes(context.tree) },
      namedContexts: named.origins,
      openTree,
      openSandbox: once(deps.openSandbox),
      unpack: createUnpack(layers),
      importedMounts: deps.importedMounts,
      readSecret: id => readSecret(options.secrets, id),
      requirePlatform: deps.requirePlatform,
      limits: options.limits,
      ...(options.dns !== undefined && { dns: options.dns }),
      openLog: deps.logs.open,
    }),
    async save() {
      await Promise.all([context.save(), named.save()])
    },
    [Symbol.asyncDispose]: () => named[Symbol.asyncDispose](),
  }
}

function openContext(
  { context, dockerfilePath }: BuildOptions,
  digestDirectory: string,
  { now, contentLimits }: Pick<BuildDeps, 'now' | 'contentLimits'>,
): Pick<BuildContext, 'save'> & { readonly tree: FileTree } {
  if (typeof context !== 'string') return { tree: context, save: () => Promise.resolve() }
  return createBuildContext({
    directory: context,
    ...(dockerfilePath !== undefined && { dockerfilePath }),
    digestDirectory,
    now,
    ...(contentLimits !== undefined && { contentLimits }),
  })
}

function asTheyAre<T extends FileTree>(tree: T): T {
  return tree
}

function once<T>(open: () => Promise<T>): () => Promise<T> {
  let opened: Promise<T> | undefined
  return () => {
    opened ??= open()
    return opened
  }
}
