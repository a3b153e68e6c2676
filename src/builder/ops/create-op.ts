import { chainID } from '../../oci/identity.ts'
import { parseExcludes } from '../context/ignore.ts'
import { parseChmod } from '../dockerfile/chmod.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import type { CreateOp, OpDefinition, RunDefinition, TransferDefinition } from '../plan/op-definition.ts'
import type { CacheKey, LayerOp, Op, Result, ResultLayer } from '../solve/vertex.ts'
import { createAddOp } from './add.ts'
import { createCopyOp } from './copy.ts'
import type { CopyOrigin, CopySpec } from './copy-spec.ts'
import type { LayerOpDeps } from './deps.ts'
import { createQuickKey, hasQuickKey } from './quick-key.ts'
import { openRootScene } from './root-scene.ts'
import { createRunOp, limitParts, type RunOpDeps } from './run.ts'
import { createWorkdirOp } from './workdir.ts'

export interface CreateOpDeps extends Omit<RunOpDeps, 'contextTree'>, Omit<LayerOpDeps, 'createdAt'> {
  /** Nothing of it is read before a COPY or ADD asks. */
  readonly context: ContextOrigin
  /** Directories of `--build-context`, by name. */
  readonly namedContexts: ReadonlyMap<string, ContextOrigin>
}

type ContextOrigin = Extract<CopyOrigin, { kind: 'context' }>

/** Turns what the plan says into what the solver runs. */
export function createOpFactory(deps: CreateOpDeps): CreateOp {
  return (definition, span) => {
    const op = createOp(definition, span, deps)
    if (op.kind !== 'layer') return op
    return {
      ...op,
      openScene: ([parent = EMPTY], context) => openRootScene(deps, parent, context),
    }
  }
}

const EMPTY: Result = { chainID: undefined, layers: [] }

function createOp(definition: OpDefinition, span: SourceSpan, deps: CreateOpDeps): Op {
  switch (definition.kind) {
    case 'image':
      return imageOp(definition.layers)
    case 'run':
      return withQuickKey(
        definition,
        createRunOp(definition, { ...deps, contextTree: name => contextOf(name, deps).tree }),
        limitParts(deps.limits),
      )
    case 'workdir': {
      const { path, user, createdAt } = definition
      return createWorkdirOp({ path, user }, { ...deps, createdAt })
    }
    case 'copy': {
      const { createdAt } = definition
      const op = createCopyOp(copySpec(definition, deps, span), { ...deps, createdAt })
      return withQuickKey(definition, op)
    }
    case 'add': {
      const { createdAt } = definition
      const op = createAddOp(copySpec(definition, deps, span), { ...deps, createdAt })
      return withQuickKey(definition, op)
    }
  }
}

function withQuickKey(
  definition: RunDefinition | TransferDefinition,
  op: LayerOp,
  settings: CacheKey['parts'] = [],
): LayerOp {
  if (!hasQuickKey(definition)) return op
  return { ...op, quickKey: inputs => createQuickKey(definition, inputs, settings) }
}

/** Stands for layers that are there, or will be fetched by whoever reads them. */
function imageOp(layers: readonly ResultLayer[]): Op {
  const result = { chainID: chainID(layers.map(layer => layer.diffID)), layers }
  return { kind: 'base', exec: async () => result }
}

function copySpec(definition: TransferDefinition, deps: CreateOpDeps, span: SourceSpan): CopySpec {
  const { from, sources, exclude, parents, destination, workdir, chown, chmod, link, unpack } = definition
  return {
    origin: from === 'stage' ? { kind: 'stage' } : contextOf(definition.context, deps),
    sources,
    ...(exclude.length > 0 && { exclude: parseExcludes(exclude, span) }),
    parents,
    link,
    unpack,
    destination,
    workdir,
    ...(chown !== undefined && { chown }),
    ...(chmod !== undefined && { chmod: parseChmod(chmod, span) }),
  }
}

function contextOf(context: string | undefined, deps: CreateOpDeps): ContextOrigin {
  if (context === undefined) return deps.context
  const named = deps.namedContexts.get(context)
  if (named === undefined) throw new Error(`Cannot read build context ${context}: it is not open`)
  return named
}
