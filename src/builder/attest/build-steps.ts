/** The graph of a build as provenance tells it: steps by number, inputs first, in the words of BuildKit's definition. */
import type { Digest } from '../../oci/digest.ts'
import { digestAlgorithm, digestHex } from '../../oci/digest.ts'
import type { CopySource } from '../ops/copy-spec.ts'
import type { MountDefinition, OpDefinition, RunDefinition } from '../plan/op-definition.ts'
import { inOrder } from '../solve/order.ts'
import type { Op, Vertex } from '../solve/vertex.ts'

export interface BuildSteps {
  readonly definition: readonly object[]
  /** Lines of the Dockerfile, by step. */
  readonly locations: Readonly<Record<string, object>>
  /** IDs alone. */
  readonly secrets: readonly MountedSecret[]
  /** Of agents, likewise. */
  readonly ssh: readonly MountedSecret[]
  /** What ADD fetched. */
  readonly downloads: readonly Download[]
  /** Whether all that was built from is named by digest: no files of a folder, no unpinned downloads. */
  readonly isClosed: boolean
}

export interface Download {
  readonly uri: string
  readonly digest?: Readonly<Record<string, string>>
}

export interface MountedSecret {
  readonly id: string
  readonly optional?: boolean
}

export function buildSteps(target: Vertex, definitionOf: (op: Op) => OpDefinition | undefined): BuildSteps {
  const vertices = inOrder([target])
  const ids = new Map(vertices.map(({ digest }, index) => [digest, `step${index}`]))
  const definitions = vertices.map(({ op }) => definitionOf(op))
  const transfers = definitions.filter(isTransfer)
  const fetched = transfers.flatMap(({ sources }) => sources.flatMap(describeFetched))
  const downloads = new Map(fetched.map(download => [download.uri, download]))
  const readsFiles = transfers.some(
    ({ from, sources }) => from === 'context' && sources.some(({ kind }) => kind === 'path'),
  )
  return {
    definition: vertices.map((vertex, index) => {
      const definition = definitions[index]
      return {
        id: `step${index}`,
        name: withoutCredentials(vertex.name),
        ...(definition !== undefined && { op: { Op: describeOp(vertex, definition) } }),
        ...(vertex.inputs.length > 0 && {
          inputs: vertex.inputs.map(input => `${ids.get(input.digest)}:0`),
        }),
      }
    }),
    locations: Object.fromEntries(vertices.map((vertex, index) => [`step${index}`, locationOf(vertex)])),
    secrets: mounted(definitions, 'secret'),
    ssh: mounted(definitions, 'ssh'),
    downloads: [...downloads.values()].toSorted((a, b) => (a.uri < b.uri ? -1 : 1)),
    isClosed: !readsFiles && fetched.every(({ digest }) => digest !== undefined),
  }
}

function describeOp(vertex: Vertex, definition: OpDefinition): object {
  switch (definition.kind) {
    case 'image': {
      const name = /FROM (\S+)$/.exec(vertex.name)?.[1]
      return { source: { identifier: name === undefined ? 'scratch' : `docker-image://${name}` } }
    }
    case 'run':
      return { exec: describeRun(definition) }
    case 'workdir': {
      const { path, user } = definition
      return { file: { actions: [{ Action: { mkdir: { path, makeParents: true, owner: user } } }] } }
    }
    case 'copy':
    case 'add': {
      const { kind: _, sources, createdAt: __, ...rest } = definition
      const copy = { ...rest, sources: sources.map(describeSource) }
      return { file: { actions: [{ Action: { copy } }] } }
    }
    default:
      return {}
  }
}

/** Proxies, which may carry passwords, are no part of what a step is. */
function describeRun(definition: RunDefinition): object {
  const { args, env, cwd, user, hostname, network, mounts } = definition
  return { meta: { args, env, cwd, user, hostname }, network, mounts: mounts.map(describeMount) }
}

function describeMount(mount: MountDefinition): object {
  if (mount.kind !== 'script') return mount
  const { content: _, ...rest } = mount
  return rest
}

function describeSource(source: CopySource): object {
  if (source.kind === 'url') return { ...source, url: withoutCredentials(source.url) }
  if (source.kind === 'git') return { kind: source.kind, url: withoutCredentials(source.text) }
  if (source.kind !== 'heredoc') return source
  const { content: _, ...rest } = source
  return rest
}

function locationOf({ span }: Vertex): object {
  if (span === undefined) return {}
  const range = { start: { line: span.startLine }, end: { line: span.endLine } }
  return { locations: [{ ranges: [range] }] }
}

function mounted(
  definitions: readonly (OpDefinition | undefined)[],
  kind: 'secret' | 'ssh',
): readonly MountedSecret[] {
  const found = new Map<string, boolean>()
  for (const definition of definitions) {
    if (definition?.kind !== 'run') continue
    for (const mount of definition.mounts) {
      if (mount.kind === kind) found.set(mount.id, mount.required || (found.get(mount.id) ?? false))
    }
  }
  return [...found]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, required]) => ({ id, ...(!required && { optional: true }) }))
}

function isTransfer(
  definition: OpDefinition | undefined,
): definition is Extract<OpDefinition, { kind: 'copy' | 'add' }> {
  return definition?.kind === 'copy' || definition?.kind === 'add'
}

/** The digest where the Dockerfile tells it: a commit is one too. */
function describeFetched(source: CopySource): readonly Download[] {
  if (source.kind === 'url') {
    const { url, checksum } = source
    return [{ uri: withoutCredentials(url), ...(checksum !== undefined && { digest: digestSet(checksum) }) }]
  }
  if (source.kind !== 'git') return []
  const { ref } = source.reference
  const isCommit = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(ref)
  return [
    {
      uri: withoutCredentials(source.text),
      ...(isCommit && { digest: { [ref.length === 40 ? 'sha1' : 'sha256']: ref } }),
    },
  ]
}

/** Of every URL in a text. */
function withoutCredentials(url: string): string {
  return url.replaceAll(/\b([a-z]+:\/\/)[^/@\s]*@/gi, '$1')
}

/** `{ sha256: 'ab..' }` */
function digestSet(digest: Digest): Readonly<Record<string, string>> {
  return { [digestAlgorithm(digest)]: digestHex(digest) }
}
