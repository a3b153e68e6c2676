import { parseDockerfile } from '../../../../src/builder/dockerfile/parse.ts'
import { BuildError } from '../../../../src/builder/errors.ts'
import type { BaseImage } from '../../../../src/builder/images/base-image.ts'
import type { OpDefinition } from '../../../../src/builder/plan/op-definition.ts'
import { type Plan, planBuild } from '../../../../src/builder/plan/plan.ts'
import type { PlanOptions } from '../../../../src/builder/plan/plan-options.ts'
import type { Op, Vertex } from '../../../../src/builder/solve/vertex.ts'
import type { ImageConfig, RuntimeConfig } from '../../../../src/oci/config.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { formatReference } from '../../../../src/oci/reference.ts'

export const HOST = { os: 'linux', architecture: 'amd64' }

export interface Planned extends Plan {
  /** Of the vertices that the target needs, inputs first. */
  readonly steps: readonly { readonly name: string; readonly definition: OpDefinition }[]
  readonly config: RuntimeConfig
  /** Text of the new history, with `-` before entries that have no layer. */
  readonly history: readonly string[]
  /** Names that were asked for, in order. */
  readonly resolved: readonly string[]
}

export interface PlanningOptions extends Partial<PlanOptions> {
  /** By reference as the Dockerfile has it. */
  readonly images?: Readonly<Record<string, BaseImage>>
}

/** Plans a Dockerfile over images in memory; `base` is always there. */
export async function planText(text: string, options: PlanningOptions = {}): Promise<Planned> {
  const definitions = new Map<Op, OpDefinition>()
  const resolved: string[] = []
  const known: Readonly<Record<string, BaseImage>> = { base: image('base'), ...options.images }
  const plan = await planBuild(
    parseDockerfile({ name: 'Dockerfile', text }),
    {
      buildArgs: new Map(),
      labels: new Map(),
      noCache: false,
      noCacheStages: [],
      namedContexts: new Map(),
      network: 'default',
      extraHosts: [],
      allow: new Set(),
      hostPlatform: HOST,
      ...options,
    },
    {
      signal: new AbortController().signal,
      resolveLayout: async directory => image(`layout-${directory}`),
      createOp(definition) {
        const op: Op = { kind: 'base', exec: async () => ({ chainID: undefined, layers: [] }) }
        definitions.set(op, definition)
        return op
      },
      async resolveImage(reference) {
        const name = formatReference(reference)
        resolved.push(name)
        const found = known[name]
        if (found === undefined) throw new BuildError('image-missing', `Cannot find image ${name}`)
        return found
      },
    },
  )
  const steps = verticesOf(plan.target).map(({ name, op }) => {
    const definition = definitions.get(op)
    if (definition === undefined) throw new Error(`${name} has no definition`)
    return { name, definition }
  })
  const history = plan.image.history.flatMap(item =>
    item.kind === 'new' ? [item.vertex === undefined ? `- ${item.createdBy}` : item.createdBy] : [],
  )
  return { ...plan, steps, config: plan.image.config.config, history, resolved }
}

export function image(name: string, config: RuntimeConfig = {}, more: Partial<ImageConfig> = {}): BaseImage {
  const diffID = digestOf(`tar of ${name}`)
  return {
    name: `registry.test/${name}`,
    digest: digestOf(`manifest of ${name}`),
    layers: [
      {
        digest: digestOf(`blob of ${name}`),
        mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
        size: 100,
        diffID,
      },
    ],
    config: {
      ...HOST,
      created: '2024-05-06T07:08:09Z',
      config,
      rootfs: { type: 'layers', diff_ids: [diffID] },
      history: [{ created: '2024-05-06T07:08:09Z', created_by: `made ${name}` }],
      unknown: {},
      ...more,
    },
  }
}

export const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

function verticesOf(target: Vertex): readonly Vertex[] {
  const found = new Set<Vertex>()
  const visit = (vertex: Vertex): void => {
    for (const input of vertex.inputs) visit(input)
    found.add(vertex)
  }
  visit(target)
  return [...found]
}
