import type { RuntimeConfig } from '../../oci/config.ts'
import type { Platform } from '../../oci/platform.ts'
import type { Instruction } from '../dockerfile/instructions.ts'
import { parseDockerfile } from '../dockerfile/parse.ts'
import { BuildError } from '../errors.ts'
import type { Op } from '../solve/vertex.ts'
import { planBuild } from './plan.ts'

/** What `docker import --change` takes. */
const ALLOWED: readonly Instruction['kind'][] = [
  'cmd',
  'entrypoint',
  'env',
  'expose',
  'healthcheck',
  'label',
  'onbuild',
  'shell',
  'stopsignal',
  'user',
  'volume',
  'workdir',
]

/**
 * The configuration that Dockerfile instructions make of an empty one.
 * @throws BuildError `dockerfile-invalid` with the change that is wrong
 */
export async function configOfChanges(
  changes: readonly string[],
  platform: Platform,
  signal: AbortSignal,
): Promise<RuntimeConfig> {
  const dockerfile = parseDockerfile({ name: '--change', text: ['FROM scratch', ...changes].join('\n') })
  const instructions = dockerfile.stages.flatMap(stage => stage.instructions)
  const refused = instructions.find(({ kind }) => !ALLOWED.includes(kind)) ?? dockerfile.stages[1]
  if (refused !== undefined) {
    const problem = `Cannot apply change: want one of ${ALLOWED.join(', ').toUpperCase()}`
    throw new BuildError('dockerfile-invalid', problem, { span: refused.span })
  }
  const options = {
    buildArgs: new Map(),
    labels: new Map(),
    noCache: false,
    noCacheStages: [],
    namedContexts: new Map(),
    network: 'none',
    extraHosts: [],
    allow: new Set<never>(),
    hostPlatform: platform,
  } as const
  const resolveImage = (): never => neverNeeded('a base image')
  const plan = await planBuild(dockerfile, options, {
    resolveImage,
    resolveLayout: resolveImage,
    createOp: () => UNSOLVED,
    signal,
  })
  return withoutDefaults(plan.image.config.config, instructions)
}

/** The graph of the plan is not solved: only its config counts. */
const UNSOLVED: Op = { kind: 'base', exec: () => neverNeeded('a root filesystem') }

function neverNeeded(what: string): never {
  throw new BuildError('dockerfile-invalid', `Cannot apply changes: they need ${what}`)
}

/** A Dockerfile gives every image a PATH and a working directory; an import has only what its changes say. */
function withoutDefaults(config: RuntimeConfig, instructions: readonly Instruction[]): RuntimeConfig {
  const { Env = [], WorkingDir, ...rest } = config
  const setsPath = instructions.some(
    instruction => instruction.kind === 'env' && instruction.pairs.some(({ key }) => key === 'PATH'),
  )
  const env = setsPath ? Env : Env.filter(item => !item.startsWith('PATH='))
  return {
    ...rest,
    ...(env.length > 0 && { Env: env }),
    ...(WorkingDir !== undefined && WorkingDir !== '/' && { WorkingDir }),
  }
}
